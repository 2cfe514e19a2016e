"""Metadata for MediaPipe: its own ImageSegmenter reads them back, and sees the same classes."""

import io
import sys
import zipfile

import mediapipe
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from mediapipe.tasks import python as tasks
from mediapipe.tasks.metadata import (
    image_segmenter_metadata_schema_py_generated as segmenter_schema,
)
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema

from tests.export import files
from tfquantseg.export import graph_of, with_segmenter_metadata
from tfquantseg.export.graph_file import model_of

LABELS = ("sky", "road", "Straße", "red car", "person")


def _segmenter_file(**options) -> bytes:
    return files.segmenter(input_type=tf.uint8, **options)


def _image() -> np.ndarray:
    """Noise in blocks of 4 x 4 pixels, so that the classes form areas."""
    blocks = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return blocks.repeat(4, 0).repeat(4, 1)


def _logits(tflite: bytes, image: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=tflite)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


@pytest.mark.parametrize("activation", ["none", "softmax"])
def test_mediapipe_opens_the_file_and_sees_the_same_classes(activation: str) -> None:
    plain = _segmenter_file()
    tflite = with_segmenter_metadata(plain, LABELS, activation=activation)
    options = tasks.vision.ImageSegmenterOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=tflite),
        output_category_mask=True,
        output_confidence_masks=True,
    )
    image = _image()
    with tasks.vision.ImageSegmenter.create_from_options(options) as segmenter:
        assert segmenter.labels == list(LABELS)
        result = segmenter.segment(
            mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        )
    logits = _logits(plain, image)
    mask = result.category_mask.numpy_view()[..., 0]
    np.testing.assert_array_equal(mask, logits.argmax(-1))
    assert len(np.unique(mask)) == files.CLASSES
    confidences = np.concatenate([m.numpy_view() for m in result.confidence_masks], -1)
    expected = 0.25 * (logits.astype(np.float32) - 128)
    if activation == "softmax":
        expected = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    np.testing.assert_allclose(confidences, expected, rtol=1e-5, atol=1e-6)  # float32


def test_litert_computes_the_same_with_metadata() -> None:
    plain = _segmenter_file()
    tflite = with_segmenter_metadata(plain, LABELS, activation="none")
    np.testing.assert_array_equal(_logits(tflite, _image()), _logits(plain, _image()))


def test_what_the_file_held_is_kept() -> None:
    plain = _segmenter_file()
    tflite = with_segmenter_metadata(plain, LABELS, activation="none")
    before, after = graph_of(plain, name="a"), graph_of(tflite, name="a")
    assert after == before
    assert after.min_runtime_version
    old, new = model_of(plain, name="a"), model_of(tflite, name="a")
    for one, other in zip(old.buffers, new.buffers, strict=False):
        np.testing.assert_array_equal(one.data, other.data)
    names = [entry.name for entry in new.metadata]
    assert names == [entry.name for entry in old.metadata] + [b"TFLITE_METADATA"]


@pytest.mark.parametrize(("activation", "number"), [("none", 0), ("sigmoid", 1), ("softmax", 2)])
def test_the_metadata(activation: str, number: int) -> None:
    tflite = with_segmenter_metadata(_segmenter_file(), LABELS, activation=activation)
    model = model_of(tflite, name="a")
    packed = bytearray(model.buffers[model.metadata[-1].buffer].data)
    assert packed[4:8] == b"M001"
    metadata = metadata_schema.ModelMetadataT.InitFromPackedBuf(packed)
    (subgraph,) = metadata.subgraphMetadata
    (image,), (masks,) = subgraph.inputTensorMetadata, subgraph.outputTensorMetadata
    # The network takes a pixel u for (u - 128) / 128.
    assert list(image.processUnits[0].options.mean) == [128]
    assert list(image.processUnits[0].options.std) == [128]
    assert masks.associatedFiles[0].name == b"labels.txt"
    (custom,) = subgraph.customMetadata
    assert custom.name == b"SEGMENTER_METADATA"
    options = bytearray(custom.data)
    assert options[4:8] == b"V001"
    read = segmenter_schema.ImageSegmenterOptionsT.InitFromPackedBuf(options)
    assert read.activation == number


def test_labels_are_a_file_in_a_zip_and_the_bytes_are_the_same_each_time() -> None:
    tflite = with_segmenter_metadata(_segmenter_file(), LABELS, activation="none")
    with zipfile.ZipFile(io.BytesIO(tflite)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().split("\n") == list(LABELS)
    assert tflite == with_segmenter_metadata(_segmenter_file(), LABELS, activation="none")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:4], "4 labels for an output of 5 classes"),
        ((*LABELS, "more"), "6 labels for an output of 5 classes"),
        ((), "0 labels for an output of 5 classes"),
        (("sky", "", "a", "b", "c"), r"Label 1 is ''; give each class a name"),
        (("sky", " ", "a", "b", "c"), r"Label 1 is ' '"),
        (("sky", "a\nb", "a", "b", "c"), r"Label 1 is 'a\\nb'; .* on one line"),
        (("sky", "road", "a", "b", "sky"), r"Label 4, 'sky', is there twice"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_segmenter_metadata(_segmenter_file(), labels, activation="none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_type": tf.int8}, r"input is INT8 \[1, 24, 32, 3\]; accepted is UINT8"),
        ({"input_type": tf.uint8, "batch": None}, r"input is UINT8 \[-1, 24, 32, 3\]; accepted"),
        ({"input_type": tf.uint8, "argmax": True}, r"output is INT32 \[1, 24, 32\]; .* argmax"),
    ],
)
def test_a_file_that_mediapipe_would_not_read_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_segmenter_metadata(files.segmenter(**options), LABELS, activation="none")


def test_a_uint8_input_without_a_scale_is_refused() -> None:
    model = model_of(_segmenter_file(), name="a")
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].quantization = None
    with pytest.raises(ValueError, match="uint8 input has no scale"):
        with_segmenter_metadata(files.packed(model), LABELS, activation="none")


def test_two_outputs_are_refused() -> None:
    model = model_of(_segmenter_file(), name="a")
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs] * 2
    with pytest.raises(ValueError, match="has 1 inputs and 2 outputs; MediaPipe"):
        with_segmenter_metadata(files.packed(model), LABELS, activation="none")


def test_metadata_are_not_written_twice() -> None:
    once = with_segmenter_metadata(_segmenter_file(), LABELS, activation="none")
    with pytest.raises(ValueError, match="has TFLITE_METADATA already; give the file that the con"):
        with_segmenter_metadata(once, LABELS, activation="none")


def test_an_unknown_activation_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"activation 'softmx'; accepted: .* Did you mean 'softm"):
        with_segmenter_metadata(_segmenter_file(), LABELS, activation="softmx")


def test_a_file_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the \.tflite file \(400 bytes\) is not a whole"):
        with_segmenter_metadata(_segmenter_file()[:400], LABELS, activation="none")


def test_without_mediapipe_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.metadata", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install tfquantseg\[mediapipe\]"):
        with_segmenter_metadata(_segmenter_file(), LABELS, activation="none")
