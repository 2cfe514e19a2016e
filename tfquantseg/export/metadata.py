"""What MediaPipe's ImageSegmenter reads beside a network: labels, normalization, activation.

Labels are a text file, zipped behind the `.tflite`, so that it stays one that any runtime opens.
The rest is a flatbuffer in the file's metadata; the activation, which MediaPipe applies to the
logits itself, is a flatbuffer in that flatbuffer. MediaPipe's generated classes write both.
"""

import io
import zipfile
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.aligned import AlignedBuffer, pack_model
from tfquantseg.export.graph_file import Graph, Quantization, graph_of, model_of
from tfquantseg.names import unknown_name

ACTIVATIONS = ("none", "sigmoid", "softmax")
LABELS_FILE = "labels.txt"

_METADATA = "TFLITE_METADATA"
_METADATA_IDENTIFIER = b"M001"
_SEGMENTER = "SEGMENTER_METADATA"
_SEGMENTER_IDENTIFIER = b"V001"
# The first version of the metadata whose readers know of custom metadata.
_PARSER_VERSION = "1.5.0"
_OUTPUT_TYPES = ("UINT8", "INT8", "FLOAT32")


def with_segmenter_metadata(tflite: bytes, labels: Sequence[str], *, activation: str) -> bytes:
    """Adds what MediaPipe's ImageSegmenter reads.

    MediaPipe feeds a uint8 network the pixels as they are. Its input's scale s and zero point z
    say what the network takes them for, s * (u - z), and are told again as a mean z and a
    deviation 1 / s.

    Args:
        tflite: a `.tflite` file of one uint8 input [1, H, W, 3] and one output of logits
            [1, h, w, classes] in uint8, int8 or float32.
        labels: the classes' names, in the order of the output's channels.
        activation: what turns logits into confidences: "none", "sigmoid" or "softmax". Masks of
            categories are the same for all three.

    Returns:
        The file with metadata; what it held, `min_runtime_version` included, is kept.

    Raises:
        ModuleNotFoundError: the package mediapipe is missing.
        ValueError: it is no whole `.tflite` file or has metadata already, its input or output is
            not as above, or the labels are not one for each class, or one is empty, not one line,
            or there twice.
    """
    if activation not in ACTIVATIONS:
        raise unknown_name("activation", activation, ACTIVATIONS)
    name = "the .tflite file"
    graph = graph_of(tflite, name=name)
    pixels, classes = _pixels_and_classes(graph)
    _check_labels(labels, classes)
    model = model_of(tflite, name=name)
    if any(entry.name == _METADATA.encode() for entry in model.metadata or ()):
        raise ValueError(f"{name} has {_METADATA} already; give the file that the converter wrote.")

    model.buffers.append(AlignedBuffer(_metadata(pixels, activation)))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _METADATA, len(model.buffers) - 1
    model.metadata = [*(model.metadata or ()), entry]
    content = io.BytesIO(pack_model(model))
    with zipfile.ZipFile(content, "a") as archive:
        # A ZipInfo without a date, so that the same network gives the same bytes.
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "\n".join(labels))
    return content.getvalue()


def _pixels_and_classes(graph: Graph) -> tuple[Quantization, int]:
    """Returns what a pixel stands for, and the number of classes."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"{graph.name} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; "
            "MediaPipe's ImageSegmenter accepts one of each."
        )
    (image,), (logits,) = graph.inputs, graph.outputs
    batch, *size, channels = image.shape if len(image.shape) == 4 else (0, 0, 0)
    if image.type != "UINT8" or batch != 1 or channels != 3 or min(size) < 1:
        raise ValueError(
            f"The input is {image.type} {list(image.shape)}; accepted is UINT8 [1, H, W, 3], which "
            "MediaPipe fills with pixels as they are. Convert with a uint8 input of fixed size."
        )
    if image.quantization is None:
        raise ValueError(
            "The uint8 input has no scale, which says what a pixel stands for. Convert with "
            "quantization, int8 inside."
        )
    if len(logits.shape) != 4 or logits.shape[0] != 1 or logits.type not in _OUTPUT_TYPES:
        raise ValueError(
            f"The output is {logits.type} {list(logits.shape)}; accepted are logits "
            f"[1, h, w, classes] in {', '.join(_OUTPUT_TYPES)}. MediaPipe takes the largest itself "
            "and would read labels as logits: convert without argmax."
        )
    return image.quantization, logits.shape[-1]


def _check_labels(labels: Sequence[str], classes: int) -> None:
    if len(labels) != classes:
        raise ValueError(
            f"{len(labels)} labels for an output of {classes} classes; give one for each, in the "
            "order of the channels."
        )
    seen = set[str]()
    for index, label in enumerate(labels):
        if not label.strip() or label.splitlines() != [label]:
            raise ValueError(f"Label {index} is {label!r}; give each class a name, on one line.")
        if label in seen:
            raise ValueError(f"Label {index}, {label!r}, is there twice; names must differ.")
        seen.add(label)


def _metadata(pixels: Quantization, activation: str) -> bytes:
    """Returns the metadata of a segmenter: an image in, a mask for each class out."""
    schemas, segmenter = _schemas()
    normalization = schemas.NormalizationOptionsT()
    normalization.mean = [float(zero) for zero in pixels.zero_points]
    normalization.std = [1 / scale for scale in pixels.scales]
    process = schemas.ProcessUnitT()
    process.optionsType = schemas.ProcessUnitOptions.NormalizationOptions
    process.options = normalization
    source = _image(schemas, "image", schemas.ColorSpaceType.RGB)
    source.processUnits = [process]

    labels = schemas.AssociatedFileT()
    labels.name, labels.type = LABELS_FILE, schemas.AssociatedFileType.TENSOR_AXIS_LABELS
    masks = _image(schemas, "segmentation_masks", schemas.ColorSpaceType.GRAYSCALE)
    masks.associatedFiles = [labels]

    options = segmenter.ImageSegmenterOptionsT()
    options.activation = getattr(segmenter.Activation, activation.upper())
    custom = schemas.CustomMetadataT()
    custom.name, custom.data = _SEGMENTER, _packed(options, _SEGMENTER_IDENTIFIER)

    subgraph = schemas.SubGraphMetadataT()
    subgraph.inputTensorMetadata, subgraph.outputTensorMetadata = [source], [masks]
    subgraph.customMetadata = [custom]
    metadata = schemas.ModelMetadataT()
    metadata.name, metadata.minParserVersion = "segmenter", _PARSER_VERSION
    metadata.subgraphMetadata = [subgraph]
    return _packed(metadata, _METADATA_IDENTIFIER)


def _image(schemas: ModuleType, name: str, color_space: int) -> Any:
    """Returns the metadata of a tensor that is an image."""
    properties = schemas.ImagePropertiesT()
    properties.colorSpace = color_space
    content = schemas.ContentT()
    content.contentPropertiesType = schemas.ContentProperties.ImageProperties
    content.contentProperties = properties
    tensor = schemas.TensorMetadataT()
    tensor.name, tensor.content = name, content
    return tensor


def _packed(table: Any, identifier: bytes) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(table.Pack(builder), identifier)
    return bytes(builder.Output())


def _schemas() -> tuple[ModuleType, ModuleType]:
    """Imports the generated classes of metadata, and of a segmenter's own."""
    try:
        from mediapipe.tasks.metadata import (
            image_segmenter_metadata_schema_py_generated,
            metadata_schema_py_generated,
        )
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "MediaPipe's metadata need the package mediapipe: pip install tfquantseg[mediapipe]"
        ) from error
    return metadata_schema_py_generated, image_segmenter_metadata_schema_py_generated
