"""A network that gives classes: in the twin, the file, its runs and the certificate."""

import dataclasses

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.export import every_operation, files
from tfquantseg.export import graph_of, preflight
from tfquantseg.export.certificate import certify
from tfquantseg.export.endings import at_stride, with_argmax
from tfquantseg.export.freeze import freeze
from tfquantseg.export.network import ArgMax, Network, Tensor
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite
from tfquantseg.export.twin import compute, operate


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The model of every operation, trained."""
    return every_operation.trained()


@pytest.fixture(scope="module")
def network(model: keras.Model) -> Network:
    """It, frozen, with its classes as output."""
    return with_argmax(freeze(model, *every_operation.SIZE))


def test_the_first_of_equals_is_taken_by_twin_and_file() -> None:
    """Every pair and triple of equal largest logits, as pixels of an image of 3 channels."""
    sides = np.array(np.meshgrid([-128, 0, 127], [-128, 0, 127], [-128, 0, 127]))
    image = (sides.reshape(3, 27, 1).transpose(1, 2, 0) + 128).astype(np.uint8)
    pixels = Tensor("image", image.shape, 2.0**-7)
    last = ArgMax(inputs=(pixels,), output=Tensor("classes", (27, 1, 1), 1.0))
    network = Network("argmax", pixels, (last,), pixels, {})
    classes = compute(network, image)
    np.testing.assert_array_equal(classes, image.argmax(-1))
    assert (classes.dtype, operate(last, [image.astype(np.int8)]).dtype) == (np.int32, np.int32)
    for kernels in ("reference", "default"):
        file = FileNetwork(write_tflite(network), kernels=kernels)
        np.testing.assert_array_equal(file(image), classes)


def test_the_file_gives_int32_and_holds_nothing_wider(network: Network) -> None:
    graph = graph_of(write_tflite(network), name="a")
    (classes,) = graph.outputs
    assert (classes.type, classes.shape) == ("INT32", (1, *every_operation.SIZE))
    assert (graph.operators[-1].op, graph.operators[-1].version) == ("ARG_MAX", 2)
    held = {t.type for one in graph.operators for t in (*one.inputs, *one.outputs)}
    assert held == {"INT8", "INT32"}
    assert graph.min_runtime_version == "2.3.0"  # that of TRANSPOSE_CONV with a bias


def test_a_file_of_classes_runs(network: Network) -> None:
    file = FileNetwork(write_tflite(network), kernels="reference")
    assert (file.size, file.classes) == (every_operation.SIZE, every_operation.CLASSES)
    (image,) = every_operation.images(1)
    classes = file.classify(image)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, compute(network, image))
    logits = FileNetwork(write_tflite(_of_logits(network)), kernels="reference")
    np.testing.assert_array_equal(classes, logits.classify(image))


def _of_logits(network: Network) -> Network:
    return dataclasses.replace(network, operations=network.operations[:-1])


def test_the_certificate_of_a_file_of_classes(model: keras.Model, network: Network) -> None:
    found = certify(network, model, write_tflite(network), every_operation.images(2))
    assert found.problems == ()
    assert (found.layers[-1].operation, found.layers[-1].most) == ("ArgMax", 0)
    assert found.default_twin.most <= 1  # classes: the same, or not
    assert found.default_twin.argmax == 1 - found.default_twin.share
    assert found.as_json()["twin_equal"]


def test_a_wrong_logit_is_found_though_the_classes_are_right(
    model: keras.Model, network: Network
) -> None:
    (logits,) = [one for one in network.convolutions if one.output.name == "logits"]
    # All classes rise by one step: the largest stays the largest.
    forged = dataclasses.replace(logits, bias=logits.bias + logits.output.step)
    operations = tuple(forged if one is logits else one for one in network.operations)
    content = write_tflite(dataclasses.replace(network, operations=operations))
    found = certify(network, model, content, every_operation.images(1))
    assert found.file_twin.argmax == 1
    assert found.file_twin.most > 0
    assert any(problem.startswith("reference kernels: ") for problem in found.problems)


def test_no_file_of_bytes_gives_classes(network: Network) -> None:
    with pytest.raises(ValueError, match="MediaPipe takes the largest logit itself"):
        write_tflite(network, "uint8")


def test_classes_need_logits_of_the_images_size(model: keras.Model) -> None:
    image = Tensor("image", (16, 16, 3), 2.0**-7)
    logits = Tensor("logits", (4, 4, 3), 2.0**-7)
    with pytest.raises(
        ValueError, match="logits of 4 x 4 for images of 16 x 16; classes are taken"
    ):
        with_argmax(Network("small", image, (), logits, {}))
    with pytest.raises(ValueError, match="ends in ArgMax, not in a resize"):
        at_stride(with_argmax(freeze(model, *every_operation.SIZE)))


def test_the_edge_tpu_leaves_it_to_the_cpu(network: Network) -> None:
    report = preflight(graph_of(write_tflite(network), name="a"))
    assert report.placed[-1].operator.op == "ARG_MAX"
    assert not report.placed[-1].on_tpu
    assert (
        report.placed[-1].refusals[0].change
        == "Export the logits and take the maximum on the host."
    )


def test_integers_that_no_argmax_made_are_refused() -> None:
    """A file of the converter that ends in a cast of its labels."""
    foreign = files.segmenter(argmax=True)
    assert FileNetwork(foreign).classes == files.CLASSES
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(foreign))
    (graph,) = model.subgraphs
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    assert names[model.operatorCodes[graph.operators[-1].opcodeIndex].builtinCode] == "ARG_MAX"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ABS
    code.version = 5
    model.operatorCodes.append(code)
    copy = schema.TensorT()
    copy.name, copy.shape, copy.type = "again", [1, *files.SIZE], schema.TensorType.INT32
    copy.buffer = 0
    graph.tensors.append(copy)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [graph.outputs[0]], [len(graph.tensors) - 1]
    graph.operators.append(operator)
    graph.outputs = [len(graph.tensors) - 1]
    with pytest.raises(ValueError, match=r"returns int32 \[1, 24, 32\]; accepted is"):
        FileNetwork(files.packed(model))
