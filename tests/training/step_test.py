"""One step, and the order of batches."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tests.two_devices import on_two_devices
from tfquantseg.data import Example, Pair, SegmentationData
from tfquantseg.losses import softmax_cross_entropy
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.schedules import Halvings
from tfquantseg.training.step import training_batches, training_step

IMAGES = np.random.default_rng(0).uniform(0, 2, (2, 4, 4, 3)).astype(np.float32)
LABELS = np.array([[[0, 1, 1, 255]] * 4, [[1, 0, 1, 255]] * 4], np.int32)


def _linear() -> keras.Model:
    image = keras.Input((4, 4, 3))
    logits = keras.layers.Conv2D(2, 1, kernel_initializer="zeros", name="logits")(image)
    return keras.Model(image, logits)


def _two_steps(distributed: bool) -> tuple[np.ndarray, float, np.ndarray]:
    """Kernel, last loss and last confusion after two steps, one image a device if distributed."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]) if distributed else None
    with strategy.scope() if strategy else tf.distribute.get_strategy().scope():
        model, optimizer = _linear(), IntegerSGD(0.5, momentum=0.5)
        optimizer.build(model.trainable_variables)
        step = training_step(model, softmax_cross_entropy, optimizer, classes=2, ignore=255)
        dataset = tf.data.Dataset.from_tensors((IMAGES, LABELS)).unbatch().batch(2).repeat(2)
        for batch in tf.distribute.get_strategy().experimental_distribute_dataset(dataset):
            result = step(*batch)
    return model.weights[0].numpy(), float(result.loss), result.confusion.numpy()


def test_a_step_descends_the_gradient_of_the_loss() -> None:
    model, optimizer = _linear(), IntegerSGD(Halvings(0.5, (1,)))
    optimizer.build(model.trainable_variables)
    step = training_step(model, softmax_cross_entropy, optimizer, classes=2, ignore=255)
    result = step(IMAGES, LABELS)
    valid = LABELS != 255
    # All logits are 0: the loss is ln 2 and dL/dlogit = (1/2 - [y = c]) / 24 at the 24 labels.
    errors = (0.5 - np.eye(2)[LABELS[valid]]) / 24
    # 1e-6 and 1e-7: sums of 24 products in float32.
    np.testing.assert_allclose(result.loss, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(
        model.weights[0].numpy()[0, 0], -0.5 * IMAGES[valid].T @ errors, rtol=1e-6, atol=1e-7
    )
    # Where all logits are equal the prediction is class 0.
    np.testing.assert_array_equal(result.confusion, [[8, 0], [16, 0]])
    assert float(result.learning_rate) == 0.5
    assert float(step(IMAGES, LABELS).learning_rate) == 0.25


def test_two_devices_do_what_one_does() -> None:
    kernel, loss, confusion = _two_steps(distributed=False)
    on_two, loss_on_two, confusion_on_two = on_two_devices(_two_steps, True)
    # 1e-6 and 1e-7: the sum over two images is taken in another order, in float32.
    np.testing.assert_allclose(on_two, kernel, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(loss_on_two, loss, rtol=1e-6)
    np.testing.assert_array_equal(confusion_on_two, confusion)


def test_nothing_is_traced_again_in_another_epoch_or_at_another_learning_rate() -> None:
    model, optimizer = _linear(), IntegerSGD(Halvings(0.5, (3,)))
    optimizer.build(model.trainable_variables)
    step = training_step(model, softmax_cross_entropy, optimizer, classes=2, ignore=255)
    # 2 steps an epoch: the fifth image is left over, and would make a batch of another size.
    data = tiny.data([[[0, 1, 1, 255]] * 4] * 5)
    config = _config()
    for batch in itertools.islice(training_batches(config, data, 0), 5):
        step(*batch)
    assert step.experimental_get_tracing_count() == 1


def test_batches_are_the_same_wherever_the_run_starts() -> None:
    data = tiny.data([[[i % 2] * 4] * 4 for i in range(6)])
    config = _config()
    whole = list(itertools.islice(training_batches(config, data, 0), 8))  # 3 steps an epoch
    for start in (2, 3, 4):
        part = list(itertools.islice(training_batches(config, data, start), 8 - start))
        for (images, labels), (same_images, same_labels) in zip(whole[start:], part, strict=True):
            np.testing.assert_array_equal(images, same_images)
            np.testing.assert_array_equal(labels, same_labels)


def test_training_batches_are_padded_to_the_multiple() -> None:
    config = _config()
    config.data.size = (5, 4)
    images, labels = next(training_batches(config, tiny.data([[[0] * 4] * 4] * 2), 0))
    assert (images.shape, labels.shape) == ((2, 8, 4, 3), (2, 8, 4))


def test_an_example_that_cannot_be_read_raises_its_own_error() -> None:
    def broken() -> Pair:
        raise ValueError("a.png is corrupt; replace it.")

    made = tiny.data([[[0]]])
    data = SegmentationData(
        "made", "train", made.classes, made.palette, (Example("a", "a.png", broken),)
    )
    config = _config()
    config.data.batch = 1
    with pytest.raises(ValueError, match=r"^a.png is corrupt; replace it\.$"):
        next(training_batches(config, data, 0))


def _config() -> tiny.ConfigDict:
    config = tiny.config()
    config.data.size = (4, 4)
    config.data.flip = False
    config.data.multiple = 4
    return config
