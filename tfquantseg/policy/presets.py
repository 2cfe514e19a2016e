"""The presets: policies with a name, of the paper, of its authors' code, and ours."""

import dataclasses

from tfquantseg.names import did_you_mean
from tfquantseg.policy.policy import Policy

FLOAT = Policy(
    name="FLOAT",
    k_W=None,
    k_A=None,
    k_E1=None,
    k_E2=None,
    k_G=None,
    k_U=None,
    k_mu=None,
    k_sigma=None,
    k_gamma=None,
    k_beta=None,
)
"""Nothing is quantized: the float Keras layers, and stochastic gradient descent."""

PAPER_FCN = Policy(
    name="PAPER_FCN",
    k_W=8,
    k_A=8,
    k_E1=8,
    k_E2=8,
    k_G=8,
    k_U=24,
    A_at="conv_inputs",
    E2_at="x_hat",
    G_rescale=False,
    step="max/128",
    E_rounding="nearest",
    rounding="half_up",
    W_limit=1.0,
    bias_limit=1.0,
    BN_limit=2.0,
    k_x_hat=16,
)
"""The letter of the paper for FCN8s-VGG16: Eq 18, weights and biases within a limit of 1."""

PAPER_DEEPLAB = dataclasses.replace(PAPER_FCN, name="PAPER_DEEPLAB", k_E2=16, G_rescale=True)
"""The letter of the paper for DeepLabv3-ResNet50: Eq 17, errors inside batch norm of 16 bits."""

PAPER_DEEPLAB_E8 = dataclasses.replace(PAPER_DEEPLAB, name="PAPER_DEEPLAB_E8", k_E2=8)
"""The paper's Table I: errors inside batch norm of 8 bits too."""

PAPER_DEEPLAB_L2 = dataclasses.replace(PAPER_DEEPLAB, name="PAPER_DEEPLAB_L2", norm="l2")
"""The paper's Table I: batch norm with the standard deviation (Eq 11)."""

PAPER_DEEPLAB_E8_L2 = dataclasses.replace(PAPER_DEEPLAB_E8, name="PAPER_DEEPLAB_E8_L2", norm="l2")
"""The paper's Table I: errors of 8 bits, batch norm with the standard deviation."""

AUTHORS_DEEPLAB = dataclasses.replace(
    PAPER_DEEPLAB,
    name="AUTHORS_DEEPLAB",
    k_x_hat=8,
    E2_at="conv_output",
    G_gain=0.1,
    rounding="half_even",
    decay="off",
    bias="dropped",
)
"""The code of the paper's authors for DeepLabv3, where it differs from the paper's letter.

Their first convolution and the one that makes the logits stay float: rules such as
``(("conv1_conv|logits", FLOAT), (".*", AUTHORS_DEEPLAB))``.
"""

AUTHORS_FCN = dataclasses.replace(
    PAPER_FCN,
    name="AUTHORS_FCN",
    scale="power_of_two",
    A_grid="unit",
    E1_clip="1",
    G_clip="none",
    G_gain=2.0**-7,
    rounding="half_even",
    decay="off",
    bias="dropped",
)
"""The code of the paper's authors for FCN8s-VGG16, where it differs from the paper's letter."""

INTEGER = Policy(name="INTEGER", k_W=8, k_A=8, k_E1=8, k_E2=8, k_G=8, k_U=24)
"""The default: every operand of all three products of every convolution is an 8-bit integer."""

_PRESETS = {
    policy.name: policy
    for policy in (
        FLOAT,
        INTEGER,
        PAPER_FCN,
        PAPER_DEEPLAB,
        PAPER_DEEPLAB_L2,
        PAPER_DEEPLAB_E8,
        PAPER_DEEPLAB_E8_L2,
        AUTHORS_FCN,
        AUTHORS_DEEPLAB,
    )
}


def presets() -> tuple[str, ...]:
    """Returns the names that `preset` accepts."""
    return tuple(_PRESETS)


def preset(name: str) -> Policy:
    """Returns the preset of this name; print it to see its choices.

    Example:
        >>> preset("INTEGER k_W=4 W_limit=per_tensor").k_W
        4

    Args:
        name: one of `presets()`, and behind it, if wished, other values of some fields of `Policy`.
            "INTEGER" is the default, 8-bit integers in every product of every convolution; "FLOAT"
            quantizes nothing; names with PAPER are the letter of the paper, those with AUTHORS what
            its authors' code does.

    Raises:
        ValueError: no such preset or field, with the nearest name; a value that is not accepted.
    """
    first, *changes = str(name).split(maxsplit=1) or [""]
    if first not in _PRESETS:
        raise ValueError(
            f"no preset is called {first!r}{did_you_mean(first, _PRESETS)}; "
            f"there are {', '.join(_PRESETS)}."
        )
    policy = _PRESETS[first]
    return policy.changed(changes[0]) if changes else policy
