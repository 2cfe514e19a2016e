"""The certificate: that it holds for an honest file, and that no dishonest one gets it."""

import dataclasses

import keras
import pytest

from tests.export import every_operation
from tfquantseg.export.certificate import Layer, certify
from tfquantseg.export.freeze import freeze
from tfquantseg.export.network import Network
from tfquantseg.export.tflite import write_tflite


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The model of every operation, trained."""
    return every_operation.trained()


@pytest.fixture(scope="module")
def network(model: keras.Model) -> Network:
    """It, frozen."""
    return freeze(model, *every_operation.SIZE)


def _changed(network: Network, name: str, **changes: object) -> Network:
    operations = tuple(
        dataclasses.replace(one, **changes) if one.output.name == name else one
        for one in network.operations
    )
    return dataclasses.replace(network, operations=operations)


def test_an_honest_file(model: keras.Model, network: Network) -> None:
    seen: list[int] = []
    found = certify(
        network,
        model,
        write_tflite(network),
        every_operation.images(3),
        seen=lambda: seen.append(1),
    )
    assert found.problems == ()
    assert len(seen) == found.images == 3
    as_json = found.as_json()
    assert as_json["ok"] and as_json["weights_equal"] and as_json["twin_equal"]
    assert as_json["max_step_difference"] <= 1
    assert as_json["file_twin"] == {"most": 0, "share": 0.0, "argmax": 1.0}
    # Of so small a network, with few convolutions in a row, few pixels lie between two classes.
    assert as_json["argmax_agreement"] > 0.99
    stem = found.weights[0]
    assert (stem.name, stem.count, stem.flipped, stem.zeroed) == ("stem", 162, 1, 1)
    assert [layer.name for layer in found.layers] == [one.output.name for one in network.operations]


def test_a_file_of_unsigned_grids() -> None:
    model = every_operation.trained(every_operation.UNSIGNED)
    network = freeze(model, *every_operation.SIZE)
    found = certify(network, model, write_tflite(network), every_operation.images(3))
    assert found.problems == ()
    as_json = found.as_json()
    assert as_json["ok"] and as_json["weights_equal"] and as_json["twin_equal"]
    # An average's ties round as the bytes' do: the graph finds the same integers.
    (average,) = [layer for layer in found.layers if layer.name == "average"]
    assert (average.most, average.share) == (0, 0.0)


def test_one_weight_off_by_one_is_found(model: keras.Model, network: Network) -> None:
    weights = network.convolutions[1].weights.copy()
    weights.flat[5] += 1 if weights.flat[5] < 127 else -1
    forged = _changed(network, "depthwise", weights=weights)
    found = certify(network, model, write_tflite(forged), every_operation.images(1))
    assert [one.name for one in found.weights if not one.equal] == ["depthwise"]
    assert found.problems[0].startswith("depthwise: its weights in the file are not the integers")
    assert not found.as_json()["ok"]


def test_a_file_that_computes_something_else_is_found(model: keras.Model, network: Network) -> None:
    forged = _changed(network, "stem", bias=network.convolutions[0].bias + 0.5)
    found = certify(network, model, write_tflite(forged), every_operation.images(1))
    assert all(one.equal for one in found.weights)
    assert found.file_twin.most > 0
    assert any(problem.startswith("reference kernels: ") for problem in found.problems)


def test_a_network_that_is_not_the_models_is_found(model: keras.Model, network: Network) -> None:
    forged = _changed(network, "narrow", bias=network.convolutions[-2].bias + 1.0)
    found = certify(forged, model, write_tflite(forged), every_operation.images(1))
    assert found.file_twin.most == 0
    assert [p.split(":")[0] for p in found.problems] == ["narrow"]


def test_a_resize_may_differ_more(model: keras.Model, network: Network) -> None:
    found = certify(network, model, write_tflite(network), every_operation.images(1))
    layers = tuple(
        Layer(one.name, one.operation, 10 if one.operation == "Resize" else one.most, one.share)
        for one in found.layers
    )
    assert dataclasses.replace(found, layers=layers).problems == ()


def test_without_images_there_is_no_certificate(model: keras.Model, network: Network) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        certify(network, model, write_tflite(network), [])
