"""Learning rates for table2: short trials with the gradient's scale dropped (Eq 18).

    ./bazelw run //tools:sweep -- --sweep=table2_rates --table=rates.jsonl

Time: half a minute to a minute and a half a run, 19 runs, on 2 cores with AVX-512 VNNI.
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
# The recipe, the preset with the scale kept, that with it dropped, and the exponents of the rates.
TRIALS = {
    "batch norm, paper": (
        "digits",
        "PAPER_DEEPLAB BN_limit=fit",
        "PAPER_DEEPLAB BN_limit=fit G_rescale=False",
        (-8, -9, -10),
    ),
    "batch norm, INTEGER": ("digits", "INTEGER", "INTEGER G_rescale=False", (-7, -8, -10, -12)),
    "FCN8s, paper": ("digits_fcn8s", "PAPER_FCN G_rescale=True", "PAPER_FCN", (-9, -10, -11, -12)),
    "FCN8s, INTEGER": ("digits_fcn8s", "INTEGER", "INTEGER G_rescale=False", (-9, -10, -11, -12)),
}


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Learning rates for gradients without their scale, in short trials"
    config.base = "digits"
    variants = []
    for name, (base, kept, dropped, rates) in TRIALS.items():
        changes = SHORT[base]
        common = {"base": base, "baseline": f"{name}, kept"}
        variants.append({**common, "name": f"{name}, kept", "changes": {**changes, "policy": kept}})
        for rate in rates:
            trial = {**changes, "policy": dropped, "optimizer.learning_rate": 2.0**rate}
            variants.append({**common, "name": f"{name}, 2^{rate}", "changes": trial})
    config.variants = tuple(variants)
    config.baseline = "batch norm, paper, kept"
    config.seeds = (0,)
    config.scores = ("miou", "loss", "seconds")
    return config
