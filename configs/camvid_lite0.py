"""EfficientNet-Lite0 with a light DeepLab head on CamVid: a network made for devices.

The encoder has ImageNet's weights, of the extra `lite0`; an Edge TPU runs all of it up to the last
resize. Images are 180 x 240, windows of 160 x 224 of them are trained on, and scores are of whole
images. The encoder is frozen for the first 100 steps; then it learns at a quarter of the head's
rate.

    export TFQUANTSEG_DATA=FOLDER   # which holds CamVid/
    ./bazelw run //tools:train -- --config=configs/camvid_lite0.py --workdir=lite0-INTEGER
    ./bazelw run //tools:train -- --config=configs/camvid_lite0.py --config.policy=FLOAT \
        --workdir=lite0-FLOAT
    ./bazelw run //tools:convert -- --workdir=lite0-INTEGER
    ./bazelw run //tools:train -- --config=configs/camvid_lite0.py:unscaled --workdir=lite0-unscaled

Two variants, as of configs/digits.py: `scaled`, and `unscaled`, whose gradients drop their scale.

Time: about 9 minutes on 2 cores with AVX-512 VNNI, by FLOAT too. docs/results/lite0.md has scores.
"""

from ml_collections import ConfigDict

VARIANTS = ("scaled", "unscaled")


def get_config(variant: str = "scaled") -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    scaled = variant == "scaled"
    config = ConfigDict()

    config.policy = "INTEGER E_scale=per_vector"  # FLOAT; INTEGER alone: docs/design/ideas.md
    if not scaled:
        config.policy += " G_rescale=False"
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "efficientnet_lite0"
    config.model.args = ConfigDict({"encoder": "imagenet_lite0"})

    config.data = ConfigDict()
    config.data.name = "camvid"
    config.data.options = ConfigDict()
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (160, 224)
    config.data.fit = "crop"
    config.data.flip = True
    config.data.multiple = 16
    config.data.batch = 8

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.5

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-2 if scaled else 2.0**-8
    config.optimizer.momentum = 0.875
    config.optimizer.decay = 2.0**-13
    config.optimizer.boundaries = (500, 650, 725)
    config.optimizer.warmup = (8, 16)
    config.optimizer.factors = (("(stem|block).*", 2.0**-2, 100),)

    config.steps = 800
    config.seed = 0
    config.evaluate_every = 400
    config.checkpoint_every = 200
    config.keep = 2
    return config
