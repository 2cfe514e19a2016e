"""Table I of arXiv:2011.14504: the bits of E2, where it is, and the norm of batch norm.

The paper trains DeepLabv3-ResNet50 and FCN8s-VGG16 on PASCAL VOC 2012; here a small residual U-Net,
which has batch norm, and FCN8s-VGG16 with 64 channels in fc6 and fc7, which has none, learn the
digits, 800 and 300 steps, three seeds each. INTEGER is ours: all operands of 8 bits, E2 at the
convolution's output.

The paper's limit of 2 for batch norm holds in a pretrained ResNet-50. In a network that starts from
MSRA's random weights mu and sigma lie beyond it, so that the paper's rows have limits that fit
(BN_limit=fit), and one row is by the letter.

    ./bazelw run //tools:sweep -- --sweep=table1 --table=docs/results/paper.jsonl

Time (estimated): 1 to 3 minutes a run, 42 runs, on 2 cores with AVX-512 VNNI.
"""

from ml_collections import ConfigDict

# What is shorter than in the recipe.
UNET = {
    "steps": 800,
    "optimizer.boundaries": (500, 650, 725),
    "evaluate_every": 800,
    "checkpoint_every": 200,
}


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Table I: bits and place of E2, norm of batch norm"
    config.base = "digits"
    with_norm = {
        "FLOAT": "FLOAT",
        "paper, L2, E2 16": "PAPER_DEEPLAB_L2 BN_limit=fit",
        "paper, L1, E2 16": "PAPER_DEEPLAB BN_limit=fit",
        "paper, L2, E2 8": "PAPER_DEEPLAB_E8_L2 BN_limit=fit",
        "paper, L1, E2 8": "PAPER_DEEPLAB_E8 BN_limit=fit",
        "paper, L1, E2 16 at conv output": "PAPER_DEEPLAB BN_limit=fit E2_at=conv_output",
        "paper, L1, E2 8 at conv output": "PAPER_DEEPLAB_E8 BN_limit=fit E2_at=conv_output",
        "paper, L1, E2 16, limit 2": "PAPER_DEEPLAB",
        "INTEGER, E2 at x_hat": "INTEGER E2_at=x_hat",
        "INTEGER": "INTEGER",
    }
    without = {
        "FCN8s, FLOAT": {"policy": "FLOAT", "optimizer.learning_rate": 2.0**-6},
        "FCN8s, FLOAT, 2^-5": {"policy": "FLOAT"},
        # The best rates of short trials (table2_rates). Eq 18 drops the gradient's scale, so that
        # its rate is another one.
        "FCN8s, paper": {"policy": "PAPER_FCN", "optimizer.learning_rate": 2.0**-10},
        "FCN8s, INTEGER": {"policy": "INTEGER"},
    }
    config.variants = (
        *({"name": name, "changes": {**UNET, "policy": p}} for name, p in with_norm.items()),
        *(
            {
                "name": name,
                "base": "digits_fcn8s",
                "changes": changes,
                "baseline": "FCN8s, FLOAT",
            }
            for name, changes in without.items()
        ),
    )
    config.baseline = "FLOAT"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "pixel_accuracy", "loss", "seconds")
    return config
