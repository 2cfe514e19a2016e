"""What stands in a file: types, steps, zero points, versions, alignment."""

import dataclasses

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.export import every_operation
from tfquantseg.export.freeze import freeze
from tfquantseg.export.network import Network
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
