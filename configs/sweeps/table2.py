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
FCN = {
    "model.name": "fcn8s_vgg16",
    "model.args": {"encoder": "hed", "fc_width": 64, "dropout": 0.0},
    "data.multiple": 32,
    "data.batch": 4,
    "optimizer.learning_rate": 2.0**-8,
    "optimizer.momentum": 0.9375,
    "optimizer.warmup": (8, 16, 24, 32),
    "optimizer.boundaries": (180, 240, 270),
    "steps": 300,
    "evaluate_every": 300,
    "checkpoint_every": 100,
}
UNET_DROPPED = {**UNET, "optimizer.learning_rate": 2.0**-8}
FCN_DROPPED = {**FCN, "optimizer.learning_rate": 2.0**-10}


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Table II: the gradient's scale kept or dropped, with batch norm and without"
    config.base = "digits"
    pairs = {
        "batch norm, paper": ("PAPER_DEEPLAB BN_limit=fit", UNET, UNET_DROPPED),
        "batch norm, INTEGER": ("INTEGER", UNET, UNET_DROPPED),
        "FCN8s, paper": ("PAPER_FCN", FCN, FCN_DROPPED),
        "FCN8s, INTEGER": ("INTEGER", FCN, FCN_DROPPED),
    }
    config.variants = tuple(
        {
            "name": f"{name}, {scale}",
            "changes": {**changes, "policy": policy},
            "baseline": f"{name}, kept",
        }
        for name, (preset, kept, dropped) in pairs.items()
        for scale, policy, changes in (
            # As table1 calls them, so that both share these runs.
            ("kept", "PAPER_FCN G_rescale=True" if preset == "PAPER_FCN" else preset, kept),
            (
                "dropped",
                "PAPER_FCN" if preset == "PAPER_FCN" else f"{preset} G_rescale=False",
                dropped,
            ),
        )
    )
    config.baseline = "batch norm, paper, kept"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "pixel_accuracy", "loss", "seconds")
    return config
