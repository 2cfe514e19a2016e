"""What is quantized and how: policies, those with a name, and rules that give them to layers."""

from tfquantseg.policy.policy import ADDED, Policy, UpdateRule
from tfquantseg.policy.presets import (
    AUTHORS_DEEPLAB,
    AUTHORS_FCN,
    FLOAT,
    INTEGER,
    PAPER_DEEPLAB,
    PAPER_DEEPLAB_E8,
    PAPER_DEEPLAB_E8_L2,
    PAPER_DEEPLAB_L2,
    PAPER_FCN,
    preset,
    presets,
)
from tfquantseg.policy.rules import Rules

__all__ = [
    "ADDED",
    "AUTHORS_DEEPLAB",
    "AUTHORS_FCN",
    "FLOAT",
    "INTEGER",
    "PAPER_DEEPLAB",
    "PAPER_DEEPLAB_E8",
    "PAPER_DEEPLAB_E8_L2",
    "PAPER_DEEPLAB_L2",
    "PAPER_FCN",
    "Policy",
    "Rules",
    "UpdateRule",
    "preset",
    "presets",
]
