"""IntegerSGD in compile and fit, through files, and on several devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.masters import gradients, numpys, variables_of
from tests.two_devices import DEVICES, on_two_devices
from tfquantseg.layers import BatchNorm, QuantConv2D, QuantEdge
from tfquantseg.optimizer import IntegerSGD, off_grid
from tfquantseg.policy import INTEGER


def network() -> keras.Model:
    """Returns a quantized network of two convolutions and a batch norm, the same in each call."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input([6, 6, 3], batch_size=4)
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    pair = QuantEdge(INTEGER, fixed_scale=1.0, quantize_error=(False,), name="input_edge")(x)
    x = QuantConv2D(INTEGER, kernel_shape=(3, 3, 3, 4), use_bias=False, name="conv1")(pair)
    x = keras.layers.ReLU()(BatchNorm(INTEGER, name="norm1")(x))
    pair = QuantEdge(INTEGER, name="edge1")(x)
    x = QuantConv2D(INTEGER, kernel_shape=(1, 1, 4, 3), name="conv2")(pair)
    model = keras.Model(inputs, x)
    for variable in model.trainable_variables:
        variable.assign(variable.update_rule.U(variable.value))
    return model


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, [4, 6, 6, 3]).astype(np.float32)
    return images, (images[:, 1:-1, 1:-1] > 128).astype(np.float32)


def compiled(model: keras.Model, jit_compile: bool = False) -> keras.Model:
    optimizer = IntegerSGD(2.0**-4, momentum=0.75, decay=1e-4, seed=9)
    model.compile(optimizer, "mse", jit_compile=jit_compile)
    return model


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compile_and_fit_and_stop_where_an_error_is_not_finite(jit_compile):
    model = compiled(network(), jit_compile)
    before = numpys(model.trainable_variables)
    images, labels = batch()
    history = model.fit(images, labels, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    assert model.optimizer.nonfinite_layers() == []
    paths = [v.path for v in model.trainable_variables]
    assert paths == ["conv1/kernel", "norm1/gamma", "norm1/beta", "conv2/kernel", "conv2/bias"]
    assert list(model.optimizer.monitors()) == paths
    assert [off_grid(v) for v in model.trainable_variables] == [0] * 5
    after = numpys(model.trainable_variables)
    for old, new, path in zip(before, after, paths, strict=True):
        assert (old != new).any(), path

    labels[0, 0, 0, 0] = np.nan
    model.fit(images, labels, batch_size=4, verbose=0)
    assert model.optimizer.nonfinite_layers() == paths[::-1]
    for old, new in zip(after, numpys(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_layer_nearest_to_an_error_that_is_not_finite_is_named_first():
    model = network()
    middle = keras.Model(model.input, [model.get_layer("norm1").output, model.output])
    optimizer = IntegerSGD(2.0**-4)
    with tf.GradientTape() as tape:
        outputs = middle(batch()[0], training=True)
    errors = [tf.fill(outputs[0].shape, np.inf), tf.ones(outputs[1].shape)]
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(outputs, variables, output_gradients=errors), variables)
    assert optimizer.nonfinite_layers() == ["norm1/beta", "norm1/gamma", "conv1/kernel"]


def test_a_saved_and_loaded_model_goes_on_bit_for_bit(tmp_path):
    images, labels = batch()
    whole, first = compiled(network()), compiled(network())
    for _ in range(4):
        whole.train_on_batch(images, labels)
    for _ in range(2):
        first.train_on_batch(images, labels)
    first.save(tmp_path / "model.keras")
    second = keras.saving.load_model(tmp_path / "model.keras")
    assert second.optimizer.iterations.numpy() == 2
    for _ in range(2):
        second.train_on_batch(images, labels)
    for left, right in zip(whole.weights, second.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)
    for left, right in zip(whole.optimizer.variables, second.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)


# Several devices.


def steps_on_replicas(parts: list[list[list[np.ndarray]]]) -> dict:
    """Applies the gradients parts[step][replica][variable], one part a replica."""
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    with strategy.scope():
        variables = variables_of(INTEGER)
        optimizer = IntegerSGD(2.0**-5, momentum=0.5, seed=2)
        optimizer.build(variables)

    @tf.function
    def apply(grads):
        strategy.run(lambda grads: optimizer.apply(grads), args=(grads,))

    named = []
    for part in parts:
        apply(
            strategy.experimental_distribute_values_from_function(
                lambda context, part=part: [
                    tf.constant(g) for g in part[context.replica_id_in_sync_group]
                ]
            )
        )
        named.append(optimizer.nonfinite_layers())
    return {
        "replicas": [
            [part.numpy() for part in strategy.experimental_local_results(v.value)]
            for v in variables
        ],
        "off_grid": [off_grid(v) for v in variables],
        "monitors": optimizer.monitors(),
        "named": named,
    }


def test_two_replicas_take_the_steps_of_one_with_the_sum_of_their_gradients():
    variables = variables_of(INTEGER)
    parts = [[gradients(2 * step + r, variables) for r in range(2)] for step in range(3)]
    poisoned = [[g.copy() for g in replica] for replica in parts[0]]
    poisoned[1][0].flat[-1] = np.nan
    got = on_two_devices(steps_on_replicas, [*parts[:2], poisoned, *parts[2:]])

    optimizer = IntegerSGD(2.0**-5, momentum=0.5, seed=2)
    optimizer.build(variables)
    for i, part in enumerate(parts):
        optimizer.iterations.assign(i + (i == 2))  # the step that changed nothing is counted
        optimizer.apply([tf.constant(a + b) for a, b in zip(*part, strict=True)])
    for variable, replicas in zip(variables, got["replicas"], strict=True):
        for replica in replicas:
            np.testing.assert_array_equal(replica, variable.numpy())
    assert [len(replicas) for replicas in got["replicas"]] == [2, 2]
    assert got["off_grid"] == [0, 0]
    assert got["monitors"] == optimizer.monitors()
    assert got["named"] == [[], [], ["kernel"], []]
