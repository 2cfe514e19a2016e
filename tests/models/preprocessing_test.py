"""Folding an encoder's preprocessing into its first convolution."""

import keras
import numpy as np
import pytest

from tfquantseg.models.preprocessing import PREPROCESSINGS, Preprocessing, find_preprocessing

_SHIFTED = Preprocessing(order="bgr", mean=(90.0, 110.0, 140.0), deviation=(50.0, 60.0, 70.0))


def _convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.conv(x.astype(np.float32), kernel, padding="same")) + bias


def _case(preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws kernel and bias, and returns the kernel, what the encoder computes, and the fold."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (1, 9, 11, 3))
    kernel = random.normal(size=(3, 3, 3, 5)).astype(np.float32)
    bias = random.normal(size=5).astype(np.float32)
    channels = image[..., ::-1] if preprocessing.order == "bgr" else image
    x = (channels - np.array(preprocessing.mean)) / np.array(preprocessing.deviation)
    folded = _convolve((image - 128) / 128, *preprocessing.fold(kernel, bias))
    return kernel, _convolve(x, kernel, bias), folded


@pytest.mark.parametrize("preprocessing", [*PREPROCESSINGS.values(), _SHIFTED])
def test_exact_inside(preprocessing: Preprocessing) -> None:
    _, original, folded = _case(preprocessing)
    # Both sides are float32 sums of 28 terms whose size is that of the largest output.
    tolerance = 1e-5 * np.abs(original).max()
    np.testing.assert_allclose(
        folded[:, 1:-1, 1:-1], original[:, 1:-1, 1:-1], rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("name", ["caffe", "torch"])
def test_a_border_pixel_differs_by_the_terms_of_its_padded_taps(name: str) -> None:
    preprocessing = PREPROCESSINGS[name]
    kernel, original, folded = _case(preprocessing)
    mean, deviation = np.array(preprocessing.mean), np.array(preprocessing.deviation)
    terms = (kernel * ((128 - mean) / deviation)[:, np.newaxis]).sum(2)  # [3, 3, filters]
    difference = (folded - original)[0]
    tolerance = 1e-5 * np.abs(original).max()  # as inside
    for pixels, padded in (
        (difference[0, 1:-1], terms[0].sum(0)),
        (difference[-1, 1:-1], terms[2].sum(0)),
        (difference[1:-1, 0], terms[:, 0].sum(0)),
        (difference[1:-1, -1], terms[:, 2].sum(0)),
        (difference[:1, 0], terms[0].sum(0) + terms[1:, 0].sum(0)),
    ):
        expected = np.broadcast_to(padded, pixels.shape)
        np.testing.assert_allclose(pixels, expected, rtol=0, atol=tolerance)
        assert np.abs(padded).max() > 100 * tolerance


def test_signed_is_the_models_own_and_changes_nothing() -> None:
    kernel, original, folded = _case(PREPROCESSINGS["signed"])
    np.testing.assert_array_equal(PREPROCESSINGS["signed"].fold(kernel, np.zeros(5))[0], kernel)
    np.testing.assert_allclose(folded, original, rtol=0, atol=1e-5 * np.abs(original).max())


def test_equal_values_are_equal() -> None:
    caffe = Preprocessing(order="bgr", mean=(103.939, 116.779, 123.68))
    assert caffe == PREPROCESSINGS["caffe"]


def test_bad_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="'rgb' or 'bgr', got 'rbg'"):
        Preprocessing(order="rbg", mean=(0, 0, 0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"3 channels, got \(0, 0\)"):
        Preprocessing(order="rgb", mean=(0, 0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"positive, got \(1.0, 0.0, 1.0\)"):
        Preprocessing(order="rgb", mean=(0, 0, 0), deviation=(1, 0, 1))


def test_a_recipe_gives_the_fields() -> None:
    fields = {"order": "rgb", "mean": [187.4, 180.5, 167.7], "deviation": (63.75,) * 3}
    found = find_preprocessing(fields)
    mean = (187.4, 180.5, 167.7)
    assert found == Preprocessing(order="rgb", mean=mean, deviation=(63.75,) * 3)
    assert find_preprocessing(found) is found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order": "rgb", "means": (1, 2, 3)}, "'means'; accepted: .*Did you mean 'mean'?"),
        ({"mean": (1, 2, 3)}, "needs the fields order and mean, received {'mean'"),
        ({"order": "rgb", "mean": (1, 2)}, r"mean must have one value for each .* got \(1, 2\)"),
        ({"order": "rgb", "mean": 3}, "mean must have one value for each .* got 3"),
        ({"order": "rgb", "mean": ("1",) * 3}, "mean must have one value for each"),
        ({"order": "rgb", "mean": (1, 2, float("nan"))}, "mean must have one value for each"),
    ],
)
def test_fields_that_are_no_preprocessing_are_named(
    fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find_preprocessing(fields)
