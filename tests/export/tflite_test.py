"""What stands in a file: types, steps, zero points, versions, alignment."""

import dataclasses

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.export import every_operation
from tfquantseg import models, preset, quantize
from tfquantseg.export.draft import draft
from tfquantseg.export.freeze import freeze
from tfquantseg.export.graph_file import graph_of
from tfquantseg.export.network import Network, Requantize
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite

_INT8, _INT32 = schema.TensorType.INT8, schema.TensorType.INT32


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The model of every operation, trained."""
    return every_operation.trained()


@pytest.fixture(scope="module")
def network(model: keras.Model) -> Network:
    """It, frozen."""
    return freeze(model, *every_operation.SIZE)


def _read(content: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def _operators(content: bytes) -> list[tuple[str, int]]:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    model = _read(content)
    codes = [model.operatorCodes[one.opcodeIndex] for one in model.subgraphs[0].operators]
    return [(names[code.builtinCode], code.version) for code in codes]


def test_every_tensor_is_of_8_or_32_bits_and_every_zero_point_0(network: Network) -> None:
    tensors = _read(write_tflite(network)).subgraphs[0].tensors
    for tensor in tensors:
        name = tensor.name.decode()
        expected = _INT32 if "/" in name and not name.endswith("/weights") else _INT8
        assert tensor.type == expected, name
        if tensor.quantization is not None and tensor.quantization.zeroPoint is not None:
            assert not np.any(tensor.quantization.zeroPoint), name


def test_integers_and_steps_stand_in_the_file_as_they_are(network: Network) -> None:
    model = _read(write_tflite(network))
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    for one in network.convolutions:
        weights, name = tensors[f"{one.output.name}/weights"], one.output.name
        data = np.asarray(model.buffers[weights.buffer].data, np.uint8).view(np.int8)
        stored = data.reshape(weights.shape)
        order = {"conv2d": (1, 2, 3, 0), "transposed": (1, 2, 0, 3)}.get(one.kind)
        stored = stored.reshape(one.weights.shape) if order is None else stored.transpose(order)
        np.testing.assert_array_equal(stored, one.weights, err_msg=name)
        np.testing.assert_array_equal(weights.quantization.scale, one.weight_steps)
        bias = tensors[f"{name}/bias"]
        stored = np.asarray(model.buffers[bias.buffer].data, np.uint8).view(np.int32)
        np.testing.assert_array_equal(stored, one.bias_integers())
        assert tensors[name].quantization.scale.tolist() == [np.float32(one.output.step)]


def test_operators_are_those_of_the_network_and_no_others(network: Network) -> None:
    assert _operators(write_tflite(network)) == [
        ("CONV_2D", 3),
        ("MAX_POOL_2D", 2),
        ("AVERAGE_POOL_2D", 2),
        ("DEPTHWISE_CONV_2D", 3),
        ("CONV_2D", 3),
        ("CONV_2D", 3),
        ("ADD", 2),
        ("DEPTHWISE_CONV_2D", 3),
        ("MEAN", 2),
        ("CONV_2D", 3),
        ("QUANTIZE", 1),
        ("QUANTIZE", 1),
        ("TILE", 1),
        ("CONCATENATION", 2),
        ("PAD", 2),
        ("CONV_2D", 3),
        ("RESIZE_BILINEAR", 3),
        ("RESIZE_NEAREST_NEIGHBOR", 2),
        ("TRANSPOSE_CONV", 3),
        ("SLICE", 2),
    ]


def test_a_transposed_convolution_without_bias_keeps_the_older_version(network: Network) -> None:
    operations = tuple(
        dataclasses.replace(one, bias=np.zeros_like(one.bias))
        if one in network.convolutions and one.kind == "transposed"
        else one
        for one in network.operations
    )
    content = write_tflite(dataclasses.replace(network, operations=operations))
    assert ("TRANSPOSE_CONV", 2) in _operators(content)


def test_the_runtime_that_is_needed_is_written(network: Network) -> None:
    model = _read(write_tflite(network))
    (entry,) = model.metadata
    assert entry.name == b"min_runtime_version"
    text = bytes(model.buffers[entry.buffer].data)
    assert (len(text), text.rstrip(b"\0")) == (16, b"2.3.0")


_NEVER = {
    "BATCH_TO_SPACE_ND",
    "CAST",
    "DEQUANTIZE",
    "PACK",
    "RESHAPE",
    "SHAPE",
    "SPACE_TO_BATCH_ND",
    "STRIDED_SLICE",
}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("residual_unet", {"width": 4}),
        ("fcn8s_vgg16", {"fc_width": 8}),
        ("deeplabv3_resnet50", {"width": 4}),
    ],
)
def test_the_files_of_our_models(name: str, arguments: dict[str, int]) -> None:
    float_model = models.build(name, classes=5, **arguments)
    network = draft(quantize(float_model, preset("INTEGER")), 64, 96)
    requantized = sum(
        isinstance(one, Requantize) and one.activation == "linear" for one in network.operations
    )
    for border in ("int8", "uint8"):
        graph = graph_of(write_tflite(network, border), name=name)
        tensors = [t for one in graph.operators for t in (*one.inputs, *one.outputs)]
        of_bytes = {t.name for t in tensors if t.type == "UINT8"}
        assert of_bytes == ({"image_bytes"} if border == "uint8" else set())
        assert {t.type for t in tensors if t.name not in of_bytes} == {"INT8", "INT32"}
        assert [t.type for t in graph.outputs] == ["INT8"]
        for tensor in tensors:
            if tensor.quantization is not None and tensor.name not in of_bytes:
                assert not any(tensor.quantization.zero_points), tensor.name
        ops = [one.op for one in graph.operators]
        assert not _NEVER.intersection(ops)
        # Those that the plan declares, and the one that takes bytes in.
        assert ops.count("QUANTIZE") == requantized + (border == "uint8")
        version = tuple(map(int, graph.min_runtime_version.split(".")))
        assert version <= (2, 5, 0)


def test_constants_lie_at_multiples_of_16_bytes(network: Network) -> None:
    content = write_tflite(network)
    file = schema.Model.GetRootAs(content)
    aligned = 0
    for index in range(1, file.BuffersLength()):
        buffer = file.Buffers(index)
        offset = buffer._tab.Vector(buffer._tab.Offset(4))
        assert offset % 16 == 0
        aligned += 1
    assert aligned > 2 * len(network.convolutions)


def test_bytes_and_integers_give_the_same_logits(network: Network) -> None:
    of_integers = FileNetwork(write_tflite(network), kernels="reference")
    of_bytes = FileNetwork(write_tflite(network, "uint8"), kernels="reference")
    (image,) = every_operation.images(1)
    np.testing.assert_array_equal(of_bytes(image), of_integers(image))
    assert _operators(write_tflite(network, "uint8"))[0] == ("QUANTIZE", 1)


def test_the_same_network_gives_the_same_file(model: keras.Model, network: Network) -> None:
    assert write_tflite(freeze(model, *every_operation.SIZE)) == write_tflite(network)
