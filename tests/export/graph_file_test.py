"""What is read of a `.tflite` file, and that half a file is refused."""

import contextlib
import io
import pathlib
import zipfile

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests.export import files
from tfquantseg.export import graph_of, read_graph
from tfquantseg.export.graph_file import Quantization, model_of


def test_operators_with_their_tensors() -> None:
    graph = graph_of(files.segmenter(), name="tiny.tflite")
    convolution, resize = graph.operators
    assert (convolution.op, convolution.version) == ("CONV_2D", 3)
    assert [(t.shape, t.type, t.constant) for t in convolution.inputs] == [
        ((1, 24, 32, 3), "INT8", False),
        ((files.CLASSES, 3, 3, 3), "INT8", True),
        ((files.CLASSES,), "INT32", True),
    ]
    assert convolution.options["strideW"] == convolution.options["strideH"] == 2
    assert convolution.options["fusedActivationFunction"] == 0
    assert (resize.op, resize.version) == ("RESIZE_BILINEAR", 3)
    assert resize.options == {"alignCorners": False, "halfPixelCenters": True}
    assert resize.activations == convolution.outputs == resize.inputs[:1]
    assert resize.inputs[1].values == files.SIZE
    assert graph.inputs == convolution.activations
    assert graph.outputs == resize.outputs


def test_quantization() -> None:
    graph = graph_of(files.segmenter(), name="tiny.tflite")
    image, kernel, bias = graph.operators[0].inputs
    assert image.quantization == Quantization(scales=(1 / 128,), zero_points=(0,))
    # The converter derives a step from its range, 254 steps wide: the last bit of a float32.
    np.testing.assert_array_max_ulp(np.float32(kernel.quantization.scales), files.KERNEL_STEPS, 1)
    assert kernel.quantization.zero_points == (0,) * files.CLASSES
    assert kernel.quantization.axis == 0
    assert bias.quantization.scales == pytest.approx(
        [scale / 128 for scale in kernel.quantization.scales],
        rel=1e-6,  # float32
    )


def test_bytes() -> None:
    graph = graph_of(files.segmenter(), name="tiny.tflite")
    kernel, bias, size = 3 * 3 * 3 * files.CLASSES, 4 * files.CLASSES, 2 * 4
    assert [tensor.bytes for tensor in graph.constants] == [kernel, bias, size]
    assert graph.weight_bytes == kernel + bias + size
    assert graph.outputs[0].bytes == 24 * 32 * files.CLASSES


def test_the_runtime_that_it_asks_for() -> None:
    # Half-pixel centers came with TensorFlow 2.2.
    assert graph_of(files.segmenter(), name="tiny.tflite").min_runtime_version == "2.2.0"


def test_an_open_size_is_minus_one() -> None:
    graph = graph_of(files.segmenter(batch=None), name="open.tflite")
    assert graph.inputs[0].shape == (-1, 24, 32, 3)


def test_a_file_on_disk_has_its_name(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(files.segmenter())
    assert read_graph(path) == graph_of(files.segmenter(), name="tiny.tflite")
    with pytest.raises(FileNotFoundError, match=r"none\.tflite"):
        read_graph(tmp_path / "none.tflite")


def test_what_a_zip_appends_is_not_read() -> None:
    appended = io.BytesIO(files.segmenter())
    with zipfile.ZipFile(appended, "a") as archive:
        archive.writestr("labels.txt", "a")
    graph = graph_of(appended.getvalue(), name="tiny.tflite")
    assert graph == graph_of(files.segmenter(), name="tiny.tflite")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\3\4" + bytes(40), b"\x89PNG" + bytes(40)])
def test_a_foreign_file_is_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "photo.tflite"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"photo\.tflite is no \.tflite file: .* b'TFL3'"):
        read_graph(path)


def test_a_truncated_file_is_refused() -> None:
    whole = files.segmenter()
    for size in range(8, len(whole), 7):
        with pytest.raises(ValueError, match=rf"half\.tflite \({size} bytes\) is not a whole"):
            graph_of(whole[:size], name="half.tflite")


@hypothesis.given(st.integers(8, 1000), st.integers(0, 255))
def test_a_wrong_byte_is_never_another_error(place: int, byte: int) -> None:
    content = bytearray(files.segmenter())
    content[place] = byte
    with contextlib.suppress(ValueError):  # most bytes are weights and names, and harm nothing
        graph_of(bytes(content), name="wrong.tflite")


def test_a_file_of_two_subgraphs_is_refused() -> None:
    model = model_of(files.segmenter(), name="tiny.tflite")
    model.subgraphs *= 2
    with pytest.raises(ValueError, match=r"two\.tflite holds 2 subgraphs; accepted is a file of o"):
        graph_of(files.packed(model), name="two.tflite")
    model.subgraphs = []
    with pytest.raises(ValueError, match=r"none\.tflite is a \.tflite file without a graph"):
        graph_of(files.packed(model), name="none.tflite")


def test_an_operator_of_its_own_has_its_name() -> None:
    model = model_of(files.segmenter(argmax=True, input_type=tf.uint8), name="tiny.tflite")
    (code,) = (c for c in model.operatorCodes if c.builtinCode == 56)  # ARG_MAX
    code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM
    code.customCode = b"edgetpu-custom-op"
    last = graph_of(files.packed(model), name="tiny.tflite").operators[-1]
    assert last.op == "CUSTOM:edgetpu-custom-op"
    code.builtinCode = 9999
    last = graph_of(files.packed(model), name="later.tflite").operators[-1]
    assert last.op == "BUILTIN_9999"
