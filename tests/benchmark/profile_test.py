"""What ops are for, by own ops and by TensorFlow's, and how long they take."""

import contextlib
import re

import keras
import pytest
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.benchmark import networks, profile, training_worker

OPS = {"own": contextlib.nullcontext, "stock": kernels.stock}


def _network() -> keras.Model:
    """Two convolutions with batch norm and ReLU between them."""
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="bn")(x))
    return keras.Model(image, keras.layers.Conv2D(11, 1, name="logits")(x))


NETWORK = networks.Network(
    name="two_convolutions",
    about="two convolutions with batch norm and ReLU between them",
    build=lambda size: _network(),
    size=(16, 16),
    batch=2,
    paper="PAPER_DEEPLAB",
)


@pytest.fixture(scope="module")
def kinds(step: training_worker.OurStep) -> dict[str, str]:
    """What each of its ops is for."""
    return profile.kinds_of(step.graph)


@pytest.fixture(scope="module", params=OPS)
def step(request: pytest.FixtureRequest) -> training_worker.OurStep:
    """A step of the network, which has been done once."""
    images, labels = tf.ones([2, 16, 16, 3]), tf.zeros([2, 16, 16], tf.int32)
    with OPS[request.param]():
        made = training_worker._ours(NETWORK, "INTEGER", images, labels, 2.0**-10, 0.875)
    made()
    return made


def test_every_kind_takes_its_time(step: training_worker.OurStep) -> None:
    seconds = training_worker.profiled(step)
    assert tuple(seconds) == profile.KINDS
    # Two small convolutions: some milliseconds, on a slow machine less than seconds.
    assert all(0 < one < 10 for one in seconds.values())


def test_the_ops_of_the_profile_are_those_of_the_graph(step: training_worker.OurStep) -> None:
    spent = profile._profiled(step)
    names = {operation.name for operation in step.graph.get_operations()}
    # Nearly all of the time is of known ops; TensorFlow's optimizer renames a few small ones.
    assert sum(spent[name] for name in names & set(spent)) > 0.9 * sum(spent.values())


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("first/forward/.*Conv2D", "forward product"),
        ("logits/input_gradient/.*Conv2D", "input gradient"),
        ("first/weight_gradient/.*Conv2D", "weight gradient"),
        ("integer_sgd/", "update"),
        ("/bn_1/", "batch norm"),
        ("SparseSoftmaxCrossEntropyWithLogits", "loss and confusion"),
    ],
)
def test_ops_are_for_what_their_names_say(kinds: dict[str, str], part: str, kind: str) -> None:
    of_part = {name: one for name, one in kinds.items() if re.search(part, name)}
    assert of_part
    assert set(of_part.values()) == {kind}, of_part


def test_steps_that_are_not_ours_have_no_profile() -> None:
    assert training_worker.profiled(lambda: 0.0) == {}
