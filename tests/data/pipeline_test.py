"""The pipeline: the same bytes twice, exact resuming, and what happens to each pixel."""

import dataclasses
import functools
import pathlib
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfquantseg.data import Example, Pair, SegmentationData, batches, load, steps_per_epoch

Batches = list[tuple[np.ndarray, np.ndarray]]


def _data(sizes: list[tuple[int, int]], decoded: list[int] | None = None) -> SegmentationData:
    """Example k: random pixels, of which the first channel says where and whose they are."""

    def decode(index: int) -> Pair:
        if decoded is not None:
            decoded.append(index)
        height, width = sizes[index]
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        image[..., 0] = index
        # The label repeats a channel: whatever moves one moves the other.
        return Pair(image, image[..., 1] // 26)

    return SegmentationData(
        name="made",
        split="train",
        classes=tuple("0123456789"),
        palette=((0, 0, 0),) * 10,
        examples=tuple(
            Example(str(index), f"example {index}", functools.partial(decode, index))
            for index in range(len(sizes))
        ),
    )


def _read(data: tf.data.Dataset) -> Batches:
    return [(images.numpy(), labels.numpy()) for images, labels in data]


def _assert_equal(first: Batches, second: Batches) -> None:
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def _owners(epoch: Batches) -> list[int]:
    return [int(image[0, 0, 0]) for images, _ in epoch for image in images]


_train = functools.partial(batches, batch=3, training=True, size=(8, 6), flip=True, seed=5)


def test_two_runs_give_the_same_bytes() -> None:
    data = _data([(12, 10)] * 11)
    first = _read(_train(data, epoch=2))
    assert [images.shape for images, _ in first] == [(3, 8, 6, 3)] * 3
    _assert_equal(first, _read(_train(data, epoch=2)))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_resuming_gives_the_rest_of_the_epoch_and_decodes_no_more(start: int) -> None:
    decoded: list[int] = []
    data = _data([(12, 10)] * 11, decoded)
    whole = _read(_train(data, epoch=1))
    decoded.clear()
    _assert_equal(_read(_train(data, epoch=1, start_step=start)), whole[start:])
    assert len(decoded) == 9 - 3 * start


def test_each_epoch_and_seed_has_its_own_order_and_augmentation() -> None:
    data = _data([(12, 10)] * 60)
    orders = []
    for seed, epoch in ((5, 0), (5, 1), (6, 0), (5, 2), (0, 5)):
        owners = _owners(_read(_train(data, seed=seed, epoch=epoch)))
        assert sorted(owners) == list(range(60))
        orders.append(tuple(owners))
    assert len(set(orders)) == 5 and tuple(range(60)) not in orders
    one = _data([(40, 40)])
    windows = {_read(_train(one, batch=1, epoch=epoch))[0][0].tobytes() for epoch in range(20)}
    # 33 x 35 windows, mirrored or not: 20 draws are expected to hold 0.1 pair of equals.
    assert len(windows) >= 19


def test_the_augmentation_of_an_example_does_not_depend_on_the_batch() -> None:
    data = _data([(12, 10)] * 12)
    by_three, by_four = (_read(_train(data, batch=batch)) for batch in (3, 4))
    flat = [np.concatenate([images for images, _ in epoch]) for epoch in (by_three, by_four)]
    np.testing.assert_array_equal(flat[0], flat[1])


def test_a_crop_is_a_window_of_image_and_label_alike() -> None:
    data = _data([(12, 10)] * 9)
    corners = set()
    for images, labels in _read(_train(data, flip=False)):
        assert images.dtype == np.float32 and labels.dtype == np.int32
        np.testing.assert_array_equal(images[..., 1] // 26, labels)
        for image in images:
            whole = data.read(int(image[0, 0, 0])).image
            places = [
                (y, x)
                for y in range(5)
                for x in range(5)
                if np.array_equal(whole[y : y + 8, x : x + 6], image)
            ]
            assert len(places) == 1
            corners.update(places)
    assert len(corners) > 4


def test_flips_mirror_half_of_the_examples() -> None:
    data = _data([(2, 5)] * 200)
    mirrored = 0
    for images, labels in _read(
        batches(data, batch=10, training=True, size=(2, 5), flip=True, seed=1)
    ):
        np.testing.assert_array_equal(images[..., 1] // 26, labels)
        for image in images:
            whole = data.read(int(image[0, 0, 0])).image
            mirrored += not np.array_equal(image, whole)
            assert np.array_equal(image, whole) or np.array_equal(image, whole[:, ::-1])
    # Binomial of 200 at 1/2: mean 100, deviation 7; 4 deviations.
    assert 72 <= mirrored <= 128


def test_images_smaller_than_the_crop_are_padded() -> None:
    ((images, labels),) = _read(_train(_data([(5, 9)]), batch=1, flip=False))
    assert (images[0, 5:] == 128).all() and (labels[0, 5:] == 255).all()
    np.testing.assert_array_equal(images[0, :5, :, 1] // 26, labels[0, :5])


def test_resizing_averages_pixels_and_picks_labels() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, ::2] = 100
    label = np.arange(16, dtype=np.uint8).reshape(4, 4) % 10
    data = SegmentationData(
        name="made",
        split="val",
        classes=tuple("0123456789"),
        palette=((0, 0, 0),) * 10,
        examples=(Example("a", "a", lambda: Pair(image, label)),),
    )
    for training in (False, True):
        ((images, labels),) = _read(
            batches(data, batch=1, training=training, size=(2, 2), fit="resize")
        )
        # A triangle of 4 pixels, weights 1 3 3 1 of 8, cut to 3 at the border: 4/7 or 3/7 of 100.
        np.testing.assert_array_equal(images[0, :, :, 0], np.rint([[400 / 7, 300 / 7]] * 2))
        assert set(labels.ravel()) <= set(range(10)) and labels.shape == (1, 2, 2)


def test_evaluation_keeps_order_and_every_example() -> None:
    data = _data([(4, 6)] * 8)
    epoch = _read(batches(data, batch=3, training=False, size=(2, 2), flip=True))
    assert [len(labels) for _, labels in epoch] == [3, 3, 2]
    assert _owners(epoch) == list(range(8))
    for index, image in enumerate(np.concatenate([images for images, _ in epoch])):
        np.testing.assert_array_equal(image, data.read(index).image)
    _assert_equal(_read(batches(data, batch=3, training=False, start_step=2)), epoch[2:])


def test_evaluation_pads_to_the_multiple_and_to_the_largest_of_the_batch() -> None:
    sizes = [(5, 6), (8, 3), (4, 4)]
    data = _data(sizes)
    first, second = _read(batches(data, batch=2, training=False, multiple=4))
    assert (first[0].shape, second[0].shape) == ((2, 8, 8, 3), (1, 4, 4, 3))
    images, labels = first
    for index, (height, width) in enumerate(sizes[:2]):
        inside = np.zeros((8, 8), bool)
        inside[:height, :width] = True
        np.testing.assert_array_equal(images[index, :height, :width], data.read(index).image)
        assert (images[index][~inside] == 128).all()
        assert (labels[index][~inside] == 255).all() and (labels[index][inside] < 10).all()


def test_shapes_are_static_where_they_are_known() -> None:
    data = _data([(12, 10)] * 6)
    images, labels = _train(data, multiple=4).element_spec
    assert (images.shape, labels.shape) == ((3, 8, 8, 3), (3, 8, 8))
    images, _ = batches(data, batch=3, training=False, size=(8, 8), fit="resize").element_spec
    assert images.shape.as_list() == [None, 8, 8, 3]
    images, _ = batches(data, batch=3, training=False).element_spec
    assert images.shape.as_list() == [None, None, None, 3]


def test_evaluation_leaves_the_pixels_of_the_digits_as_they_are() -> None:
    data = load("digits", "val", scenes=2)
    ((images, labels),) = _read(batches(data, batch=2, training=False))
    for index in range(2):
        np.testing.assert_array_equal(images[index], data.read(index).image)
        np.testing.assert_array_equal(labels[index], data.read(index).label)


def test_an_example_that_cannot_be_read_says_so(tmp_path: pathlib.Path) -> None:
    for folder, value in (("val", 0), ("valannot", 12)):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.full((2, 2), value, np.uint8)).save(tmp_path / folder / "a.png")
    (tmp_path / "val.txt").write_text("/val/a.png /valannot/a.png\n")
    data = load("camvid", "val", root=tmp_path)
    message = rf"ValueError: {tmp_path}/val/a\.png with .*: label 12 in 4 pixels"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _read(batches(data, batch=1, training=False))


def test_no_tuner_outlives_the_iterator() -> None:
    # Deleting an iterator waits for TensorFlow's tuner, which slept on for up to a minute at the
    # end of one epoch in ten of recipe digits.
    options = batches(_data([(8, 8)] * 4), batch=2, training=True, size=(8, 8)).options()
    assert options.autotune.enabled is False


def test_no_more_threads_decode_at_once_than_the_data_says() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def decode() -> Pair:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        return Pair(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))

    examples = tuple(Example(str(index), str(index), decode) for index in range(24))
    data = dataclasses.replace(_data([(8, 8)]), examples=examples, threads=1)
    assert len(list(batches(data, batch=2, training=True, size=(8, 8)))) == 12
    assert most == [1]


def test_steps_per_epoch_counts_whole_batches() -> None:
    assert [steps_per_epoch(examples, 4) for examples in (4, 7, 8)] == [1, 1, 2]
    for batch in (0, 5):
        with pytest.raises(ValueError, match=rf"Batch {batch} does not fit 4 examples"):
            steps_per_epoch(4, batch)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fit": "stretch"}, "fit='stretch' is not known; accepted are 'crop' and 'resize'"),
        ({"size": None}, r"size=None is not accepted in training; give \(height, width\)"),
        ({"size": (0, 4)}, r"size=\(0, 4\) is not accepted"),
        ({"size": (4.5, 4)}, r"size=\(4.5, 4\) is not accepted in training; .* integers from 1"),
        ({"batch": 1.5}, "batch=1.5 is not accepted; give an integer from 1"),
        ({"size": (4,), "training": False}, r"size=\(4,\) is not accepted in evaluation"),
        ({"batch": 0}, "batch=0 is not accepted; give an integer from 1"),
        ({"batch": 7}, "Batch 7 does not fit 6 examples"),
        ({"multiple": 0}, "multiple=0 is not accepted"),
        ({"seed": -1}, "seed=-1 is not accepted; give an integer from 0"),
        ({"epoch": -1}, "epoch=-1 is not accepted"),
        ({"start_step": 4}, r"the epoch has 3 steps, 0\.\.3"),
        ({"start_step": -1}, "start_step=-1 is not accepted"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batches(_data([(4, 4)] * 6), **{"batch": 2, "training": True, "size": (4, 4)} | arguments)
