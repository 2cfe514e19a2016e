"""Beyond the paper: what each choice that it does not have does to INTEGER, one at a time.

The recipe is digits, whole, with its own network, 1,200 steps; INTEGER as it is is the baseline.
The choices are those of docs/design/ideas.md: scales of activations that clip, unsigned grids
behind ReLU, a flag bit for small errors, scales of errors a channel or a vector, and some together;
errors rounded to the nearest and limits of weights a tensor, which take back what INTEGER has
already; grids of the momentum; and in the decoder alone, which the paper leaves to future work,
errors of more bits, or of as many on finer grids.

    ./bazelw run //tools:sweep -- --sweep=ideas --table=docs/results/paper.jsonl

Time: 1 to 4 minutes a run, 60 runs, on 2 cores with AVX-512 VNNI. Unsigned activations, and errors
of 12 bits, are multiplied by TensorFlow's kernels, which are slower.
"""

from ml_collections import ConfigDict

CHOICES = (
    "A_scale=percentile",
    "A_scale=moments",
    "A_sign=unsigned_after_relu",
    "A_sign=unsigned_after_relu A_scale=moments",
    "E_grid=flag",
    "E_grid=flag E_rounding=nearest",
    "E_scale=per_channel",
    "E_scale=per_channel E_rounding=nearest",
    "E_scale=per_channel E_grid=flag",
    "E_scale=per_vector",
    "E_rounding=nearest",
    "W_limit=per_tensor",
    "k_V=20",
    "k_V=16",
)
DECODER = "(up|join|decode|score).*"
IN_DECODER = (
    "k_E1=12 k_E2=12",
    "E_grid=flag",
    "E_scale=per_channel",
)


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Beyond the paper: each choice alone, on digits"
    config.base = "digits"
    variants = {
        "FLOAT": {"policy": "FLOAT"},
        "INTEGER": {"policy": "INTEGER"},
        **{f"INTEGER {choice}": {"policy": f"INTEGER {choice}"} for choice in CHOICES},
        **{
            f"INTEGER, decoder {choice}": {
                "policy": "INTEGER",
                "rules": ((DECODER, f"INTEGER {choice}"),),
            }
            for choice in IN_DECODER
        },
        "INTEGER, decoder FLOAT": {"policy": "INTEGER", "rules": ((DECODER, "FLOAT"),)},
    }
    config.variants = tuple(
        {"name": name, "changes": changes} for name, changes in variants.items()
    )
    config.baseline = "INTEGER"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "boundary_miou", "pixel_accuracy", "loss", "seconds")
    return config
