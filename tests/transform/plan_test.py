"""Plans: the tables of small networks, float parts, and what the rebuild asks."""

import pytest
from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, network
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Rules, preset
from tfquantseg.transform import plan

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


def test_float_parts_read_float_tensors() -> None:
    rules = Rules((("stem.*|logits", FLOAT), (".*", INTEGER)))
    planned = plan(network(networks.residual), rules)
    assert [node.call.name for node in planned.nodes.values()] == ["block_1", "block_2"]
    # block_1 is not float, so stem's output gets an A; so does the image, by its own rule.
    assert [edge.name for edge in planned.edges] == [
        "image_A",
        "stem_relu_A",
        "block_1_relu_A",
        "block_2_bn_A",
        "block_relu_A",
    ]
    relu, add, logits = (
        next(call for call in planned.graph.calls if call.name == name)
        for name in ("block_relu", "block_add", "logits")
    )
    assert planned.carries_pair(relu.output)
    assert planned.reads_pair(logits, relu.output)  # float itself, but what it reads is not
    stem, branch = add.inputs
    assert planned.reads_pair(add, stem) and planned.reads_pair(add, branch)


def test_a_shared_convolution_reads_the_widest_of_its_inputs() -> None:
    """It is built once, so its bits and their kind hold for all its calls."""

    def body(x):
        again = layers.Conv2D(3, 3, padding="same", activation="relu", name="again")
        return conv(again(again(x)), "last")

    planned = plan(network(body), INTEGER.changed("A_sign=unsigned_after_relu"))
    nodes = {node.call.label: node for node in planned.nodes.values()}
    assert planned.A_unsigned(nodes["again"]) and planned.A_unsigned(nodes["again_call2"])
    # 8 bits of either sign: integers of 9 in two's complement.
    assert planned.A_bits(nodes["again"]) == planned.A_bits(nodes["last"]) == 9


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
