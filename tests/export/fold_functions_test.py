"""Gates, slopes, constants and softmax: from a float network to a file that equals its twin."""

import functools

import keras
import numpy as np
import pytest

from tests.export import gated_networks
from tests.export.gated_networks import NETWORKS, SIZE
from tfquantseg import IntegerSGD, preset, quantize
from tfquantseg.analysis import Audit, audit
from tfquantseg.export import certify, draft, freeze, graph_of, preflight, write_tflite
from tfquantseg.export.endings import at_stride, with_argmax
from tfquantseg.export.functions import UNIT_STEP
from tfquantseg.export.network import Convolution, Network
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.twin import compute, operate
from tfquantseg.transform import count_convolutions

L = keras.layers


def _loss(labels, outputs):
    return keras.ops.mean(keras.ops.square(outputs[..., 0] - keras.ops.cast(labels, "float32")))


@functools.cache
def _trained(name: str, policy: str = "INTEGER") -> tuple[keras.Model, Audit]:
    """A network's quantized model after one audited step and two batches that its scales follow."""
    quantized = quantize(gated_networks.made(name), preset(policy))
    optimizer = IntegerSGD(2.0**-6, momentum=0.5)
    optimizer.build(quantized.trainable_variables)
    batch = gated_networks.images(2).astype(np.float32)
    labels = np.random.default_rng(0).integers(0, 2, (2, *quantized.output_shape[1:3]))
    found = audit(quantized, _loss, optimizer, batch, labels.astype(np.int32))
    for seed in range(2):
        quantized(gated_networks.images(2, seed).astype(np.float32), training=True)
    return quantized, found


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request) -> tuple[keras.Model, keras.Model, Audit]:
    """Each float network, what it was quantized to, and the audit of its first step."""
    return gated_networks.made(request.param), *_trained(request.param)


def _assert_equal(network: Network, image: np.ndarray) -> None:
    file = FileNetwork(write_tflite(network), kernels="reference", keeps_tensors=True)
    output = file(image)
    for one in network.operations:
        inputs = [file.tensor(t.name)[0].reshape(t.shape) for t in one.inputs]
        made = operate(one, inputs)
        held = file.tensor(one.output.name)[0].reshape(made.shape)
        np.testing.assert_array_equal(made, held, err_msg=one.output.name)
    np.testing.assert_array_equal(compute(network, image), output)


def test_a_training_step_multiplies_8_bit_integers(trained) -> None:
    model, _, found = trained
    assert found.ok, found.problems
    assert len(found.products) == 3 * count_convolutions(model)
    assert all(operand.bits <= 8 for product in found.products for operand in product.operands)


def test_no_convolution_is_lost(trained) -> None:
    model, quantized, _ = trained
    frozen = freeze(quantized, SIZE, SIZE).convolutions
    own = [one for one in frozen if one.layer]  # the others hold constants or a gate
    assert len(own) == count_convolutions(model) == count_convolutions(model)


def test_the_file_equals_its_twin_and_is_certified(trained) -> None:
    _, quantized, _ = trained
    network = freeze(quantized, SIZE, SIZE)
    images = gated_networks.images(2, seed=99)
    _assert_equal(network, images[0])
    found = certify(network, quantized, write_tflite(network), images)
    assert found.problems == ()
    has_gelu = any(getattr(one, "kind", "") == "gelu" for one in network.operations)
    # tflite-micro has all operators but GELU, and computes each alike.
    assert found.micro_twin is None if has_gelu else found.micro_twin.most == 0


def test_a_saved_model_freezes_to_the_same_file(trained, tmp_path) -> None:
    _, quantized, _ = trained
    quantized.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert write_tflite(freeze(again, SIZE, SIZE)) == write_tflite(freeze(quantized, SIZE, SIZE))


def test_the_report_before_training_is_that_of_the_file(trained) -> None:
    model, quantized, _ = trained
    files = [freeze(quantized, SIZE, SIZE), draft(quantize(model, preset("INTEGER")), SIZE, SIZE)]
    reports = [preflight(graph_of(write_tflite(one), name="a")) for one in files]
    # Names aside: Keras numbers ops through the whole process.
    placed = [
        [
            (one.operator.op, one.operator.version, one.place, one.operator.outputs[0].shape)
            for one in r.placed
        ]
        for r in reports
    ]
    assert placed[0] == placed[1]


def _operators(name: str) -> tuple[list[str], list[str]]:
    """The operators of a network's file beside convolutions, and those that an Edge TPU leaves."""
    network = draft(quantize(gated_networks.made(name), preset("INTEGER")), SIZE, SIZE)
    report = preflight(graph_of(write_tflite(network), name=name))
    ops = [one.operator.op for one in report.placed]
    return [op for op in ops if "CONV" not in op], [one.operator.op for one in report.cpu]


def test_gates_run_on_an_edge_tpu() -> None:
    assert _operators("mobilenet_v3") == (
        ["MUL", "MUL", "MEAN", "MUL", "ADD", "RESIZE_BILINEAR"],
        [],
    )
    assert _operators("efficientnet") == (
        ["LOGISTIC", "MUL", "MEAN", "LOGISTIC", "MUL", "LOGISTIC", "MUL"],
        [],
    )


def test_slopes_and_constants_run_on_an_edge_tpu() -> None:
    assert _operators("prelu") == (["PRELU"] * 5, [])
    assert _operators("layer_scale") == (["ADD", "SUB"], [])


def test_what_an_edge_tpu_leaves_is_said() -> None:
    ops, left = _operators("softmax_head")
    assert ops.count("SOFTMAX") == 2 and "GELU" in ops
    assert left[0] == "SOFTMAX"  # of more than one position


def test_constants_fold_into_the_convolution_before_them() -> None:
    quantized, _ = _trained("layer_scale")
    network = freeze(quantized, SIZE, SIZE)
    by_name = {one.output.name: one for one in network.convolutions}
    branch, norm = by_name["branch"], quantized.get_layer("branch_bn")
    mu, sigma, gamma, beta = norm.quantized_statistics()
    scale = np.linspace(-0.5, 1, 8).astype(np.float32).astype(np.float64)
    factor = gamma.astype(np.float64) / (sigma + np.float64(norm.epsilon))
    np.testing.assert_array_equal(branch.signs, np.sign(scale * factor))
    # float32's last bit: the steps are rounded once for batch norm and once for the constants.
    np.testing.assert_allclose(
        branch.weight_steps,
        quantized.get_layer("branch").quantized_kernel().step.numpy().reshape(-1)
        * np.abs(factor * scale),
        rtol=2e-7,
    )
    # float64's last bits, from the order of the products.
    np.testing.assert_allclose(branch.bias, (-mu * factor + beta) * scale, rtol=1e-12)
    alone = [one for one in network.convolutions if not one.layer]
    assert [(one.kind, one.activation) for one in alone] == [
        ("depthwise", "relu"),  # 1.5 - x / 3 and its ReLU
        ("depthwise", "linear"),  # - 0.25, which -x does not join, as it is read twice
        ("depthwise", "linear"),
    ]


def test_a_gate_that_keras_writes_out_is_a_relu6_and_a_depthwise_convolution() -> None:
    network = draft(quantize(gated_networks.made("mobilenet_v3"), preset("INTEGER")), SIZE, SIZE)
    at = [one.output.name for one in network.operations].index("expand")
    expand, sixth, gated = network.operations[at : at + 3]
    assert isinstance(expand, Convolution) and expand.activation == "relu6"
    assert isinstance(sixth, Convolution) and (sixth.kind, sixth.layer) == ("depthwise", "")
    np.testing.assert_array_equal(sixth.weight_steps, np.float32(1 / 6 / 127))
    assert gated.inputs[1] is sixth.output


def test_functions_have_the_steps_that_devices_prescribe(trained) -> None:
    _, quantized, _ = trained
    for one in freeze(quantized, SIZE, SIZE).operations:
        kind = getattr(one, "kind", type(one).__name__.lower())
        if kind in ("sigmoid", "softmax"):
            assert (one.output.step, one.output.zero_point) == (UNIT_STEP, -128)
        elif kind == "tanh":
            assert (one.output.step, one.output.zero_point) == (1 / 128, 0)


def test_hard_sigmoid_is_a_convolution_with_a_relu() -> None:
    network = draft(quantize(gated_networks.made("softmax_head"), preset("INTEGER")), SIZE, SIZE)
    (third,) = [one for one in network.convolutions if one.layer == "third"]
    assert (third.activation, third.output.step, third.output.zero_point) == (
        "relu",
        UNIT_STEP,
        -128,
    )


def test_unsigned_grids_go_with_gates() -> None:
    quantized, _ = _trained("mobilenet_v3", "INTEGER A_sign=unsigned_after_relu")
    network = freeze(quantized, SIZE, SIZE)
    zero_points = {one.output.name: one.output.zero_point for one in network.operations}
    assert zero_points["reduce"] == -128 and zero_points["excite"] == 0
    _assert_equal(network, gated_networks.images(1)[0])


def test_classes_are_taken_of_what_softmax_reads() -> None:
    quantized, _ = _trained("softmax_head")
    network = freeze(quantized, SIZE, SIZE)
    assert network.logits.step == UNIT_STEP
    classes = with_argmax(network)
    assert (network.gives_probabilities, classes.gives_probabilities) == (True, False)
    assert classes.logits.name == "logits" and len(classes.operations) == len(network.operations)
    image = gated_networks.images(1)[0]
    _assert_equal(classes, image)
    likely = np.take_along_axis(
        compute(network, image), compute(classes, image)[..., np.newaxis], -1
    )
    np.testing.assert_array_equal(likely[..., 0], compute(network, image).max(-1))
    with pytest.raises(ValueError, match="not in a resize"):
        at_stride(network)


def _refused(body) -> str:
    image = keras.Input((SIZE, SIZE, 3))
    x = L.Rescaling(1 / 128, offset=-1)(image)
    x = L.Conv2D(4, 3, padding="same", name="first")(x)
    model = quantize(keras.Model(image, body(x)), preset("INTEGER"))
    model(gated_networks.images(2).astype(np.float32), training=True)
    with pytest.raises(ValueError) as told:
        freeze(model, SIZE, SIZE)
    return str(told.value)


def test_shapes_that_no_operation_joins_are_named() -> None:
    row = _refused(lambda x: L.Multiply(name="m")([x, L.Conv2D(4, (SIZE, 1))(x)]))
    assert "'m' (Multiply) multiplies 2 tensors of [(16, 16, 4), (1, 16, 4)]; accepted are" in row
    three = _refused(lambda x: L.Multiply(name="m")([x, x, x]))
    assert "'m' (Multiply) multiplies 3 tensors of [(16, 16, 4), (16, 16, 4), (16" in three
    deep = _refused(lambda x: L.Reshape((4, 4, 16, 4), name="r")(x))
    assert "'r' (Reshape) makes (4, 4, 16, 4) of (16, 16, 4); an int8 file can't hold it" in deep
    more = _refused(lambda x: keras.ops.expand_dims(x, 1))
    assert "(ExpandDims) makes another dimension of (16, 16, 4)" in more
    rows = _refused(lambda x: L.Conv2D(2, 1)(keras.ops.mean(x, 1, keepdims=True)))
    assert "(Mean) averages over [1]; use height and width, (1, 2)" in rows
