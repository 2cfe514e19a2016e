"""The house: which part of tfquantseg may import which, and so which targets see which.

A part is a folder or a module of tfquantseg. Each row names parts of rows above it only, so that
imports go one way. Bazel's visibility is made of this table; tests/build/house_test.py reads it too
and holds every import to it.
"""

MAY_IMPORT = {
    "names": [],
    # These stand alone, and know nothing of quantization.
    "data": ["names"],
    "losses": ["names"],
    "metrics": ["names"],
    "models": ["names"],
    "pictures": ["names"],
    "schedules": ["names"],
    # kernels -> numerics -> policy -> layers -> {transform, optimizer}
    "kernels": [],
    "numerics": ["names", "kernels"],
    "policy": ["names", "numerics"],
    "layers": ["names", "numerics", "policy"],
    "transform": ["names", "models", "numerics", "policy", "layers"],
    "optimizer": ["names", "numerics", "policy", "layers"],
    "export": ["names", "models", "numerics", "policy", "layers", "transform"],
    # -> training -> sweep -> analysis -> benchmark -> cli
    "training": [
        "names",
        "data",
        "losses",
        "metrics",
        "models",
        "pictures",
        "schedules",
        "kernels",
        "numerics",
        "policy",
        "layers",
        "transform",
        "optimizer",
    ],
    "sweep": [
        "names",
        "kernels",
        "training",
    ],
    "analysis": [
        "names",
        "data",
        "losses",
        "metrics",
        "models",
        "pictures",
        "schedules",
        "kernels",
        "numerics",
        "policy",
        "layers",
        "transform",
        "optimizer",
        "export",
        "training",
        "sweep",
    ],
    "benchmark": [
        "names",
        "data",
        "losses",
        "metrics",
        "models",
        "kernels",
        "numerics",
        "policy",
        "layers",
        "transform",
        "optimizer",
        "export",
        "training",
    ],
    "cli": [
        "names",
        "data",
        "losses",
        "metrics",
        "models",
        "pictures",
        "schedules",
        "numerics",
        "policy",
        "layers",
        "transform",
        "optimizer",
        "export",
        "training",
        "sweep",
        "analysis",
        "benchmark",
    ],
}

def visible_from(part):
    """Returns the visibility of a part: tests, and the parts that may import it.

    Args:
      part: a key of MAY_IMPORT.
    """
    if part not in MAY_IMPORT:
        fail("{} has no row in build_defs/house.bzl: give it one.".format(part))
    readers = [reader for reader in MAY_IMPORT if part in MAY_IMPORT[reader]]

    # //tfquantseg itself holds the parts that are modules, and the target of everything.
    return ["//tests:__subpackages__", "//tfquantseg:__pkg__"] + [
        "//tfquantseg/{}:__subpackages__".format(reader)
        for reader in readers
    ]
