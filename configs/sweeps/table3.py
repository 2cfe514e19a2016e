"""Table III of arXiv:2011.14504: encoder and decoder quantized separately.

The paper finds its FCN8s loses more by a quantized decoder than by a quantized encoder, and blames
the edges of the regions; so the boundary mIoU, over the pixels within 2 of a boundary of two
classes, stands beside the mIoU. As in the paper, fc6 and fc7 belong to the decoder. The network and
its training are those of table1.

    ./bazelw run //tools:sweep -- --sweep=table3 --table=docs/results/paper.jsonl

Time (estimated): 2 to 3 minutes a run, 12 runs (6 where those of table1 are in the table), on
2 cores with AVX-512 VNNI.
"""

from ml_collections import ConfigDict

ENCODER = "(conv|pool).*"


def get_config() -> ConfigDict:
    """The sweep; tfquantseg/sweep/description.py says what each key means."""
    config = ConfigDict()
    config.title = "Table III: FCN8s, encoder and decoder quantized separately"
    config.base = "digits_fcn8s"
    variants = {
        "both FLOAT": {"policy": "FLOAT"},
        "encoder INTEGER": {"policy": "FLOAT", "rules": ((ENCODER, "INTEGER"),)},
        "decoder INTEGER": {"policy": "INTEGER", "rules": ((ENCODER, "FLOAT"),)},
        "both INTEGER": {"policy": "INTEGER"},
    }
    config.variants = tuple(
        {"name": name, "changes": changes} for name, changes in variants.items()
    )
    config.baseline = "both FLOAT"
    config.seeds = (0, 1, 2)
    config.scores = ("miou", "boundary_miou", "pixel_accuracy", "loss", "seconds")
    return config
