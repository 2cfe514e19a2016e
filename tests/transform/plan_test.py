"""Plans: the tables of small networks, ties and their cycles, rules, and speed."""

import time

import keras
import pytest
from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, network
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy, Rules, preset
from tfquantseg.transform import Plan, plan

U_NET = """
convolution                      policy       fused              error  input step of
down_1                           INTEGER      bn                 E2     image_A
down_2                           INTEGER      bn                 E2     down_1_relu_A
bottom                           INTEGER      bn                 E2     down_2_relu_A
left_2                           INTEGER      bn                 E2     bottom_relu_A
left_1                           INTEGER      bn                 E2     left_2_relu_A
logits                           INTEGER      -                  E2     left_1_relu_A

edge                             policy       E1   tensors on its step
image_A                          INTEGER      -    image
down_1_relu_A                    INTEGER      yes  down_1_relu
down_2_relu_A                    INTEGER      yes  down_2_relu
bottom_relu_A                    INTEGER      yes  bottom_relu, down_2_relu (requantized)
left_2_relu_A                    INTEGER      yes  left_2_relu, down_1_relu (requantized)
left_1_relu_A                    INTEGER      yes  left_1_relu
logits_A                         INTEGER      -    logits
"""

RESIDUAL = """
convolution                      policy       fused              error  input step of
stem                             INTEGER      bn                 E2     image_A
block_1                          INTEGER      bn                 E2     stem_relu_A
block_2                          INTEGER      bn                 E2     block_1_relu_A
logits                           INTEGER      -                  E2     block_relu_A

edge                             policy       E1   tensors on its step
image_A                          INTEGER      -    image
stem_relu_A                      INTEGER      yes  stem_relu
block_1_relu_A                   INTEGER      yes  block_1_relu
block_2_bn_A                     INTEGER      yes  block_2_bn
block_relu_A                     INTEGER      -    block_relu
logits_A                         INTEGER      -    logits
"""

PAPER_RESIDUAL = """
convolution                      policy       fused              error  input step of
stem                             PAPER_FCN    bn                 none   image_A
block_1                          PAPER_FCN    bn                 none   stem_relu_A
block_2                          PAPER_FCN    bn                 none   block_1_relu_A
logits                           PAPER_FCN    -                  E1     block_relu_A

edge                             policy       E1   tensors on its step
image_A                          PAPER_FCN    -    image
stem_relu_A                      PAPER_FCN    yes  stem_relu
block_1_relu_A                   PAPER_FCN    yes  block_1_relu
block_relu_A                     PAPER_FCN    yes  block_relu
"""

CONVOLUTIONS = """
convolution                      policy       fused              error  input step of
first                            INTEGER      relu               E2     image_A
depthwise                        INTEGER      relu6              E2     first_A
separable_depthwise              INTEGER      -                  E2     depthwise_A
separable_pointwise              INTEGER      relu               E2     separable_depthwise_A
dilated                          INTEGER      relu6              E2     separable_pointwise_A
transposed                       INTEGER      -                  E2     relu6_A

edge                             policy       E1   tensors on its step
image_A                          INTEGER      -    image
first_A                          INTEGER      -    first
depthwise_A                      INTEGER      -    depthwise
separable_depthwise_A            INTEGER      -    separable_depthwise
separable_pointwise_A            INTEGER      -    separable_pointwise
relu6_A                          INTEGER      -    relu6
transposed_A                     INTEGER      -    transposed
"""


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


@pytest.mark.parametrize(
    ("body", "policy", "table"),
    [
        (networks.u_net, INTEGER, U_NET),
        (networks.residual, INTEGER, RESIDUAL),
        (networks.residual, PAPER_FCN, PAPER_RESIDUAL),
        (networks.convolutions, INTEGER, CONVOLUTIONS),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "name", "table")),
)
def test_the_table_of_a_plan(body, policy, table) -> None:
    assert str(plan(network(body), policy)).splitlines() == table.strip().splitlines()


def test_a_float_plan_quantizes_nothing() -> None:
    planned = plan(network(networks.u_net), FLOAT)
    assert not planned.nodes and not planned.edges


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


def test_a_pixel_input_gets_the_device_s_constant_scale() -> None:
    def scales(layer, policy=INTEGER):
        planned = plan(network(lambda x: conv(layer(x), "conv"), "net"), policy)
        return [edge.fixed_scale for edge in planned.edges]

    assert scales(layers.Rescaling(1 / 128, offset=-1)) == [1.0, None]
    assert scales(layers.Rescaling(1 / 64, offset=-2)) == [2.0, None]
    assert scales(layers.Rescaling(1 / 127.5, offset=-1)) == [None, None]
    assert scales(layers.Rescaling(1 / 255)) == [None, None]
    # The paper's 8 bits leave out -128, but the input keeps the device's grid.
    assert scales(layers.Rescaling(1 / 128, offset=-1), PAPER_FCN) == [1.0]


def test_a_shared_convolution_fuses_only_what_follows_it_every_time() -> None:
    planned = plan(network(networks.shared), INTEGER)
    fused = {node.call.label: node.activation for node in planned.nodes.values()}
    assert set(fused.values()) == {"linear"}
    planned = plan(network(networks.nested), INTEGER)
    fused = {node.call.label: node.activation for node in planned.nodes.values()}
    assert fused["inner_conv"] == fused["inner_conv_call2"] == "relu"


def test_float_parts_read_float_tensors() -> None:
    rules = Rules((("stem.*|logits", FLOAT), (".*", INTEGER)))
    planned = plan(network(networks.residual), rules)
    assert [node.call.name for node in planned.nodes.values()] == ["block_1", "block_2"]
    # block_1 is not float, so stem's output gets an A; so does the image, by its own rule.
    assert edges(planned) == {
        "image_A": ["image"],
        "stem_relu_A": ["stem_relu"],
        "block_1_relu_A": ["block_1_relu"],
        "block_2_bn_A": ["block_2_bn"],
        "block_relu_A": ["block_relu"],
    }


def test_rules_that_never_act_are_errors() -> None:
    model = network(networks.residual)
    with pytest.raises(ValueError, match=r"rule 'bloc_1' -> FLOAT matches no layer \(did you mean"):
        plan(model, Rules((("bloc_1", FLOAT), (".*", INTEGER))))
    with pytest.raises(ValueError, match=r"rule 'logits' -> FLOAT is never the first match"):
        plan(model, Rules(((".*", INTEGER), ("logits", FLOAT))))
    with pytest.raises(ValueError, match=r"no rule matches layer"):
        plan(model, Rules((("logits", FLOAT),)))


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


def test_a_chain_longer_than_python_s_stack_is_planned() -> None:
    def body(x):
        for i in range(400):
            x = conv(x, f"conv_{i}", 1, 1)
        return layers.Concatenate()([x, conv(x, "side", 1, 1)])

    assert len(plan(network(body, channels=1), INTEGER).nodes) == 401


def test_a_long_name_of_a_policy_keeps_the_columns() -> None:
    policy = preset("INTEGER k_W=4 norm=l2")
    lines = str(plan(network(networks.u_net), policy)).splitlines()
    named = [line for line in lines if policy.name in line]
    assert len({line.index(policy.name) + len(policy.name) for line in named}) == 1
    assert lines[0].index("fused") == named[0].index(policy.name) + len(policy.name) + 1


UNSIGNED = INTEGER.changed("A_sign=unsigned_after_relu")


def _non_negative(body, policy=UNSIGNED) -> set[str]:
    made = plan(network(body), policy)
    return {edge.name for edge in made.edges if made.is_non_negative(edge)}


def test_what_follows_relu_is_not_negative() -> None:
    def body(x):
        x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(conv(x, "one")))
        pooled = layers.AveragePooling2D(2, name="average")(layers.MaxPooling2D(2)(x))
        x = conv(pooled, "two", activation="relu6")
        x = layers.Add(name="both")([x, pooled])  # of two that are not negative
        mean = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
        x = layers.Add(name="one_of_them")([x, conv(x, "three")])
        return [conv(x, "logits"), conv(mean, "of_mean")]

    assert {"relu_A", "two_A", "both_A", "mean_A"} <= _non_negative(body)
    assert not _non_negative(body) & {"image_A", "three_A", "one_of_them_A", "logits_A"}


def test_a_tie_is_unsigned_only_if_all_of_it_is() -> None:
    def body(x):
        one = conv(x, "one", activation="relu")
        other = conv(x, "other", activation="linear" if one_is_signed else "relu")
        return conv(layers.Concatenate(name="join")([one, other]), "logits")

    one_is_signed = False
    (tied,) = _non_negative(body)
    assert tied in ("one_A", "other_A")
    one_is_signed = True
    assert _non_negative(body) == set()
