"""tfmot's rows, which need the packages of peers.lock. Run by hand: CONTRIBUTING.md says how."""

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.benchmark.litert import logits
from tests.training import tiny
from tfquantseg import models
from tfquantseg.benchmark import (
    contestants,
    description,
    files_worker,
    inference,
    networks,
    training,
    worker,
)
from tfquantseg.benchmark.contestants import Options, Subject
from tfquantseg.benchmark.suite import Request
from tfquantseg.export.graph_file import graph_of
from tfquantseg.training import parts
from tfquantseg.training.some_images import some_images

SIZE = (32, 32)
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")


@pytest.fixture
def peers_python() -> Path:
    """The interpreter of peers.lock."""
    return Path(os.environ["TFQUANTSEG_PEERS_PYTHON"]).absolute()


def test_tfmot_trains_beside_its_own_float32(peers_python: Path) -> None:
    report = training.run(
        Request(
            networks=("residual_unet",),
            variants=("tfmot_float32", "tfmot_qat"),
            sizes=(SIZE,),
            batches=(2,),
            rounds=2,
            peers_python=peers_python,
        )
    )
    assert [row["variant"] for row in report.rows] == ["float32", "tfmot_float32", "tfmot_qat"]
    qat = report.rows[2]
    assert qat["step_seconds"] > 0
    assert qat["memory_bytes"] > 5e6
    assert qat["ratios"]["tfmot_float32"]["median"] > 0


@pytest.mark.parametrize("network", ["residual_unet", "deeplabv3_resnet50"])
def test_the_network_of_tf_keras_is_the_same(
    network: str, peers_python: Path, tmp_path: Path
) -> None:
    body = networks.network(network).build(SIZE)
    description.write(description.without_rescaling(body), tmp_path)
    common = {"batch": 2, "rate": 2.0**-10, "momentum": 0.875, "threads": 1}
    with worker.ours("Keras", "training_worker") as one:
        one.build(network=network, variant="float32", size=SIZE, **common)
        expected = one.steps(1).value
    with worker.of_peers("tf_keras", peers_python, "tfmot_training") as one:
        one.build(folder=str(tmp_path), quantized=False, classes=networks.CLASSES, **common)
        received = one.steps(1).value
    # The first loss, of the same images and weights; float32 sums in another order.
    assert np.isclose(expected, received, rtol=1e-3)


@pytest.mark.parametrize("network", ["residual_unet", "fcn8s_vgg16"])
def test_tfmots_file_computes_the_same_network(
    network: str, peers_python: Path, tmp_path: Path
) -> None:
    files_worker.build(network=network, size=list(SIZE), folder=str(tmp_path), variants=["float32"])
    file = tmp_path / "tfmot_qat.tflite"
    with worker.of_peers("tfmot", peers_python, "tfmot_file") as writer:
        writer.build(folder=str(tmp_path), file=str(file), steps=3)
    bytes_ = np.random.default_rng(7).integers(0, 256, (*SIZE, 3), np.uint8)
    expected = logits(tmp_path / "float32.tflite", bytes_)
    received = logits(file, bytes_)
    # Its ranges are still near their start of -6..6 after three steps, which clips (in DeepLab so
    # much that nothing is left to compare); another network's logits would correlate with 0.
    assert np.corrcoef(expected.ravel(), received.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("network", ["residual_unet", "efficientnet_lite0"])
def test_tfmot_trains_a_network_on(network: str, peers_python: Path) -> None:
    config = tiny.config(rules=())
    config.model.name = network
    config.model.args = ConfigDict({"width": 8})
    parts.deterministic(0)
    model = models.build(network, classes=networks.CLASSES, width=8)
    images = some_images(parts.data(config, "train"), config, 4)
    files_worker.give_statistics(model, np.stack(images).astype(np.float32))
    switch_a_channel_off(model)
    subject = Subject(
        model=model,
        config=config,
        step=0,
        training=parts.data(config, "train"),
        held_out=parts.data(config, "val[:0.25]"),
        size=(64, 96),
    )
    options = Options(
        steps=10, learning_rate=2.0**-9, calibration=4, images=4, policy="INTEGER", threads=1
    )
    told: list[str] = []

    def telling(total: int, what: str) -> Callable[[], None]:
        return lambda: told.append(f"{what}, one of {total}")

    made = contestants.tfmot_qat(subject, options, peers_python, telling)
    assert told == ["steps of tfmot QAT, one of 10"] * 10
    # Its graph simulates the file, but for what kernels round otherwise. Scores of networks that
    # have learned nothing are nearly equal, most of all behind the many layers of the second. Of
    # another network one pixel in 11 would agree.
    assert made.agreement > 0.7
    # The channel that is off left its convolution in float32, between DEQUANTIZE and QUANTIZE.
    assert "DEQUANTIZE" not in [one.op for one in graph_of(made.content, name="tfmot").operators]
    before = subject.file(contestants.float32(subject, options).content)
    after = subject.file(made.content)
    same = [np.mean(before.classify(one) == after.classify(one)) for one in subject.examples(4)]
    # Ten small steps and 8 bits. Another network would agree on one pixel in 11.
    assert np.mean(same) > 0.5


def switch_a_channel_off(model: keras.Model) -> None:
    """Makes channel 0 of the first batch norm's convolution as pretrained networks have some."""
    norm = next(one for one in model.layers if isinstance(one, keras.layers.BatchNormalization))
    convolution = norm.input._keras_history.operation
    kernel, gamma, beta = (
        variable.numpy() for variable in (convolution.kernel, norm.gamma, norm.beta)
    )
    kernel[..., 0], gamma[0], beta[0] = 0, 0, 0.5
    convolution.kernel.assign(kernel)
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)


def test_tfmots_file_is_measured(peers_python: Path) -> None:
    report = inference.run(
        Request(
            networks=("deeplabv3_resnet50",),
            variants=("tfmot_qat",),
            sizes=(SIZE,),
            rounds=2,
            peers_python=peers_python,
        )
    )
    assert [row["variant"] for row in report.rows] == ["float32", "tfmot_qat"]
    assert report.rows[1]["file_bytes"] < report.rows[0]["file_bytes"] / 2
