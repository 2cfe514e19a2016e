"""Master weights in files: three bytes each, back bit for bit; files of before stay readable."""

import dataclasses
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tfquantseg.layers.masters import PackedMasters
from tfquantseg.numerics import unpack24
from tfquantseg.policy import INTEGER, PAPER_FCN, Policy
from tfquantseg.transform import quantize

MOST = 2**23 - 1


def _network() -> keras.Model:
    keras.utils.clear_session()  # so that layers are called alike each time
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", name="convolution")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    return keras.Model(image, keras.layers.Conv2DTranspose(2, 2, 2, name="transposed")(x))


def _extremes(model: keras.Model) -> list[np.ndarray]:
    """Every master at the ends of its grid, next to zero, at both zeros; returns all weights."""
    for variable in model.trainable_variables:
        grid = variable.update_rule.U
        steps = np.resize([MOST, -MOST, 0, 1, -1, 2**22 + 1], variable.shape).astype(np.float32)
        values = steps * grid.limits_for(variable.shape) * np.float32(2.0**-23)
        values.flat[-1] = -0.0
        variable.assign(values)
    return [weight.numpy() for weight in model.weights]


def _same_bits(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        for a, b in zip(one, other, strict=True)
    )


def _stored(path: Path) -> dict[str, np.ndarray]:
    """Every array in the weights of a file, by its path there."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:

        def keep(name: str, entry: h5py.Group | h5py.Dataset) -> None:
            if isinstance(entry, h5py.Dataset):
                found[name] = np.asarray(entry)

        with h5py.File(file) as weights:
            weights.visititems(keep)
    return found


@pytest.mark.parametrize("policy", [INTEGER, PAPER_FCN], ids=lambda policy: policy.name)
def test_a_saved_model_loads_bit_for_bit(policy: Policy, tmp_path: Path) -> None:
    model = quantize(_network(), policy)
    before = _extremes(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert _same_bits(before, [weight.numpy() for weight in again.weights])


def test_masters_are_three_bytes_a_value_in_the_file(tmp_path: Path) -> None:
    model = quantize(_network(), INTEGER)
    _extremes(model)
    model.save(tmp_path / "model.keras")
    stored = _stored(tmp_path / "model.keras")
    packed = [array for array in stored.values() if array.dtype == np.uint8]
    masters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert sum(array.size for array in packed) == 3 * masters
    kernel = next(array for array in packed if array.shape == (3, 3, 3, 4, 3))
    assert unpack24(kernel).flat[:3].tolist() == [MOST, -MOST, 0]
    # What lies on no grid stays float32: moving statistics, running scales, the monitor.
    floats = [array for array in stored.values() if array.dtype == np.float32]
    assert len(floats) == len(model.non_trainable_variables)


def test_files_of_before_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = quantize(_network(), INTEGER)
    before = _extremes(model)
    with monkeypatch.context() as patch:  # as Keras writes any layer, and this project once did
        patch.delattr(PackedMasters, "save_own_variables")
        model.save(tmp_path / "before.keras")
    assert all(array.dtype != np.uint8 for array in _stored(tmp_path / "before.keras").values())
    again = keras.saving.load_model(tmp_path / "before.keras", compile=False)
    assert _same_bits(before, [weight.numpy() for weight in again.weights])


def test_values_off_their_grid_are_kept_as_they_are(tmp_path: Path) -> None:
    model = quantize(_network(), INTEGER)
    kernel = model.get_layer("convolution").kernel
    kernel.assign(kernel + 2.0**-30)  # as another optimizer leaves them
    before = [weight.numpy() for weight in model.weights]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert _same_bits(before, [weight.numpy() for weight in again.weights])


def test_masters_of_float32_have_no_grid(tmp_path: Path) -> None:
    model = quantize(_network(), dataclasses.replace(INTEGER, k_U=None))
    before = [weight.numpy() for weight in model.weights]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert _same_bits(before, [weight.numpy() for weight in again.weights])


def test_weights_alone_load_into_the_same_model(tmp_path: Path) -> None:
    model = quantize(_network(), INTEGER)
    before = _extremes(model)
    model.save_weights(tmp_path / "some.weights.h5")
    other = quantize(_network(), INTEGER)
    other.load_weights(tmp_path / "some.weights.h5")
    assert _same_bits(before, [weight.numpy() for weight in other.weights])
