"""The files that are compared hold the same network."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from tests.benchmark.litert import logits
from tfquantseg import models
from tfquantseg.benchmark import files_worker, networks

# What TensorFlow's converter says when it is asked for int8 at both ends.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")

SIZE = (32, 32)
VARIANTS = ["float32", "stock_ptq", "ours"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the default network, small."""
    to = tmp_path_factory.mktemp("files")
    files_worker.build(network="residual_unet", size=list(SIZE), folder=str(to), variants=VARIANTS)
    return to


def test_all_files_compute_the_same_network(folder: Path) -> None:
    bytes_ = np.random.default_rng(7).integers(0, 256, (*SIZE, 3), np.uint8)
    expected = logits(folder / "float32.tflite", bytes_)
    assert expected.std() > 0.1  # it computes something
    for variant in VARIANTS[1:]:
        received = logits(folder / f"{variant}.tflite", bytes_)
        # 8 bits a tensor lose little of it; another network's logits would correlate with 0.
        assert np.corrcoef(expected.ravel(), received.ravel())[0, 1] > 0.98, variant


def test_int8_files_are_int8_at_both_ends(folder: Path) -> None:
    for variant in VARIANTS[1:]:
        runner = litert.Interpreter(str(folder / f"{variant}.tflite"))
        for (end,) in (runner.get_input_details(), runner.get_output_details()):
            assert end["dtype"] == np.int8, variant
            assert end["shape"].tolist()[:3] == [1, *SIZE]


def test_the_description_lies_beside_them(folder: Path) -> None:
    assert {"network.json", "weights.npz"} < {path.name for path in folder.iterdir()}


def test_batch_norms_get_the_statistics_of_the_images() -> None:
    model = models.residual_unet(networks.CLASSES, width=2, input_size=SIZE)
    norm = model.get_layer("stem_bn")
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype(np.float32)
    files_worker.give_statistics(model, images)
    entering = model.get_layer("stem")((images - 128) / 128)
    # Sums of 512 values in another order.
    np.testing.assert_allclose(norm.moving_mean, np.mean(entering, (0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, np.var(entering, (0, 1, 2)), rtol=1e-3)
    assert norm.momentum == 0.9
