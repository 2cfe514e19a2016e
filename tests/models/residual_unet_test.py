"""The small default network."""

import keras
import numpy as np
import pytest

from tfquantseg.models import residual_unet


@pytest.mark.parametrize("size", [(96, 96), (33, 50)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    model = residual_unet(11, width=2, input_size=size)
    logits = np.asarray(model(np.zeros((2, *size, 3), np.float32)))
    assert logits.shape == (2, *size, 11)
    assert logits.dtype == np.float32


def test_any_size_gives_what_a_fixed_size_gives() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 48, 3)).astype(np.float32)
    any_size = residual_unet(3, width=2, seed=4)
    fixed = residual_unet(3, width=2, seed=4, input_size=(40, 48))
    np.testing.assert_array_equal(any_size(image), fixed(image))


def test_padding_inside_equals_grey_padding_outside() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 37, 44, 3)).astype(np.float32)
    inside = residual_unet(3, width=2, input_size=(37, 44))(image)
    grey = np.pad(image, ((0, 0), (0, 3), (0, 4), (0, 0)), constant_values=128)
    outside = np.asarray(residual_unet(3, width=2)(grey))[:, :37, :44]
    np.testing.assert_array_equal(inside, outside)


def test_the_seed_alone_decides_the_weights() -> None:
    first, same, other = (residual_unet(3, width=2, seed=s).get_weights() for s in (1, 1, 2))
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    kernels = [w for w in first if w.ndim == 4]
    assert not np.array_equal(kernels[1].ravel()[:9], kernels[2].ravel()[:9])


def test_kernels_are_msra_and_the_enlargement_is_bilinear() -> None:
    model = residual_unet(5, width=16)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.asarray(layer.kernel)
            gain = 1 if layer.name.startswith("score") else 2
            expected = np.sqrt(gain / np.prod(kernel.shape[:3]))
            # At least 160 draws: their deviation is good to 1 / sqrt(320), three times that.
            assert kernel.std() == pytest.approx(expected, rel=0.17)
    taps = np.array([0.25, 0.75, 0.75, 0.25])
    up1 = np.asarray(model.get_layer("up1").kernel)
    np.testing.assert_array_equal(up1[..., 3, 3], np.outer(taps, taps))
    assert not up1[..., 3, 2].any()


def test_it_has_each_kind_of_part() -> None:
    kinds = {type(layer) for layer in residual_unet(2, width=1).layers}
    assert kinds >= {
        keras.layers.Add,
        keras.layers.BatchNormalization,
        keras.layers.Concatenate,
        keras.layers.Conv2D,
        keras.layers.Conv2DTranspose,
        keras.layers.MaxPooling2D,
        keras.layers.ReLU,
        keras.layers.UpSampling2D,
    }


def test_every_weight_receives_a_gradient() -> None:
    model = residual_unet(3, width=2, input_size=(32, 32))
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    before = [w.numpy().copy() for w in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(True))
    model.train_on_batch(image, np.random.default_rng(1).integers(0, 3, (2, 32, 32)))
    for variable, then in zip(model.trainable_variables, before, strict=True):
        assert (variable.numpy() != then).any(), variable.path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be an integer of at least 2 .* got 1"),
        ({"classes": 2.5}, "classes must be an integer"),
        ({"classes": 2, "width": 0}, "width must be an integer of at least 1 .* got 0"),
        ({"classes": 2, "input_size": (16, 96)}, "height must be an integer of at least 32"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        residual_unet(**arguments)  # type: ignore[arg-type]
