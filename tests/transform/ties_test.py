"""Ties: who shares a step, who is requantized so that nobody waits for itself, and how fast."""

import time

import keras
from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, network
from tfquantseg.policy import INTEGER, Policy, Rules
from tfquantseg.transform import Plan, plan


def edges(planned: Plan) -> dict[str, list[str]]:
    """The tensors on each edge's step, a requantized one with a star."""
    return {
        edge.name: [
            planned.graph.producer(root.tensor).label + ("*" if root.at else "")
            for root in edge.roots
        ]
        for edge in planned.edges
    }


def edges_of(body, policy: Policy | Rules = INTEGER) -> dict[str, list[str]]:
    return edges(plan(network(body, "net"), policy))


def test_an_aspp_head_shares_one_step_without_requantizing() -> None:
    tied = edges_of(networks.aspp)["pool_conv_relu_A"]
    assert sorted(tied) == ["pool_conv_relu", "rate_1_relu", "rate_2_relu", "rate_3_relu"]


def test_a_dense_block_requantizes_what_its_newest_member_waits_for() -> None:
    tied = edges_of(networks.dense)
    assert tied["conv_1_A"] == ["conv_1", "stem*"]
    assert tied["conv_2_A"] == ["conv_2", "join_1*"]


def test_members_that_do_not_wait_for_each_other_are_tied() -> None:
    def body(x):
        x = conv(x, "stem")
        return layers.Concatenate(name="join")([conv(x, "left"), conv(x, "right"), x])

    tied = edges_of(body)
    assert sorted(sorted(members) for members in tied.values()) == [
        ["image"],
        ["left", "right", "stem*"],
        ["stem"],
    ]


def test_a_tie_reaches_through_layers_that_keep_the_step() -> None:
    def body(x):
        left = layers.MaxPooling2D(1)(layers.UpSampling2D(1)(conv(x, "left")))
        return layers.Concatenate()([left, layers.AveragePooling2D(1)(conv(x, "right"))])

    assert sorted(sorted(members) for members in edges_of(body).values()) == [
        ["image"],
        ["left", "right"],
    ]


def test_a_member_behind_a_dropout_is_requantized() -> None:
    def body(x):
        dropped = layers.MaxPooling2D(1, name="max")(layers.Dropout(0.5)(conv(x, "left")))
        return layers.Concatenate(name="join")([dropped, conv(x, "right")])

    tied = edges_of(body)
    assert tied["left_A"] == ["left"]
    assert ["max*", "right"] in [sorted(members) for members in tied.values()]


def test_where_all_else_waits_for_the_newest_member_the_step_is_a_new_one() -> None:
    """What is made of p waits for the step of p and q, even where it is requantized."""

    def body(x):
        p, q = conv(x, "p"), conv(x, "q")
        first, r = layers.Concatenate(name="first")([p, q]), conv(p, "r")
        second = layers.Concatenate(name="second")([r, layers.MaxPooling2D(1, name="max")(q)])
        # The longer way behind r makes it older than the maximum of q.
        return [second, conv(conv(first, "f_1"), "f_2"), conv(conv(conv(r, "r_1"), "r_2"), "r_3")]

    tied = edges_of(body)
    assert tied["q_A"] == ["q", "p"]
    assert tied["second_r_A"] == ["r*", "max*"]


def test_a_member_that_stands_twice_is_tied_once() -> None:
    def body(x):
        x = conv(x, "stem")
        return layers.Concatenate(name="join")([x, x, conv(x, "other"), x])

    assert edges_of(body)["other_A"] == ["other", "stem*"]


def test_a_tie_is_unsigned_only_if_all_of_it_is() -> None:
    def body(x):
        one = conv(x, "one", activation="relu")
        other = conv(x, "other", activation="linear" if one_is_signed else "relu")
        return conv(layers.Concatenate(name="join")([one, other]), "logits")

    def unsigned() -> list[list[str]]:
        planned = plan(network(body), INTEGER.changed("A_sign=unsigned_after_relu"))
        tied = edges(planned)
        return [sorted(tied[edge.name]) for edge in planned.edges if edge.non_negative]

    one_is_signed = False
    assert unsigned() == [["one", "other"]]
    one_is_signed = True
    assert unsigned() == []


def test_a_densenet_plans_in_seconds() -> None:
    model = keras.applications.DenseNet121(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling=None
    )
    start = time.monotonic()
    planned = plan(model, INTEGER)
    # Half a second on a quiet core; cycles looked for in a naive way would take minutes.
    assert time.monotonic() - start < 10
    assert len(planned.nodes) == 120
    # Each of the 58 concatenations meets what its newest member was computed from.
    assert sum(name.endswith("*") for tied in edges(planned).values() for name in tied) == 58
