"""Every rule: one operator that it finds, and its neighbour that is taken."""

import pytest

from tests.export.graphs import constant, operator, tensor
from tfquantseg.export.edgetpu_rules import doubts, refusals, remarks
from tfquantseg.export.graph_file import Operator


def _whats(findings: tuple) -> list[str]:
    return [finding.what for finding in findings]


def _convolution(op: str = "CONV_2D", **options) -> Operator:
    weights, bias = tensor(8, 3, 3, 4, constant=True), tensor(8, type="INT32", constant=True)
    options = {"dilationHFactor": 1, "dilationWFactor": 1, "fusedActivationFunction": 3, **options}
    return operator(op, [tensor(1, 8, 8, 4), weights, bias], tensor(1, 8, 8, 8), **options)


def _resize(before: tuple[int, ...], after: tuple[int, ...], **options) -> Operator:
    size = constant(*after[1:3])
    return operator("RESIZE_BILINEAR", [tensor(*before), size], tensor(*after), **options)


def _unary(op: str, *shape: int, **options) -> Operator:
    return operator(op, [tensor(*shape)], tensor(*shape), **options)


def _with(op: str, second: object, *, output: tuple[int, ...] = (1, 8, 8, 4), **options):
    return operator(op, [tensor(1, 8, 8, 4), second], tensor(*output), **options)


TAKEN = {
    "convolution": _convolution(version=3),
    "dilated convolution": _convolution(dilationHFactor=4, dilationWFactor=4),
    "depthwise": _convolution("DEPTHWISE_CONV_2D", version=3),
    "transposed": _convolution("TRANSPOSE_CONV", version=2),
    "tile": _with("TILE", constant(1, 2, 2, 1), output=(1, 16, 16, 4), version=1),
    "pool": _unary("MAX_POOL_2D", 1, 8, 8, 4, version=2, fusedActivationFunction=0),
    "mean of a plane": _with("MEAN", constant(1, 2), output=(1, 1, 1, 4)),
    "mean of 4 channels": _with("MEAN", constant(-1), output=(1, 8, 8, 1)),
    "softmax": _unary("SOFTMAX", 1, 16_000),
    "crop": operator(
        "STRIDED_SLICE",
        [tensor(1, 8, 8, 4), constant(0, 1, 1, 0), constant(1, 7, 7, 4), constant(1, 1, 1, 1)],
        tensor(1, 6, 6, 4),
    ),
    "uint8": operator("RELU", [tensor(1, 8, type="UINT8")], tensor(1, 8, type="UINT8")),
    "prelu": _with("PRELU", tensor(1, 1, 4, constant=True)),
    "fully connected": _with("FULLY_CONNECTED", tensor(9, 256, constant=True), output=(1, 9)),
    "vector": _unary("LOGISTIC", 7),
    "resize to itself": _resize((1, 33, 33, 21), (1, 33, 33, 21), alignCorners=True),
    "resize by 2": _resize((1, 64, 64, 32), (1, 128, 128, 32), halfPixelCenters=True),
    "resize of a row along it": _resize((1, 1, 4, 4), (1, 1, 8, 4)),
}

REFUSED = {
    "ARG_MAX is not supported": _unary("ARG_MAX", 1, 8, 8, 4),
    "CUSTOM:odd is not supported": _unary("CUSTOM:odd", 1, 8),
    "Version 4; the newest that the compiler takes is 3": _convolution(version=4),
    "Version 3; the newest that the compiler takes is 2": _convolution("TRANSPOSE_CONV", version=3),
    "works on FLOAT32": _with("ADD", tensor(1, 8, 8, 4, type="FLOAT32")),
    "works on INT16": _with("ADD", tensor(1, 8, 8, 4, type="INT16")),
    "works on INT4": _with("CONV_2D", tensor(4, 1, 1, 4, type="INT4", constant=True)),
    "size of 1 x -1 x 8 x 4 is open": _unary("RELU", 1, -1, 8, 4),
    "2 x 8 x 8 x 4 has more than three": _unary("RELU", 2, 8, 8, 4),
    "1 x 8 x 1 x 8 x 4 has more than three": _unary("RESHAPE", 1, 8, 1, 8, 4),
    "has a fused activation": _unary("AVERAGE_POOL_2D", 1, 8, 8, 4, fusedActivationFunction=1),
    "dilation is 2 x 1; both": _convolution(dilationHFactor=2),
    "weights or its bias are computed": _with("CONV_2D", tensor(1, 1, 1, 4)),
    "constant among more than two inputs": operator(
        "CONCATENATION", [_unary("RELU", 1).outputs[0]] * 2 + [tensor(1, constant=True)], tensor(3)
    ),
    "not in the default format": _with(
        "FULLY_CONNECTED", tensor(9, 256, constant=True), output=(1, 9), weightsFormat=1
    ),
    "output 8 x 9 has more than one dimension": _with(
        "FULLY_CONNECTED", tensor(9, 32, constant=True), output=(8, 9)
    ),
    "reduces the batch": _with("MEAN", constant(0, 1, 2), output=(4,)),
    "reduces 6 channels": operator("SUM", [tensor(1, 8, 6), constant(2)], tensor(1, 8)),
    "alpha varies": _with("PRELU", tensor(8, 8, 4, constant=True)),
    "input is 1 x 16001": _unary("SOFTMAX", 1, 16_001),
    "input is 1 x 2 x 5": _unary("SOFTMAX", 1, 2, 5),
    "has strides 1 x 2 x 2 x 1": _with("STRIDED_SLICE", constant(1, 2, 2, 1)),
    "has newAxisMask": _with("STRIDED_SLICE", constant(1, 1, 1, 1), newAxisMask=1),
    "spreads 1 x 1 over 33 x 33": _resize((1, 1, 1, 256), (1, 33, 33, 256)),
    "spreads 1 x 4 over 2 x 8": _resize((1, 1, 4, 4), (1, 2, 8, 4)),
    "both align_corners and half": _resize(
        (1, 4, 4, 4), (1, 8, 8, 4), alignCorners=True, halfPixelCenters=True
    ),
    "too large: 5,000,211 bytes, and 5,000,211 were too large in a network of Coral's.": _resize(
        (1, 33, 33, 19), (1, 513, 513, 19)
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_taken(case: str) -> None:
    assert refusals(TAKEN[case]) == ()
    assert doubts(TAKEN[case]) == ()


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    (finding,) = refusals(REFUSED[what])
    assert what in finding.what
    assert finding.change.endswith(".")


def test_an_operator_with_two_faults_has_two_findings() -> None:
    found = refusals(_convolution(dilationHFactor=2, version=5))
    assert [finding.basis for finding in found] == ["inferred", "documented"]


def test_channels_are_seen_reduced_where_the_axes_are_not_stored() -> None:
    axes = tensor(1, type="INT32", constant=True)
    found = refusals(operator("MEAN", [tensor(1, 8, 8, 6), axes], tensor(1, 8, 8, 1)))
    assert _whats(found) == ["It reduces 6 channels; only a multiple of 4 can be reduced."]
    assert refusals(operator("MEAN", [tensor(1, 8, 8, 6), axes], tensor(1, 8, 6))) == ()


@pytest.mark.parametrize(
    ("before", "after", "doubtful"),
    [
        ((1, 64, 64, 32), (1, 128, 128, 32), False),
        ((1, 64, 64, 33), (1, 128, 128, 33), True),
        ((1, 8, 8, 4), (1, 24, 24, 4), True),
        ((1, 16, 16, 4), (1, 8, 8, 4), False),
    ],
)
def test_a_resize_beyond_what_is_known_is_doubtful(
    before: tuple[int, ...], after: tuple[int, ...], doubtful: bool
) -> None:
    assert [finding.basis for finding in doubts(_resize(before, after))] == ["inferred"] * doubtful


@pytest.mark.parametrize(("channels", "doubtful"), [(4, False), (1, True)])
@pytest.mark.parametrize("op", ["ADD", "MUL", "SUB"])
def test_a_channel_over_many_is_doubtful(op: str, channels: int, doubtful: bool) -> None:
    gated = _with(op, tensor(1, 8, 8, channels))
    assert [finding.basis for finding in doubts(gated)] == ["inferred"] * doubtful


@pytest.mark.parametrize(("version", "doubtful"), [(2, False), (3, True)])
def test_a_nearest_resize_by_another_than_a_whole_factor_is_doubtful(
    version: int, doubtful: bool
) -> None:
    resize = operator(
        "RESIZE_NEAREST_NEIGHBOR",
        [tensor(1, 8, 8, 4), constant(12, 12)],
        tensor(1, 12, 12, 4),
        version=version,
    )
    assert [finding.basis for finding in doubts(resize)] == ["inferred"] * doubtful


@pytest.mark.parametrize(("rows", "doubtful"), [(64, False), (65, True)])
def test_a_mean_over_more_than_is_known_is_doubtful(rows: int, doubtful: bool) -> None:
    mean = operator("MEAN", [tensor(1, rows, 128, 4), constant(1, 2)], tensor(1, 1, 1, 4))
    assert refusals(mean) == ()
    assert [finding.basis for finding in doubts(mean)] == ["inferred"] * doubtful


def test_a_reshape_is_doubtful_unless_it_is_a_vector() -> None:
    image = tensor(1, 8, 8, 4)
    assert doubts(operator("RESHAPE", [image], tensor(1, 256))) == ()
    assert (
        "A reshape to 1 x 64 x 4" in doubts(operator("RESHAPE", [image], tensor(1, 64, 4)))[0].what
    )


def test_a_concatenated_constant_must_be_zero() -> None:
    joined = _with("CONCATENATION", tensor(1, 8, 8, 4, constant=True), output=(1, 8, 8, 8))
    assert refusals(joined) == ()
    assert _whats(doubts(joined)) == ["It has a constant input, which must be all zeros."]


@pytest.mark.parametrize(
    ("before", "after", "options", "exact"),
    [
        (30, 240, {"halfPixelCenters": True}, True),
        (23, 180, {"halfPixelCenters": True}, False),
        (33, 513, {"alignCorners": True}, True),
        (33, 513, {"halfPixelCenters": True}, False),
        (17, 17, {"alignCorners": True}, True),
        (1, 33, {"alignCorners": True}, True),
    ],
)
def test_an_inexact_ratio_is_told(before: int, after: int, options: dict, exact: bool) -> None:
    found = remarks(_resize((1, before, before, 4), (1, after, after, 4), **options))
    assert [finding.basis for finding in found] == ["measured"] * (not exact)
    if not exact:
        assert f"{before} x {before} to {after} x {after}" in found[0].what
