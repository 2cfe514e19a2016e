"""How the files that are compared are made of one float network."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.training import tiny
from tfquantseg.benchmark import contestants
from tfquantseg.benchmark.contestants import Options, Subject
from tfquantseg.training import parts

# What TensorFlow's converter says when it is asked for int8 at both ends.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")

OPTIONS = Options(
    steps=2, learning_rate=2.0**-6, calibration=3, images=2, policy="INTEGER", threads=1
)
COUNTED: list[tuple[int, str]] = []


def progress(total: int, what: str) -> Callable[[], None]:
    """Keeps what was told."""
    COUNTED.append((total, what))
    return lambda: None


def small() -> keras.Model:
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(x)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    logits = keras.layers.Conv2D(11, 1, name="logits")(x)
    return keras.Model(image, logits, name="small")


@pytest.fixture
def subject() -> Subject:
    """Two convolutions on digits."""
    config = tiny.config(rules=())
    parts.deterministic(config.seed)
    return Subject(
        model=small(),
        config=config,
        step=4,
        training=parts.data(config, "train"),
        held_out=parts.data(config, "val[:0.25]"),
        size=(64, 64),
    )


def test_files_before_training_class_as_the_network(subject: Subject) -> None:
    base, ptq = (make(subject, OPTIONS) for make in (contestants.float32, contestants.stock_ptq))
    # LiteRT sums in another order: a pixel whose two best classes tie may change.
    assert base.agreement > 0.999
    # 8 bits of a network of two convolutions.
    assert ptq.agreement > 0.95
    assert base.certificate is None and ptq.certificate is None
    assert len(ptq.content) != len(base.content)


def test_what_trains_on_gets_the_same_steps_and_leaves_the_network_alone(subject: Subject) -> None:
    COUNTED.clear()
    before = [weight.copy() for weight in subject.model.get_weights()]
    base = contestants.float32(subject, OPTIONS)
    on = contestants.float32_on(subject, OPTIONS, progress)
    ours = contestants.ours(subject, OPTIONS, progress)
    for weight, old in zip(subject.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert on.content != base.content
    assert COUNTED == [
        (2, "steps of float32"),
        (2, "steps of ours"),
        (2, "images compared step by step"),
    ]
    assert on.agreement > 0.999  # as above
    assert ours.certificate is not None
    kept = ("ok", "weights_equal", "twin_equal", "images")
    assert [ours.certificate[name] for name in kept] == [True, True, True, 2]


def test_calibration_images_are_cut_or_padded_and_rescaled(subject: Subject) -> None:
    wide = dataclasses.replace(subject, size=(32, 80))
    images = wide.calibration(2)
    assert (images.shape, images.dtype) == ((2, 32, 80, 3), np.float32)
    first = subject.training.read(0).image[:32]
    np.testing.assert_array_equal(images[0, :, :64] * 128 + 128, first)
    assert not images[:, :, 64:].any()  # mid-grey


def test_layers_learn_with_the_factors_of_the_recipe(subject: Subject) -> None:
    subject.config.optimizer.factors = (("stem", 0.5), ("logits", 4.0, 5), ("stem.*", 2.0))
    found = contestants._factors(subject)
    # The first pattern that matches; a layer that learns from step 5 on rests in step 4.
    assert found == {"stem": 0.5, "logits": 0.0, "stem_bn": 2.0, "stem_relu": 2.0}


def test_what_has_no_twin_in_tf_keras_is_named(subject: Subject) -> None:
    contestants.check_described(subject)
    image = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    odd = keras.Model(image, keras.layers.Softmax(name="odd")(x))
    with pytest.raises(ValueError, match=r"'odd' is a Softmax.*Or leave tfmot_qat out"):
        contestants.check_described(dataclasses.replace(subject, model=odd))
    subject.config.loss = "mse_one_hot"
    with pytest.raises(ValueError, match="and this run with mse_one_hot; leave tfmot_qat out"):
        contestants.check_described(subject)
