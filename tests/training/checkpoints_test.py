"""Checkpoints: exact, whole or absent, of this model or refused."""

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.tiny import dropout_model
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import ADDED, FLOAT, INTEGER, Rules
from tfquantseg.training import checkpoints
from tfquantseg.transform import quantize

CONFIG = {"seed": 0}


def _built(width: int = 3) -> tuple[keras.Model, IntegerSGD]:
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = dropout_model(width)
    optimizer = IntegerSGD(2.0**-4, momentum=0.5)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def _train(model: keras.Model, optimizer: IntegerSGD, steps: int) -> None:
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 3)), tf.float32)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(image, training=True) - 1))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


def _values(model: keras.Model, optimizer: IntegerSGD) -> list[np.ndarray]:
    return [variable.numpy() for variable in [*model.variables, *optimizer.variables]]


def _save(folder: Path, step: int, miou: float | None = None, keep: int = 9) -> Path:
    model, optimizer = _built()
    saved = checkpoints.save(
        folder, model, optimizer, step=step, miou=miou, config=CONFIG, keep=keep
    )
    return saved.path


def _steps(folder: Path) -> list[int]:
    return [checkpoint.step for checkpoint in checkpoints.listed(folder)]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond 6,000 bytes, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_going_on_equals_never_having_stopped(tmp_path: Path) -> None:
    model, optimizer = _built()
    _train(model, optimizer, 3)
    saved = checkpoints.save(tmp_path, model, optimizer, step=3, miou=0.5, config=CONFIG, keep=1)
    _train(model, optimizer, 3)
    again, its_optimizer = _built()
    checkpoints.restore(saved, again, its_optimizer, CONFIG)
    _train(again, its_optimizer, 3)
    pairs = zip(_values(model, optimizer), _values(again, its_optimizer), strict=True)
    # Bit for bit: weights, velocities, the count of steps, and the state of dropout's seed.
    assert all(np.array_equal(a, b) for a, b in pairs)
    # The test would see a difference: one more step of dropout gives others.
    _train(again, its_optimizer, 1)
    assert not np.array_equal(model.weights[0].numpy(), again.weights[0].numpy())


def _quantized() -> tuple[keras.Model, IntegerSGD]:
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="first")(image)
    x = keras.layers.Conv2D(3, 3, padding="same", name="second")(x)
    model = quantize(keras.Model(image, x), Rules((("second", FLOAT), (".*", INTEGER))))
    optimizer = IntegerSGD(2.0**-4, momentum=0.5)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def test_velocities_are_three_bytes_a_value_and_exact(tmp_path: Path) -> None:
    model, optimizer = _quantized()
    _train(model, optimizer, 2)
    saved = checkpoints.save(tmp_path, model, optimizer, step=2, miou=None, config=CONFIG, keep=1)
    with np.load(saved.path / "state.npz") as state:
        stored = [state[name] for name in state.files]
    # Kernel and bias of the layer on grids; those of the float layer are as they were.
    assert [array.shape for array in stored if array.dtype == np.uint8] == [(3, 3, 3, 3, 3), (3, 3)]
    assert [array.shape for array in stored if array.ndim == 4] == [(3, 3, 3, 3)]
    again, its_optimizer = _quantized()
    checkpoints.restore(saved, again, its_optimizer, CONFIG)
    pairs = zip(_values(model, optimizer), _values(again, its_optimizer), strict=True)
    assert all(a.tobytes() == b.tobytes() for a, b in pairs)
    assert any(np.any(v.numpy()) for v in its_optimizer.variables if v.shape == (3, 3, 3, 3))


def test_a_checkpoint_of_before_anything_was_packed_is_gone_on_with(tmp_path: Path) -> None:
    model, optimizer = _quantized()
    _train(model, optimizer, 2)
    saved = checkpoints.save(tmp_path, model, optimizer, step=2, miou=None, config=CONFIG, keep=1)
    with np.load(saved.path / "state.npz") as state:
        names = state.files
    values = [variable.numpy() for variable in optimizer.variables]
    before = dict(zip([name for name in names if "optimizer" in name], values, strict=True))
    np.savez(saved.path / "state.npz", **before)  # as it was written once
    again, its_optimizer = _quantized()
    checkpoints.restore(saved, again, its_optimizer, CONFIG)
    pairs = zip(_values(model, optimizer), _values(again, its_optimizer), strict=True)
    assert all(a.tobytes() == b.tobytes() for a, b in pairs)


def test_what_is_saved_is_listed(tmp_path: Path) -> None:
    path = _save(tmp_path, 7, miou=0.25)
    assert path == tmp_path / "step_00000007"
    assert checkpoints.listed(tmp_path) == [checkpoints.Checkpoint(path, 7, 0.25)]
    assert {file.name for file in path.iterdir()} == {
        "model.keras", "state.npz", "checkpoint.json",
    }  # fmt: skip


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) is None
    assert checkpoints.best(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="holds no checkpoint yet"):
        checkpoints.find(tmp_path, "last")


def test_the_last_few_and_the_best_are_kept(tmp_path: Path) -> None:
    for step, miou in ((1, 0.3), (2, 0.6), (3, None), (4, 0.6), (5, 0.1)):
        _save(tmp_path, step, miou, keep=2)
    assert _steps(tmp_path) == [2, 4, 5]
    assert checkpoints.find(tmp_path, "best").step == 2
    assert checkpoints.find(tmp_path, "last").step == 5


def test_without_an_evaluation_there_is_no_best(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    with pytest.raises(FileNotFoundError, match="no evaluated checkpoint yet"):
        checkpoints.find(tmp_path, "best")
    with pytest.raises(ValueError, match="'first' is not known; accepted are 'best' and 'last'"):
        checkpoints.find(tmp_path, "first")  # type: ignore[arg-type]


def test_a_step_that_is_saved_already_stays(tmp_path: Path) -> None:
    before = (_save(tmp_path, 1, miou=0.5) / "state.npz").stat().st_mtime_ns
    assert (_save(tmp_path, 1) / "state.npz").stat().st_mtime_ns == before


def test_another_model_is_refused(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    newest = checkpoints.find(tmp_path, "last")
    with pytest.raises(ValueError, match=r"another model: architecture.*filters is 3 there and 4"):
        checkpoints.restore(newest, *_built(width=4), CONFIG)


def test_another_config_is_refused(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    newest = checkpoints.find(tmp_path, "last")
    with pytest.raises(ValueError, match=r"config.seed is 0 there and 1 in this run"):
        checkpoints.restore(newest, *_built(), {"seed": 1})


def test_a_checkpoint_of_before_a_key_existed_is_gone_on_with(tmp_path: Path) -> None:
    path = _save(tmp_path, 1)
    about = json.loads((path / "checkpoint.json").read_text())
    assert "class_balance" not in about["config"]
    newest = checkpoints.find(tmp_path, "last")
    later = {"seed": 0, "class_balance": 0.0}
    checkpoints.restore(newest, *_built(), later)
    with pytest.raises(ValueError, match=r"config.class_balance is 0.0 there and 0.5 in this run"):
        checkpoints.restore(newest, *_built(), {**later, "class_balance": 0.5})


def test_a_checkpoint_of_before_a_policy_had_a_field_is_gone_on_with(tmp_path: Path) -> None:
    model, optimizer = _quantized()
    saved = checkpoints.save(tmp_path, model, optimizer, step=1, miou=None, config=CONFIG, keep=1)
    description = saved.path / "checkpoint.json"
    about = json.loads(description.read_text())
    policies = [
        layer["config"]["policy"]
        for layer in about["architecture"]["config"]["layers"]
        if "policy" in layer["config"]
    ]
    assert len(policies) > 2
    for policy in policies:
        for field in ADDED:
            del policy[field]
    description.write_text(json.dumps(about))
    checkpoints.restore(saved, *_quantized(), CONFIG)
    policies[-1]["A_scale"] = "moments"
    description.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"A_scale is 'moments' there and 'max' in this run"):
        checkpoints.restore(saved, *_quantized(), CONFIG)


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    for name in ("step_00000001.bak", "step_old"):
        (tmp_path / name).mkdir()
    assert _steps(tmp_path) == [1]


@pytest.mark.parametrize(
    "about", ["{}", "[]", '{"step": 1}', '{"step": 2, "miou": null}', '{"step": null}']
)
def test_a_description_without_its_keys_is_named(tmp_path: Path, about: str) -> None:
    path = _save(tmp_path, 1)
    whole = json.loads((path / "checkpoint.json").read_text())
    part = json.loads(about)
    damaged = {**whole, **part} if "step" in part and len(part) == 2 else part
    (path / "checkpoint.json").write_text(json.dumps(damaged))
    with pytest.raises(ValueError, match=f"Checkpoint {path} is damaged"):
        checkpoints.listed(tmp_path)


@pytest.mark.parametrize("length", [0, 100])
@pytest.mark.parametrize("file", ["model.keras", "state.npz", "checkpoint.json"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, file: str, length: int) -> None:
    path = _save(tmp_path, 1)
    newest = checkpoints.find(tmp_path, "last")
    (path / file).write_bytes((path / file).read_bytes()[:length])
    with pytest.raises(ValueError, match=f"Checkpoint {path} is damaged"):
        checkpoints.restore(newest, *_built(), CONFIG)


def test_a_checkpoint_is_compared_with_its_work_directory(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    newest = checkpoints.find(tmp_path, "last")
    checkpoints.check_config(newest, CONFIG)
    with pytest.raises(ValueError, match=r"config.seed is 0 there and 1 in this run"):
        checkpoints.check_config(newest, {"seed": 1})


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(OSError, match=r"Step 1 could not be saved .*there is none yet"):
        _save(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    good = _save(tmp_path, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(OSError, match=f"the last whole checkpoint is {good}"):
        _save(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [good]
    checkpoints.restore(checkpoints.find(tmp_path, "last"), *_built(), CONFIG)


def test_what_identifies_a_model_is_in_the_file(tmp_path: Path) -> None:
    about = json.loads((_save(tmp_path, 1) / "checkpoint.json").read_text())
    assert about["config"] == CONFIG
    assert about["weights"]["conv/kernel"] == "float32 [3, 3, 3, 3]"
