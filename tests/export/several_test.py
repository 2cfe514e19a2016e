"""Models of several images and several outputs, as Python converts them."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.export import structures
from tests.export.whole_way import Certified, L, certified, on_grid, random_images
from tfquantseg import preset, quantize
from tfquantseg.export import (
    FileProgram,
    at_stride,
    calibrate,
    certify,
    draft,
    graph_of,
    preflight,
    with_argmax,
    write_tflite,
)
from tfquantseg.export.twin import compute_all
from tfquantseg.layers import QuantEdge


@pytest.fixture(scope="module")
def found() -> Certified:
    """Three images and two heads, certified."""
    return certified(structures.several())


def test_several_inputs_and_outputs_go_all_the_way(found: Certified) -> None:
    images = random_images(found.model, 3)
    names = [tensor.name for tensor in found.model.inputs]
    assert [tensor.name for tensor in found.network.images] == names
    assert [tensor.name for tensor in found.network.outputs] == ["coarse", "fine"]
    for border in ("int8", "uint8"):
        file = FileProgram(write_tflite(found.network, border), kernels="reference")
        given = [image[2] for image in images]
        made = compute_all(found.network, *given)
        coarse, fine = file(*given)
        assert (coarse.shape, fine.shape) == ((4, 4, 2), (16, 16, 3))
        np.testing.assert_array_equal(coarse, made["coarse"])
        np.testing.assert_array_equal(fine, made["fine"])


def test_each_head_is_compared(found: Certified) -> None:
    (network, fine) = found.network, found.network.outputs[1]
    operations = [
        dataclasses.replace(one, bias=one.bias + 1.0) if one.output == fine else one
        for one in network.operations
    ]
    forged = write_tflite(dataclasses.replace(network, operations=tuple(operations)))
    images = zip(*random_images(found.model, 1), strict=True)
    broken = certify(network, found.model, forged, images)
    assert broken.file_twin.most > 0


def test_images_of_several_inputs_calibrate(found: Certified) -> None:
    model = found.model
    images = [tuple(image[n] for image in random_images(model, 2)) for n in range(2)]
    scales = calibrate(model, images, "max")
    assert len(scales) == sum(
        isinstance(layer, QuantEdge) and layer.fixed_scale is None for layer in model.layers
    )


@pytest.mark.parametrize("ending", [at_stride, with_argmax])
def test_classes_are_made_of_one_output(found: Certified, ending) -> None:
    with pytest.raises(ValueError, match=r"returns 2 tensors \(coarse, fine\); classes, and"):
        ending(found.network)


def test_a_draft_of_several_heads_is_known_before_training(found: Certified) -> None:
    untrained = quantize(structures.several(), preset("INTEGER"))
    before = preflight(graph_of(write_tflite(draft(untrained, 16, 16)), name="several"))
    after = preflight(graph_of(found.content, name="several"))
    operators = [
        [(one.operator.op, one.operator.version, one.operator.outputs[0].shape) for one in placed]
        for placed in (before.placed, after.placed)
    ]
    assert operators[0] == operators[1]


def test_an_output_may_be_read_again_and_be_returned_twice() -> None:
    image = keras.Input((16, 16, 3), name="photo")
    x = structures.conv(on_grid(image), activation="relu", name="features")
    y = structures.conv(x, name="logits")
    made = certified(keras.Model(image, {"a": x, "b": [y, x]}, name="again"))
    assert [tensor.name for tensor in made.network.outputs] == ["features", "logits", "features"]


def _two_grids() -> keras.Model:
    image = keras.Input((16, 16, 3), name="photo")
    one = structures.conv(on_grid(image))
    other = structures.conv(L.Rescaling(1 / 64, offset=-2)(image))
    return keras.Model(image, L.Add()([one, other]))


def _unread() -> keras.Model:
    image, other = keras.Input((16, 16, 3), name="photo"), keras.Input((16, 16, 3), name="other")
    return keras.Model([image, other], structures.conv(on_grid(image)))


def _vector() -> keras.Model:
    image, vector = keras.Input((16, 16, 3), name="photo"), keras.Input((8,), name="vector")
    y = L.Concatenate()([L.GlobalAveragePooling2D()(on_grid(image)), vector])
    return keras.Model([image, vector], L.Dense(3)(y))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            _two_grids,
            r"the image 'photo' enters on two grids, of [0-9.]+ and [0-9.]+; let one Rescaling",
        ),
        (_unread, "no layer reads the input 'other'; leave it out"),
        (_vector, r"the model's input 'vector' has the shape \(8,\); files take images"),
    ],
)
def test_inputs_that_no_file_takes(made: Callable[[], keras.Model], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        certified(made())
