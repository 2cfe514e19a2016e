"""Learning rates for table2: short trials with the gradient's scale kept (Eq 17) or dropped (18).

    ./bazelw run //tools:sweep -- --sweep=table2_rates --table=rates.jsonl

Time: half a minute to a minute and a half a run, 30 runs, on 2 cores with AVX-512 VNNI.
"""

from ml_collections import ConfigDict

# By recipe, what is shorter than in table2.
SHORT = {
    "digits": {
        "steps": 240,
        "optimizer.boundaries": (160, 200, 220),
        "evaluate_every": 240,
        "checkpoint_every": 60,
    },
    "digits_fcn8s": {
        "steps": 120,
        "optimizer.boundaries": (80, 100, 110),
        "evaluate_every": 120,
        "checkpoint_every": 60,
    },
}
# The exponents of the recipes' own rates.
KEPT = {"digits": -4, "digits_fcn8s": -5}
# The recipe, and the policies with the scale kept and dropped, with the exponents of their rates.
# FLOAT has no scale to drop.
TRIALS = {
    "batch norm, paper": (
        "digits",
        {
            "PAPER_DEEPLAB BN_limit=fit": (-4,),
            "PAPER_DEEPLAB BN_limit=fit G_rescale=False": (-8, -9, -10),
        },
    ),
    "batch norm, INTEGER": (
        "digits",
        {"INTEGER": (-2, -3, -4), "INTEGER G_rescale=False": (-7, -8, -10, -12)},
    ),
    "FCN8s, paper": (
        "digits_fcn8s",
        {"PAPER_FCN G_rescale=True": (-5, -6, -8), "PAPER_FCN": (-9, -10, -11, -12)},
    ),
    "FCN8s, INTEGER": (
        "digits_fcn8s",
        {"INTEGER": (-4, -5, -6, -7, -8), "INTEGER G_rescale=False": (-9, -10, -11, -12)},
    ),
    "FCN8s, FLOAT": ("digits_fcn8s", {"FLOAT": (-5, -6, -7)}),
}


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Learning rates for gradients with their scale and without, in short trials"
    config.base = "digits"
    variants = []
    for network, (base, policies) in TRIALS.items():
        for scale, (policy, rates) in zip(("kept", "dropped"), policies.items(), strict=False):
            for rate in rates:
                changes = {"policy": policy, "optimizer.learning_rate": 2.0**rate}
                variants.append(
                    {
                        "name": f"{network}, {scale}, 2^{rate}",
                        "base": base,
                        "changes": {**SHORT[base], **changes},
                        "baseline": f"{network}, kept, 2^{KEPT[base]}",
                    }
                )
    config.variants = tuple(variants)
    config.baseline = "batch norm, paper, kept, 2^-4"
    config.seeds = (0,)
    config.scores = ("miou", "loss", "seconds")
    return config
