"""Files are measured in turns, each in a process of its own."""

from pathlib import Path

from tests.training.networks import threshold
from tfquantseg.benchmark import latency, stock


def test_each_file_has_its_numbers(tmp_path: Path) -> None:
    files = {}
    for name, size in (("small", (8, 8)), ("large", (256, 256))):
        files[name] = tmp_path / f"{name}.tflite"
        files[name].write_bytes(stock.float32_file(threshold(*size), size))
    found = latency.measure(
        files, "small", "case", rounds=2, threads=1, titles={**dict.fromkeys(files, "a file")}
    )
    small, large = found["small"], found["large"]
    assert small["ratio_to_float32"] == 1.0
    assert large["ratio_to_float32"] > 1  # of 1,024 times the pixels
    assert large["latency_seconds"] > small["latency_seconds"] > 0
    assert small["file_bytes"] == files["small"].stat().st_size
    assert small["operators"] == {"CONV_2D": 1}
    assert len(small["rounds"]) == 2
