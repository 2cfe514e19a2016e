"""Figure 10 of arXiv:2011.14504: mIoU against k_U, the bits of master weights and updates.

The paper's k_U goes from its k_W, 8, to 24; both its networks lose below 16. Here the network with
batch norm of table1, by INTEGER, and FLOAT's line beside it.

    ./bazelw run //tools:sweep -- --sweep=figure10 --table=docs/results/paper.jsonl

Time: 1 minute a run, 30 runs (24 where those of table1 are in the table), on 2 cores with AVX-512
VNNI.
"""

from ml_collections import ConfigDict

UNET = {
    "steps": 800,
    "optimizer.boundaries": (500, 650, 725),
    "evaluate_every": 800,
    "checkpoint_every": 200,
}
BITS = (8, 10, 12, 14, 16, 18, 20, 22)


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Figure 10: mIoU against k_U"
    config.base = "digits"
    policies = {
        "FLOAT": "FLOAT",
        **{f"INTEGER, k_U {bits}": f"INTEGER k_U={bits}" for bits in BITS},
        "INTEGER, k_U 24": "INTEGER",
    }
    config.variants = tuple(
        {"name": name, "changes": {**UNET, "policy": policy}} for name, policy in policies.items()
    )
    config.baseline = "INTEGER, k_U 24"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "loss", "seconds")
    return config
