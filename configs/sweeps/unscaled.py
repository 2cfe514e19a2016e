"""Gradients without their scale (Eq 18) on the whole default recipe, and what 8 bits cost there.

table2 asks the paper's question of a shorter run. Here the recipe digits is whole, 1,200 steps, and
the scale is dropped for 16 bits of every operand too: that is float32's training to within its
rounding, so that what the scale does and what the bits do can be told apart. FLOAT itself has no
scale to drop. Each at the best rate that table2_rates found, and kept ones at the recipe's too.

    ./bazelw run //tools:sweep -- --sweep=unscaled --table=docs/results/paper.jsonl

Time: 1 to 3 minutes a run, 18 runs, on 2 cores with AVX-512 VNNI; with 16 bits, which TensorFlow's
kernels multiply, 3 to 6.
"""

from ml_collections import ConfigDict

_16_BITS = "INTEGER k_W=16 k_A=16 k_E1=16 k_E2=16 k_G=16"


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Gradients with their scale and without, on digits"
    config.base = "digits"
    variants = {
        "FLOAT, kept, 2^-4": ("FLOAT", -4),
        "FLOAT, kept, 2^-3": ("FLOAT", -3),
        "INTEGER, kept, 2^-4": ("INTEGER", -4),
        "INTEGER, kept, 2^-3": ("INTEGER", -3),
        "INTEGER, dropped, 2^-8": ("INTEGER G_rescale=False", -8),
        "16 bits, dropped, 2^-8": (f"{_16_BITS} G_rescale=False", -8),
    }
    config.variants = tuple(
        {"name": name, "changes": {"policy": policy, "optimizer.learning_rate": 2.0**exponent}}
        for name, (policy, exponent) in variants.items()
    )
    config.baseline = "FLOAT, kept, 2^-4"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "boundary_miou", "pixel_accuracy", "loss", "seconds")
    return config
