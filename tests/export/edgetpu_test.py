"""Where the graph is cut, and what holds for a file as a whole."""

import pytest

from tests.export import files, graphs
from tests.export.graphs import graph, operator, tensor
from tfquantseg.export import Report, graph_of, preflight
from tfquantseg.export.graph_file import Operator, Tensor


def _step(op: str, *inputs: Tensor, channels: int = 4) -> Operator:
    """An operator of whatever inputs, with an output [1, 8, 8, channels]."""
    return operator(op, list(inputs), tensor(1, 8, 8, channels))


def _places(report: Report) -> list[str]:
    return [placed.place for placed in report.placed]


def _image() -> Tensor:
    return tensor(1, 8, 8, 4)


def test_a_chain_is_cut_at_the_first_that_is_not_taken() -> None:
    first = _step("RELU", _image())
    second = _step("LEAKY_RELU", *first.outputs)
    third = _step("RELU", *second.outputs)
    report = preflight(graph(first, second, third))
    assert _places(report) == ["TPU", "CPU: not taken", "CPU: after a cut"]
    assert [placed.index for placed in report.cuts] == [1]
    assert report.tpu_outputs == first.outputs
    assert not report.ok


def test_a_branch_that_does_not_depend_on_the_cut_stays() -> None:
    first = _step("RELU", _image())
    odd = _step("LEAKY_RELU", *first.outputs)
    even = _step("RELU6", *first.outputs)
    joined = _step("ADD", *odd.outputs, *even.outputs)
    report = preflight(graph(first, odd, even, joined))
    assert _places(report) == ["TPU", "CPU: not taken", "TPU", "CPU: after a cut"]
    assert report.tpu_outputs == first.outputs + even.outputs


def test_what_needs_an_operator_in_doubt_is_in_doubt_too() -> None:
    first = _step("RELU", _image())
    large = operator("RESIZE_BILINEAR", [*first.outputs], tensor(1, 64, 64, 4))
    small = operator("MAX_POOL_2D", [*large.outputs], tensor(1, 8, 8, 4))
    aside = _step("RELU6", *first.outputs)
    joined = _step("ADD", *small.outputs, *aside.outputs)
    report = preflight(graph(first, large, small, aside, joined))
    assert _places(report) == ["TPU", *2 * ["TPU, in doubt"], "TPU", "TPU, in doubt"]
    assert [placed.index for placed in report.in_doubt] == [1, 2, 4]
    assert report.cpu == () and not report.ok and not report.resize_is_for_host


def test_what_the_cpu_does_first_cuts_nothing() -> None:
    quantize = operator("QUANTIZE", [tensor(1, 8, 8, 4, type="FLOAT32")], tensor(1, 8, 8, 4))
    relu = _step("RELU", *quantize.outputs)
    dequantize = operator("DEQUANTIZE", [*relu.outputs], tensor(1, 8, 8, 4, type="FLOAT32"))
    report = preflight(graph(quantize, relu, dequantize))
    assert _places(report) == ["CPU: before the TPU", "TPU", "CPU: not taken"]
    assert report.tpu_inputs == quantize.outputs
    assert [placed.index for placed in report.cuts] == [2]


def test_a_second_input_that_the_cpu_makes_cuts() -> None:
    first = _step("RELU", _image())
    odd = _step("LEAKY_RELU", _image())
    joined = _step("ADD", *first.outputs, *odd.outputs)
    report = preflight(graph(first, odd, joined))
    assert _places(report) == ["TPU", "CPU: not taken", "CPU: after a cut"]
    assert [placed.index for placed in report.cuts] == [1]
    assert report.tpu_outputs == first.outputs


def test_nothing_is_taken() -> None:
    report = preflight(graph(_step("LEAKY_RELU", _image())))
    assert _places(report) == ["CPU: before the TPU"]
    assert report.tpu_inputs == report.tpu_outputs == report.cuts == ()
    assert report.largest_activation is None


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(ValueError, match=r"made\.tflite holds no operator"):
        preflight(graph())


@pytest.mark.parametrize(
    ("version", "newer"),
    [("", False), ("1.14.0", False), ("2.5.0", False), ("2.10.0", True), ("nightly", True)],
)
def test_a_newer_runtime_is_told(version: str, newer: bool) -> None:
    report = preflight(graph(_step("RELU", _image()), min_runtime_version=version))
    assert [f"asks for runtime {version}" in f.what for f in report.findings] == [True] * newer


@pytest.mark.parametrize(("mebibytes", "more"), [(6, False), (7, True)])
def test_weights_beyond_the_chip_are_told(mebibytes: int, more: bool) -> None:
    weights = tensor(mebibytes * 1024, 1, 1, 1024, constant=True)
    report = preflight(graph(_step("CONV_2D", _image(), weights)))
    assert (" bytes, which do not fit: the chip keeps up to about" in str(report)) == more
    assert report.ok
    assert [f"{mebibytes * 2**20:,} bytes of weights" in f.what for f in report.findings] == (
        [True] * more
    )


@pytest.mark.parametrize(("channels", "more"), [(96, False), (97, True)])
def test_a_larger_activation_than_any_known_is_told(channels: int, more: bool) -> None:
    image = tensor(1, 257, 257, 3)
    report = preflight(graph(operator("RELU", [image], tensor(1, 257, 257, channels))))
    assert report.largest_activation.shape == (1, 257, 257, channels)
    assert ["large activation tensors" in f.what for f in report.findings] == [True] * more


def test_what_stays_on_the_cpu_takes_no_memory_of_the_chip() -> None:
    first = _step("RELU", _image())
    large = operator("LEAKY_RELU", [*first.outputs], tensor(1, 2048, 2048, 4))
    report = preflight(graph(first, large))
    assert report.largest_activation.shape == (1, 8, 8, 4)
    assert report.findings == ()


def test_a_file_of_the_converter() -> None:
    report = preflight(graph_of(files.segmenter(), name="tiny.tflite"))
    assert report.ok
    assert [placed.operator.op for placed in report.placed] == ["CONV_2D", "RESIZE_BILINEAR"]
    assert [placed.doubts for placed in report.placed] == [(), ()]
    assert preflight(graph_of(files.segmenter(argmax=True), name="labels")).cuts[0].index == 2


def test_an_open_batch_is_found_in_a_file_of_the_converter() -> None:
    report = preflight(graph_of(files.segmenter(batch=None), name="open.tflite"))
    assert report.placed[0].refusals[0].what == "The size of -1 x 24 x 32 x 3 is open."


def test_the_same_tensor_is_told_once() -> None:
    image = _image()
    left, right = _step("RELU", image), _step("RELU6", image)
    report = preflight(graphs.graph(left, right))
    assert report.tpu_inputs == (image,)
