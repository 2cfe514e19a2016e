"""The recipes of the paper's scale, made small: the network is built and trains one step."""

import pathlib
import runpy
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from tests.data import published_trees
from tfquantseg.cli import recipes
from tfquantseg.training import parts, recipe
from tfquantseg.training.step import training_batches, training_step

SIZE = 64
NAMES = ("voc_fcn8s", "voc_deeplab", "ade20k_fcn8s", "ade20k_deeplab")
VARIANTS = ("paper", "authors")
SMALL = {
    "fcn8s_vgg16": {"encoder": None, "fc_width": 64},
    "deeplabv3_resnet50": {"encoder": None, "width": 16},
}


@pytest.fixture
def data_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """VOC 2012 with SBD, and SceneParse150, of two images a split."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[:, SIZE // 2 :] = 1
    lists = {"train": ("a", "b"), "val": ("c", "d"), "train_aug": ("a", "e")}
    published_trees.voc(tmp_path, lists, labels)
    published_trees.sbd(tmp_path, {"train": ("e",)}, labels)
    published_trees.ade(tmp_path, labels + np.uint8(1), ("1", "2"), ("1", "2"))
    monkeypatch.setenv("TFQUANTSEG_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def eager() -> Iterator[None]:
    """Steps run op by op: to trace one takes longer than these few pixels."""
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("data_folder", "eager")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_one_step(name: str, variant: str) -> None:
    config = runpy.run_path(str(recipes.shipped()[name]))["get_config"](variant)
    assert (tuple(config.data.size), config.data.batch) == ((512, 512), 8)
    config.data.size = (SIZE, SIZE)
    config.data.batch = 2
    config.model.args.update(SMALL[config.model.name])
    recipe.check(config)
    train, val = (parts.data(config, split) for split in (config.data.train, config.data.val))
    assert (len(train), len(val)) == (2, 2)
    parts.deterministic(config.seed)
    model = parts.model(config, len(train.classes))
    optimizer = parts.optimizer(config)
    optimizer.build(model.trainable_variables)
    step = training_step(
        model, parts.loss(config, train), optimizer, classes=len(train.classes), ignore=255
    )
    images, labels = next(training_batches(config, train, 0))
    assert images.shape == (2, SIZE, SIZE, 3)
    before = [weight.numpy() for weight in model.trainable_variables]
    tf.config.run_functions_eagerly(True)
    result = step(images, labels)
    assert np.isfinite(result.loss)
    assert float(result.learning_rate) == config.optimizer.learning_rate
    moved = [
        (weight.numpy() != old).any()
        for weight, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert sum(moved) > len(moved) / 2
