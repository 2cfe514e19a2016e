"""Taps: what is named in a graph is found again, and computes nothing."""

import tensorflow as tf

from tfquantseg.numerics import Quantized, Scaled, tap, tap_rounding, tapped_roundings


def _traced(function):
    return tf.function(function).get_concrete_function(tf.TensorSpec([3])).graph


def test_roundings_are_found_by_owner_and_letter_with_both_ends():
    def two_layers(x):
        pair = tap_rounding(x, Scaled(8).encode(x), "conv1", "A")
        tapped = tap(pair, "conv1", "A")
        twice = tap_rounding(2 * x, Scaled(8).encode(2 * x), "conv1", "A")
        error = tap_rounding(3 * x, Scaled(8).encode(3 * x), "conv2", "E1")
        return tapped.product() + twice.product() + error.product()

    graph = _traced(two_layers)
    found = tapped_roundings(graph)
    assert [(owner, letter) for owner, letter, *_ in found] == [
        ("conv1", "A"),
        ("conv1", "A"),
        ("conv2", "E1"),
    ]
    value, integers = found[0][2:]
    assert value.op.inputs[0] is graph.inputs[0]
    assert found[1][2].op.inputs[0].op.type == "Mul"
    assert integers.op.inputs[0] is not value.op.inputs[0]


def test_a_graph_without_taps_has_no_roundings():
    assert tapped_roundings(_traced(lambda x: tap(Scaled(8).encode(x), "conv1", "A"))) == []


def test_a_layers_name_may_begin_with_an_underscore():
    def at_the_outermost(x):
        return tap_rounding(x, Scaled(8).encode(x), "_conv", "E2").product()

    graph = _traced(at_the_outermost)
    assert [owner for owner, *_ in tapped_roundings(graph)] == ["_conv"]


def test_a_tapped_pair_keeps_its_values():
    pair = Quantized(tf.constant([1.0, -2.0]), tf.constant(0.5))
    for same in (tap(pair, "conv1", "W"), tap_rounding(pair.product(), pair, "conv1", "E2")):
        assert same.integers.numpy().tolist() == [1.0, -2.0]
        assert same.step.numpy() == 0.5
