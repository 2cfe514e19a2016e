"""The CSV log."""

from pathlib import Path

from tfquantseg.training import log


def _write(path: Path, after: int, steps: range) -> None:
    opened = log.Log(path, after)
    for step in steps:
        opened.write(step=step, loss=step / 2)
    opened.close()


def test_rows_and_header(tmp_path: Path) -> None:
    opened = log.Log(tmp_path / "log.csv", 0)
    opened.write(step=1, loss=0.5, learning_rate=0.25, images_per_second=8.0)
    opened.write(step=2, loss=0.25, miou=0.5, miou_per_image=0.5, pixel_accuracy=1.0)
    opened.close()
    assert (tmp_path / "log.csv").read_text() == (
        "step,loss,learning_rate,images_per_second,miou,miou_per_image,pixel_accuracy\n"
        "1,0.5,0.25,8.0,,,\n"
        "2,0.25,,,0.5,0.5,1.0\n"
    )


def test_a_row_is_in_the_file_at_once(tmp_path: Path) -> None:
    opened = log.Log(tmp_path / "log.csv", 0)
    opened.write(step=1, loss=0.5)
    assert [row["step"] for row in log.read(tmp_path / "log.csv")] == ["1"]
    opened.close()


def test_a_resumed_run_writes_later_rows_again(tmp_path: Path) -> None:
    _write(tmp_path / "log.csv", 0, range(1, 6))
    _write(tmp_path / "log.csv", 3, range(4, 7))
    rows = log.read(tmp_path / "log.csv")
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row["loss"]) for row in rows] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_an_incomplete_last_row_is_left_out(tmp_path: Path) -> None:
    _write(tmp_path / "log.csv", 0, range(1, 3))
    with (tmp_path / "log.csv").open("a") as file:
        file.write("3,0.2")
    assert [row["step"] for row in log.read(tmp_path / "log.csv")] == ["1", "2"]
