"""What one step of each variant is."""

import keras
import pytest

from tfquantseg.benchmark import training, training_worker


@pytest.fixture(autouse=True)
def one_policy_of_types() -> object:
    """A worker serves one variant and ends; here several are built in one process."""
    kept = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(kept)


@pytest.mark.parametrize("variant", [v for v in training.VARIANTS if not v.startswith("tfmot")])
def test_every_variant_trains(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # TensorFlow accepts a number of threads only before it has computed anything, as in a worker.
    config = training_worker.tf.config.threading
    monkeypatch.setattr(config, "set_intra_op_parallelism_threads", lambda threads: None)
    monkeypatch.setattr(config, "set_inter_op_parallelism_threads", lambda threads: None)
    step = training_worker.build(
        network="residual_unet",
        variant=variant,
        size=[32, 32],
        batch=2,
        rate=2.0**-4,
        momentum=0.875,
        threads=1,
    )
    losses = [step() for _ in range(8)]
    # It learns the two images' random labels by heart, however little in eight steps.
    assert losses[-1] < losses[0]
