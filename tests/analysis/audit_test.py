"""The audit finds every convolution kernel of a real step, and sees a broken promise."""

import collections
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg import kernels, losses
from tfquantseg.analysis import audit, golden
from tfquantseg.layers import QuantConv2D
from tfquantseg.numerics import Quantized
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import FLOAT, INTEGER, PAPER_DEEPLAB, PAPER_FCN, Rules
from tfquantseg.transform import quantize


def _network() -> keras.Model:
    """One of each convolution, with and without batch norm."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="rescaling")(image)
    x = keras.layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="first")(x)
    x = keras.layers.BatchNormalization(name="first_bn")(x)
    x = keras.layers.ReLU(name="first_relu")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="second")(x)
    x = keras.layers.Conv2DTranspose(4, 4, 2, padding="same", name="transposed")(x)
    return keras.Model(image, x, name="one_of_each")


def _grouped_and_dense() -> keras.Model:
    """A convolution in groups, and Dense layers on pixels and on means."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="rescaling")(image)
    x = keras.layers.Dense(8, activation="relu", name="pixels")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", groups=2, name="grouped")(x)
    means = keras.layers.Dense(8, name="means")(keras.layers.GlobalAveragePooling2D()(x))
    means = keras.layers.UpSampling2D(16)(keras.layers.Reshape((1, 1, 8))(means))
    x = keras.layers.Add()([x, means])
    return keras.Model(image, keras.layers.Dense(4, name="logits")(x), name="grouped_and_dense")


def _audit(model: keras.Model, *, with_taps: bool = False):
    optimizer = IntegerSGD(2.0**-6, momentum=0.5)  # one that no step has built
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 16, 16, 3)).astype(np.float32)
    labels = generator.integers(0, 4, (2, 16, 16)).astype(np.int32)
    loss = losses.get("softmax_cross_entropy")
    return audit(
        model,
        lambda y, logits: loss(y, logits, 255),
        optimizer,
        images,
        labels,
        with_taps=with_taps,
    )


def test_groups_and_dense_layers_multiply_8_bit_integers() -> None:
    result = _audit(quantize(_grouped_and_dense(), INTEGER))
    assert result.ok, result.problems
    ran = collections.Counter(product.convolution for product in result.products)
    # Of two groups each product runs twice.
    assert ran == {"pixels": 3, "grouped": 6, "means": 3, "logits": 3}
    assert all(operand.bits <= 8 for product in result.products for operand in product.operands)


def test_integer_multiplies_8_bit_integers_everywhere() -> None:
    result = _audit(quantize(_network(), INTEGER))
    assert result.ok, result.problems
    assert len(result.products) == 4 * 3
    assert all(operand.bits <= 8 for product in result.products for operand in product.operands)
    report = result.to_json()
    assert report["ok"] is True
    assert report["share_of_operands_within_8_bits"] == 1.0
    assert [entry["name"] for entry in report["convolutions"]] == [
        "first",
        "depthwise",
        "second",
        "transposed",
    ]
    for entry in report["convolutions"]:
        for product in ("forward", "input_gradient", "weight_gradient"):
            # Dynamic scales reach the last integer of the grid, so no operand needs less.
            assert max(entry[product]["bits"]) == 8


def test_an_operand_tells_its_range() -> None:
    result = _audit(quantize(_network(), INTEGER))
    first = result.products[0]
    assert (first.convolution, first.product) == ("first", "forward")
    assert first.kernel == ("TfquantsegConv2D" if kernels.ops() else "Conv2D")
    images = first.operands[0]
    assert (images.least, images.most) == (-128.0, 127.0)  # the pixels 0 and 255
    assert 0 < images.zeros < 0.02  # one pixel value in 256


UNSIGNED = INTEGER.changed("A_sign=unsigned_after_relu")


def test_unsigned_operands_are_8_bit_integers_too() -> None:
    result = _audit(quantize(_network(), UNSIGNED))
    assert result.ok, result.problems
    bits = {(p.convolution, p.product): [o.bits_text for o in p.operands] for p in result.products}
    assert bits["depthwise", "forward"] == ["u8", "8"]  # reads what follows first_relu
    assert bits["transposed", "weight_gradient"] == ["8", "u8"]  # and second's own ReLU
    assert bits["first", "forward"] == bits["second", "forward"] == ["8", "8"]  # image, no ReLU
    read = {p.convolution: p for p in result.products if p.product == "forward"}
    a = read["depthwise"].operands[0]
    assert (a.least, a.most, a.unsigned) == (0.0, 255.0, True)
    assert 0 < a.clipped < 0.02  # the largest value alone lies on 255, not all beyond 127
    assert read["depthwise"].kernel == "DepthwiseConv2dNative"
    # Own kernels take signed bytes: what is unsigned goes to TensorFlow's.
    assert read["transposed"].kernel == "Conv2DBackpropInput"
    assert "u8 x 8" in str(result) and result.to_json()["share_of_operands_within_8_bits"] == 1.0


def test_an_error_with_a_flag_is_two_operands_of_8_bits() -> None:
    result = _audit(quantize(_network(), INTEGER.changed("E_grid=flag")))
    assert result.ok, result.problems
    # One forward product each, and each backward product twice: of large steps, and of small ones.
    assert len(result.products) == 4 * (1 + 2 * 2)
    assert all(operand.bits <= 8 for product in result.products for operand in product.operands)
    if kernels.ops():
        dense = {p.kernel for p in result.products if p.convolution == "second"}
        assert all(kernel.startswith("Tfquantseg") for kernel in dense)
    second = next(e for e in result.to_json()["convolutions"] if e["name"] == "second")
    for product in ("input_gradient", "weight_gradient"):
        large, small = second[product], second[f"{product}_2"]
        zeros = [entry["operands"][1]["zeros"] for entry in (large, small)]
        assert sum(zeros) >= 1  # each value is in one of the two
        assert min(zeros) < 1 and max(large["bits"]) == max(small["bits"]) == 8
    assert "forward_2" not in second


@pytest.mark.parametrize("scale", ["per_channel", "per_vector"])
def test_errors_with_several_scales_are_8_bit_operands(scale: str) -> None:
    result = _audit(quantize(_network(), INTEGER.changed(f"E_scale={scale}")))
    assert result.ok, result.problems
    assert len(result.products) == 4 * 3
    assert all(operand.bits <= 8 for product in result.products for operand in product.operands)


def test_an_unsigned_operand_that_was_not_promised_is_seen() -> None:
    model = quantize(_network(), UNSIGNED)
    model.get_layer("transposed").A_unsigned = False  # as if a signed grid had been promised
    result = _audit(model)
    assert {problem.split(":")[0] for problem in result.problems} == {
        "transposed, forward",
        "transposed, weight_gradient",
    }
    assert "8 x 9 bits, promised 8 x 8" in result.problems[0]  # 255 in two's complement


def test_paper_with_batch_norm_is_honest_about_the_wide_error() -> None:
    result = _audit(quantize(_network(), PAPER_FCN))
    assert result.ok, result.problems
    bits = {(p.convolution, p.product): tuple(o.bits for o in p.operands) for p in result.products}
    assert bits["first", "forward"] == (8, 6)  # W's grid has a fixed limit of 1: 6 bits suffice
    assert bits["first", "weight_gradient"][1] == 32  # E2 is at x_hat, before batch norm's backward
    assert max(bits["second", "weight_gradient"]) == 8
    assert max(bits["transposed", "input_gradient"]) == 8


def test_float_layers_are_listed_with_32_bits() -> None:
    result = _audit(quantize(_network(), Rules((("second", FLOAT), (".*", INTEGER)))))
    assert result.ok, result.problems
    wide = {p.convolution for p in result.products if max(o.bits for o in p.operands) == 32}
    assert wide == {"second"}
    assert result.to_json()["share_of_operands_within_8_bits"] < 1


class _Sabotaged(QuantConv2D):
    """Multiplies one operand that is no integer."""

    def call(self, pair, training: bool = False) -> tf.Tensor:
        integers, step = pair
        return super().call(Quantized(integers + 0.25, step), training=training)


def test_a_sabotaged_operand_breaks_the_promise() -> None:
    model = quantize(_network(), INTEGER)
    honest = model.get_layer("second")

    def sabotage(layer: keras.layers.Layer) -> keras.layers.Layer:
        return _Sabotaged.from_config(layer.get_config()) if layer.name == honest.name else layer

    spoiled = keras.models.clone_model(model, clone_function=sabotage)
    result = _audit(spoiled)
    assert not result.ok
    assert [problem.split(":")[0] for problem in result.problems] == [
        "second, forward",
        "second, weight_gradient",
    ]
    assert "32 x 8 bits, promised 8 x 8" in result.problems[0]


def test_a_narrower_promise_is_broken_by_8_bits() -> None:
    model = quantize(_network(), INTEGER)
    layer = model.get_layer("second")
    layer.policy = dataclasses.replace(INTEGER, k_A=7)
    result = _audit(model)
    assert {problem.split(":")[0] for problem in result.problems} == {
        "second, forward",
        "second, weight_gradient",
    }


def test_golden_vectors_hold_integers_and_steps(tmp_path) -> None:
    model = quantize(_network(), INTEGER)
    result = _audit(model, with_taps=True)
    count = golden.write(tmp_path / "golden", result.taps)
    files = {file.name for file in (tmp_path / "golden").iterdir()}
    assert len(files) == count
    for letter in ("A", "W", "E2", "E2_times_W_step"):
        with np.load(tmp_path / "golden" / f"second.{letter}.npz") as pair:
            assert pair["integers"].dtype == np.int8
            assert pair["step"].dtype == np.float32
    assert {"second.kernel.G.npz", "second.kernel.U.npz", "second.bias.U.npz"} <= files
    assert "first_relu_A.E1.npz" in files
    with np.load(tmp_path / "golden" / "second.kernel.U.npz") as update:
        assert update["integers"].dtype in (np.int8, np.int16, np.int32)


def test_golden_vectors_reproduce_a_gradient(tmp_path) -> None:
    """The weight gradient of a 1x1 kernel tap, from the files alone, is what G was made from."""
    result = _audit(quantize(_network(), INTEGER), with_taps=True)
    a, e = result.taps["second/A"], result.taps["second/E2"]
    bias_gradient = e["integers"].sum((0, 1, 2)) * e["step"]
    g = result.taps["second/bias/G"]
    # G is rounded to one of its two neighbours: less than one step away.
    assert np.abs(g["integers"] * g["step"] - bias_gradient).max() <= g["step"]
    assert a["integers"].shape == (2, 8, 8, 8)


def test_golden_vectors_hold_the_error_inside_batch_norm() -> None:
    """The paper quantizes E2 at x_hat, which no convolution receives (Eq 16)."""
    taps = _audit(quantize(_network(), PAPER_DEEPLAB), with_taps=True).taps
    integers = taps["first_bn/E2"]["integers"]
    assert np.array_equal(integers, np.round(integers)) and taps["first_bn/E2"]["step"] > 0
    assert 2**7 < np.abs(integers).max() < 2**15  # 16 bits
    convolution = taps["first/E2"]["integers"]  # the letter of the paper leaves it float32
    assert not np.array_equal(convolution, np.round(convolution))


def test_golden_does_not_overwrite(tmp_path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(FileExistsError, match="holds files already"):
        golden.write(tmp_path, {})
