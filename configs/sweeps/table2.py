"""Table II of arXiv:2011.14504: the gradient's scale kept (Eq 17) or dropped (Eq 18).

The paper finds that networks without batch norm need it dropped, and that those with batch norm are
better with it kept. Networks, limits and training are those of table1. Without its scale a gradient
is as large in every layer and at every step, so that its learning rate is another one, found by the
short trials of table2_rates.

    ./bazelw run //tools:sweep -- --sweep=table2 --table=docs/results/paper.jsonl

Time: 1 to 3 minutes a run, 24 runs (12 where those of table1 are in the table), on 2 cores with
AVX-512 VNNI.
"""

from ml_collections import ConfigDict

UNET = {
    "steps": 800,
    "optimizer.boundaries": (500, 650, 725),
    "evaluate_every": 800,
    "checkpoint_every": 200,
}
# The policies with the scale kept and dropped, the recipe, and the rate when it is dropped.
PAIRS = {
    "batch norm, paper": (
        "PAPER_DEEPLAB BN_limit=fit",
        "PAPER_DEEPLAB BN_limit=fit G_rescale=False",
        "digits",
        2.0**-9,
    ),
    "batch norm, INTEGER": ("INTEGER", "INTEGER G_rescale=False", "digits", 2.0**-8),
    "FCN8s, paper": ("PAPER_FCN G_rescale=True", "PAPER_FCN", "digits_fcn8s", 2.0**-10),
    "FCN8s, INTEGER": ("INTEGER", "INTEGER G_rescale=False", "digits_fcn8s", 2.0**-10),
}


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Table II: the gradient's scale kept or dropped, with batch norm and without"
    config.base = "digits"
    variants = []
    for name, (kept, dropped, base, rate) in PAIRS.items():
        changes = UNET if base == "digits" else {}
        of_dropped = {**changes, "policy": dropped, "optimizer.learning_rate": rate}
        for scale, one in (("kept", {**changes, "policy": kept}), ("dropped", of_dropped)):
            named = {"name": f"{name}, {scale}", "baseline": f"{name}, kept"}
            variants.append({**named, "base": base, "changes": one})
    config.variants = tuple(variants)
    config.baseline = "batch norm, paper, kept"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "pixel_accuracy", "loss", "seconds")
    return config
