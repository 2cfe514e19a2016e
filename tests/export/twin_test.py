"""The twin against LiteRT's reference kernels: 0 steps, on every tensor of every operation."""

import keras
import numpy as np
import pytest

from tests.export import every_operation
from tfquantseg import models, preset, quantize
from tfquantseg.export.endings import at_stride
from tfquantseg.export.freeze import freeze
from tfquantseg.export.network import Network, Resize, Tensor
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite
from tfquantseg.export.twin import compute, operate


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The model of every operation, trained."""
    return every_operation.trained()


def _assert_equal(network: Network, images: list[np.ndarray]) -> None:
    file = FileNetwork(write_tflite(network), kernels="reference", keeps_tensors=True)
    for image in images:
        logits = file(image)
        for one in network.operations:
            inputs = [file.tensor(tensor.name)[0] for tensor in one.inputs]
            np.testing.assert_array_equal(
                operate(one, inputs), file.tensor(one.output.name)[0], err_msg=one.output.name
            )
        np.testing.assert_array_equal(compute(network, image), logits)


@pytest.fixture(scope="module")
def unsigned() -> keras.Model:
    """The same, what follows ReLU on unsigned grids."""
    return every_operation.trained(every_operation.UNSIGNED)


# Odd sizes meet every kind of padding and pools that reach over the border.
@pytest.mark.parametrize("size", [(24, 32), (25, 37), (33, 30)])
def test_every_operation_equals_the_reference_kernels(
    model: keras.Model, size: tuple[int, int]
) -> None:
    _assert_equal(freeze(model, *size), every_operation.images(2, size))


@pytest.mark.parametrize("size", [(24, 32), (25, 37), (33, 30)])
def test_zero_points_of_unsigned_grids_equal_the_reference_kernels(
    unsigned: keras.Model, size: tuple[int, int]
) -> None:
    network = freeze(unsigned, *size)
    counted = {one.output.name: one.output.zero_point for one in network.operations}
    # The concatenation ties what follows ReLU to a batch norm's output: that step is signed.
    assert {name for name, zero_point in counted.items() if zero_point == -128} == {
        "stem", "largest", "average", "dilated", "sum",
    }  # fmt: skip
    _assert_equal(network, every_operation.images(2, size))


@pytest.mark.parametrize("policy", ["INTEGER", every_operation.UNSIGNED])
@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("residual_unet", {"width": 4}, (40, 56)),
        ("fcn8s_vgg16", {"fc_width": 8}, (32, 64)),
        ("deeplabv3_resnet50", {"width": 4, "output_stride": 8}, (32, 48)),
    ],
)
def test_the_models_equal_the_reference_kernels(
    name: str, arguments: dict[str, int], size: tuple[int, int], policy: str
) -> None:
    keras.utils.set_random_seed(1)
    float_model = models.build(name, classes=5, **arguments)
    quantized = quantize(float_model, preset(policy))
    quantized(np.stack(every_operation.images(2, size)).astype(np.float32), training=True)
    _assert_equal(freeze(quantized, *size), every_operation.images(1, size))


# Ratios whose 10 bits are exact, and ones that the kernel's are not; enlarged by whole numbers, as
# UpSampling2D does, and by others and to less, as Resizing does.
@pytest.mark.parametrize(("from_", "to"), [(30, 240), (23, 180), (33, 513), (40, 17), (1, 5)])
@pytest.mark.parametrize("kind", ["bilinear", "nearest"])
def test_resizes_equal_the_reference_kernels(kind: str, from_: int, to: int) -> None:
    image = Tensor("image", (from_, 6, 3), 2.0**-7)
    output = Tensor("resized", (to, 12, 3), 2.0**-7)
    resize = Resize(inputs=(image,), output=output, kind=kind)
    network = Network("resize", image, (resize,), output, {})
    _assert_equal(network, every_operation.images(1, (from_, 6)))


def test_logits_at_a_stride_are_those_before_the_last_resize() -> None:
    keras.utils.set_random_seed(1)
    model = quantize(models.build("deeplabv3_resnet50", classes=5, width=4), preset("INTEGER"))
    image = every_operation.images(1, (32, 48))[0]
    model(image[np.newaxis].astype(np.float32), training=True)
    network = freeze(model, 32, 48)
    small = at_stride(network)
    assert (network.logits.shape, small.logits.shape) == ((32, 48, 5), (2, 3, 5))
    resize = network.operations[-1]
    np.testing.assert_array_equal(operate(resize, [compute(small, image)]), compute(network, image))
    classes = FileNetwork(write_tflite(small)).classify(image)
    assert classes.shape == (32, 48)


def test_a_network_that_ends_otherwise_has_full_logits_only(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="ends in Convolution, not in a resize"):
        at_stride(freeze(model, *every_operation.SIZE))


def test_an_image_of_another_size_is_refused(model: keras.Model) -> None:
    network = freeze(model, *every_operation.SIZE)
    with pytest.raises(ValueError, match=r"takes uint8 \(24, 32, 3\), received uint8 \(8, 8, 3\)"):
        compute(network, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="received float32"):
        compute(network, np.zeros((24, 32, 3), np.float32))
