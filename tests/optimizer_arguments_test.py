"""IntegerSGD's arguments: the learning rate's grid, what is refused, the configuration."""

import dataclasses
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.masters import IN_TAPE, STEP, master
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.schedules import Halvings

# Learning rates.


@pytest.mark.parametrize("rate", [STEP, 2.0**-6, 0.5, 3 * 2.0**-10, 1 - STEP])
def test_learning_rates_on_the_grid(rate):
    optimizer = IntegerSGD(rate)
    optimizer.build([master(np.zeros(2))])
    assert float(optimizer.learning_rate) == rate


@pytest.mark.parametrize(
    ("rate", "lower", "upper"),
    [
        (0.1, 838860 * STEP, 838861 * STEP),
        (0.3, 2516582 * STEP, 2516583 * STEP),
        (1e-7, STEP, STEP),
        (1.0, 1 - STEP, 1 - STEP),
        (7.5, 1 - STEP, 1 - STEP),
        (0.0, STEP, STEP),
        (-0.25, STEP, STEP),
        (float("nan"), None, None),
        (float("inf"), None, None),
    ],
)
def test_a_learning_rate_off_the_grid_is_an_error_with_the_nearest_values(rate, lower, upper):
    received = float(np.float32(rate))
    with pytest.raises(ValueError) as caught:
        IntegerSGD(rate).build([master(np.zeros(2))])
    message = str(caught.value)
    assert f"learning rate {received!r} is not on the 24-bit grid of 'kernel'" in message
    if lower is not None:
        nearest = message[message.index("nearest") :]
        assert {float(number) for number in re.findall(r"\d[\d.e-]*\d", nearest)} == {lower, upper}


def test_the_grid_of_the_learning_rate_is_the_policys():
    coarse = dataclasses.replace(IN_TAPE, k_lr=8)
    IntegerSGD(2.0**-7).build([master(np.zeros(2), policy=coarse)])
    with pytest.raises(ValueError, match="8-bit grid of 'kernel'"):
        IntegerSGD(2.0**-8).build([master(np.zeros(2), policy=coarse)])


def test_any_learning_rate_suits_float_variables():
    variable = keras.Variable(np.zeros(1, np.float32))
    IntegerSGD(0.1).apply([tf.ones([1])], [variable])
    assert float(variable.numpy()[0]) == -np.float32(0.1)


def test_a_learning_rate_set_later_is_checked_too():
    optimizer = IntegerSGD(0.5)
    optimizer.build([master(np.zeros(2))])
    optimizer.learning_rate = 0.25
    with pytest.raises(ValueError, match="not on the 24-bit grid"):
        optimizer.learning_rate = 0.1


def test_every_rate_of_a_schedule_is_checked():
    IntegerSGD(Halvings(2.0**-6, (10, 20))).build([master(np.zeros(2))])
    with pytest.raises(ValueError, match=re.escape(f"learning rate {2.0**-24!r} is not")):
        IntegerSGD(Halvings(2.0**-22, (10, 20))).build([master(np.zeros(2))])


def test_a_schedule_of_unknown_rates_is_an_error():
    cosine = keras.optimizers.schedules.CosineDecay(0.5, 100)
    with pytest.raises(ValueError, match=r"CosineDecay can't be checked .*values\(\)"):
        IntegerSGD(cosine).build([master(np.zeros(2))])


def test_a_schedules_rates_are_used():
    variable = master(np.zeros(1))
    optimizer = IntegerSGD(Halvings(2.0**-3, (1, 2)))
    moves = []
    for _ in range(4):
        before = variable.numpy()
        optimizer.apply([tf.constant([-0.5])], [variable])
        moves.append(float(variable.numpy()[0] - before[0]))
    assert moves == [2.0**-4, 2.0**-5, 2.0**-6, 2.0**-6]


# Factors of the learning rate.


def layer_kernel(name: str) -> keras.Variable:
    """The float kernel, zero, of a layer of this name."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=name)
    layer.build((None, 1))
    return layer.kernel


def test_a_layers_rate_is_that_of_the_first_pattern_that_matches_its_whole_name():
    names = ["conv1", "fc6", "fc7", "my_fc6"]
    variables = [layer_kernel(name) for name in names]
    optimizer = IntegerSGD(0.125, factors=(("fc7", 2.0), ("fc.", 4.0)))
    optimizer.apply([tf.ones([1, 1])] * 4, variables)
    moves = [float(-variable.numpy()[0, 0]) for variable in variables]
    assert moves == [0.125, 0.5, 0.25, 0.125]


def test_layers_are_frozen_until_their_first_step():
    variables = [layer_kernel("conv"), layer_kernel("fc"), master(np.zeros((1, 1)))]
    factors = (("conv|kernel", 0.25, 2),)
    optimizer = IntegerSGD(0.125, momentum=0.5, decay=2.0**-4, factors=factors)
    moves = []
    for _ in range(4):
        before = [variable.numpy() for variable in variables]
        optimizer.apply([tf.ones([1, 1])] * 3, variables)
        now = [variable.numpy() for variable in variables]
        moves.append([float((b - n)[0, 0]) for b, n in zip(before, now, strict=True)])
    conv, fc, quantized = zip(*moves, strict=True)
    assert fc[0] == 0.125 and min(fc) > 0
    # No velocity is gathered while they are frozen: their first step is that of a new optimizer.
    assert conv[:3] == quantized[:3] == (0.0, 0.0, 0.03125)
    assert min(conv[3], quantized[3]) > 0.03125


def test_a_factor_that_leaves_the_grid_is_an_error():
    IntegerSGD(2.0**-6, factors=(("kernel", 32.0),)).build([master(np.zeros(2))])
    for factor, rate in ((3.3, 3.3 * 2.0**-6), (64.0, 1.0)):
        with pytest.raises(ValueError, match=re.escape(f"learning rate {rate!r} is not on")):
            IntegerSGD(2.0**-6, factors=(("kernel", factor),)).build([master(np.zeros(2))])


@pytest.mark.parametrize("factors", [(("fx.", 2.0),), (("f.*", 2.0), ("fc", 4.0))])
def test_a_pattern_that_is_never_used_is_an_error(factors):
    with pytest.raises(ValueError, match=re.escape(f"{factors[-1][0]!r} -> ")) as caught:
        IntegerSGD(0.5, factors=factors).build([layer_kernel("fc")])
    assert "is the first match of no layer that trains" in str(caught.value)


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"momentum": 1.0}, "momentum must be from 0 to below 1, received 1.0"),
        ({"momentum": -0.1}, "momentum must be from 0 to below 1, received -0.1"),
        ({"momentum": float("nan")}, "momentum must be .* received nan"),
        ({"decay": -1e-4}, "decay must not be negative or infinite, received -0.0001"),
        ({"decay": float("inf")}, "decay must .* received inf"),
        ({"seed": -1}, "seed must be an integer from 0 .* received -1"),
        ({"seed": 2**63}, "seed must be an integer"),
        ({"seed": 1.5}, "seed must be an integer .* received 1.5"),
        ({"factors": (("fc", 0.0),)}, "'fc' must have a positive factor, received 0.0"),
        ({"factors": (("fc", "8"),)}, "'fc' must have a positive factor, received '8'"),
        ({"factors": (("fc", 8.0, -1),)}, "first step of 'fc' must be an integer from 0.* -1"),
        ({"factors": (("fc", 8.0, 2.0),)}, "first step of 'fc' must be .* received 2.0"),
        ({"factors": (("(", 8.0),)}, r"factors: '\(' is not a regular expression"),
        # Keras would take these steps outside of the formula, and so off the grid.
        ({"weight_decay": 1e-4}, "weight_decay"),
        ({"use_ema": True}, "use_ema"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        IntegerSGD(0.5, **arguments)


# Configuration.


def test_configuration():
    optimizer = IntegerSGD(
        Halvings(2.0**-5, (3,)),
        momentum=0.9,
        decay=1e-4,
        seed=4,
        factors=(("fc.*", 8.0, 20), ("conv.*", 2)),
        name="mine",
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is IntegerSGD
    assert again.get_config() == optimizer.get_config()
    assert (again.momentum, again.decay, again.seed, again.name) == (0.9, 1e-4, 4, "mine")
    assert again.factors == (("fc.*", 8.0, 20), ("conv.*", 2.0, 0))
    assert again._learning_rate == Halvings(2.0**-5, (3,))
    plain = IntegerSGD.from_config(IntegerSGD(2.0**-5).get_config())
    assert float(plain.learning_rate) == 2.0**-5
