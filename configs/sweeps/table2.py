"""Table II of arXiv:2011.14504: the gradient's scale kept (Eq 17) or dropped (Eq 18).

The paper finds that networks without batch norm need it dropped, and that those with batch norm are
better with it kept. Networks, limits and training are those of table1. Without its scale a gradient
is as large in every layer and at every step, so that its learning rate is another one; the short
trials of table2_rates have found it.

    ./bazelw run //tools:sweep -- --sweep=table2 --table=docs/results/paper.jsonl

Time (estimated): 1 to 3 minutes a run, 27 runs (15 where those of table1 are in the table), on
2 cores with AVX-512 VNNI.
"""

from ml_collections import ConfigDict

UNET = {
    "steps": 800,
    "optimizer.boundaries": (500, 650, 725),
    "evaluate_every": 800,
    "checkpoint_every": 200,
}
# The recipe; the policies with the scale kept and dropped, each with the exponents of its rates. Of
# the kept one the recipe's own comes first, as in table1, then the best of the trials.
PAIRS = {
    "batch norm, paper": (
        "digits",
        ("PAPER_DEEPLAB BN_limit=fit", (-4,)),
        ("PAPER_DEEPLAB BN_limit=fit G_rescale=False", (-9,)),
    ),
    "batch norm, INTEGER": (
        "digits",
        ("INTEGER", (-4, -3)),
        ("INTEGER G_rescale=False", (-8,)),
    ),
    "FCN8s, paper": (
        "digits_fcn8s",
        ("PAPER_FCN G_rescale=True", (-5,)),
        ("PAPER_FCN", (-10,)),
    ),
    "FCN8s, INTEGER": (
        "digits_fcn8s",
        ("INTEGER", (-5,)),
        ("INTEGER G_rescale=False", (-10,)),
    ),
}


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Table II: the gradient's scale kept or dropped, with batch norm and without"
    config.base = "digits"
    variants = []
    for network, (base, kept, dropped) in PAIRS.items():
        first = f"{network}, kept, 2^{kept[1][0]}"
        for scale, (policy, rates) in (("kept", kept), ("dropped", dropped)):
            for rate in rates:
                changes = {"policy": policy, "optimizer.learning_rate": 2.0**rate}
                variants.append(
                    {
                        "name": f"{network}, {scale}, 2^{rate}",
                        "base": base,
                        "changes": {**(UNET if base == "digits" else {}), **changes},
                        "baseline": first,
                    }
                )
    config.variants = tuple(variants)
    config.baseline = "batch norm, paper, kept, 2^-4"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "pixel_accuracy", "loss", "seconds")
    return config
