"""The preflight of Coral's models against what the real compiler left on the CPU."""

import pathlib
from typing import Any

import pytest

from tests.export import graphs
from tfquantseg.export import preflight
from tfquantseg.export.edgetpu import COMPILED
from tfquantseg.export.graph_file import Operator

DEEPLABS = {
    # By model, the operators at which the compiler cut.
    "deeplab_mobilenet_edgetpu_slim_cityscapes_quant": ["RESIZE_BILINEAR"],
    "deeplabv3_mnv2_dm05_pascal_quant": ["RESIZE_BILINEAR"],
    "deeplabv3_mnv2_pascal_quant": ["RESIZE_BILINEAR"],
}
MOBILENETS = ("mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq")


def _identity(operator: Operator) -> dict[str, Any]:
    """What two lists agree on of one operator: they number tensors apart."""
    return {
        "op": operator.op,
        "version": operator.version,
        "inputs": [(tensor.shape, tensor.type) for tensor in operator.inputs],
        "outputs": [(tensor.shape, tensor.type) for tensor in operator.outputs],
        "options": operator.options,
    }


@pytest.mark.parametrize("name", DEEPLABS)
def test_a_deeplab_is_cut_where_the_compiler_cut_it(data_root: pathlib.Path, name: str) -> None:
    folder = data_root / "coral_ops"
    report = preflight(graphs.of_list(folder / f"{name}.tflite.json"))
    (compiled, *left) = graphs.of_list(folder / f"{name}_edgetpu.tflite.json").operators
    assert compiled.op == COMPILED
    assert [_identity(placed.operator) for placed in report.cpu] == list(map(_identity, left))
    assert [placed.operator.op for placed in report.cuts] == DEEPLABS[name]
    for predicted, true in (
        (report.tpu_inputs, compiled.inputs),
        (report.tpu_outputs, compiled.outputs),
    ):
        assert sorted((t.shape, t.type) for t in predicted) == sorted(
            (t.shape, t.type) for t in true
        )
    assert not any(placed.doubts for placed in report.placed if placed.on_tpu)
    assert report.findings == ()
    assert not report.ok


@pytest.mark.parametrize("name", MOBILENETS)
def test_a_classifier_is_taken_whole(data_root: pathlib.Path, name: str) -> None:
    report = preflight(graphs.of_list(data_root / "coral_ops" / f"{name}.tflite.json"))
    assert report.ok
    assert report.cpu == report.cuts == ()
    assert report.tpu_inputs == report.graph.inputs
    assert report.tpu_outputs == report.graph.outputs
    assert report.findings == ()
    assert " bytes, which fit: the chip keeps" in str(report)
    # The file that Coral ships has 3.4 to 3.9 MB, so that all weights stay on the chip.
    assert 3_400_000 < report.graph.weight_bytes < 3_900_000
    assert report.largest_activation.shape == (1, 112, 112, 96)


def test_the_reasons_of_a_deeplab(data_root: pathlib.Path) -> None:
    path = data_root / "coral_ops/deeplabv3_mnv2_pascal_quant.tflite.json"
    report = preflight(graphs.of_list(path))
    reasons = [[finding.what for finding in placed.refusals] for placed in report.cpu]
    assert [len(reason) for reason in reasons] == [1, 0, 0, 0, 0, 0, 1, 1]
    assert "spreads 1 x 1 over 33 x 33" in reasons[0][0]
    assert "1 x 513 x 513 x 21 is too large" in reasons[-2][0]
    assert "ARG_MAX is not supported" in reasons[-1][0]
    assert {placed.place for placed in report.cpu[1:6]} == {"CPU: after a cut"}


def test_a_compiled_file_is_refused(data_root: pathlib.Path) -> None:
    path = data_root / "coral_ops/deeplabv3_mnv2_pascal_quant_edgetpu.tflite.json"
    with pytest.raises(ValueError, match=r"quant_edgetpu\.tflite was made by edgetpu_compiler"):
        preflight(graphs.of_list(path))
