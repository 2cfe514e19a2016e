"""Handwritten digits on photographs: the default recipe, which needs no download.

A small residual U-Net learns 11 classes (background, digits 0-9) on scenes of scikit-learn's real
digits over its real photographs. Every operand of every convolution, forward and backward, is an
8-bit integer; `--config.policy=FLOAT` trains the same network in float32.

    ./bazelw run //tools:train
    ./bazelw run //tools:train -- --config=configs/digits.py --config.policy=FLOAT \
        --workdir=/tmp/digits-float
    ./bazelw run //tools:train -- --config=configs/digits.py:unscaled

Two variants:

- `scaled`: gradients keep their scale, Eq 17 of the paper, and FLOAT and INTEGER learn at one rate.
- `unscaled`: it is dropped, Eq 18, at the rate that goes with it. The network learns far more in as
  many steps; FLOAT has no scale to drop (docs/design/gradient_scale.md).

Time: about 2 minutes on 2 cores with AVX-512 VNNI, 4 on others. Score on the held-out scenes (val),
mean of three seeds: mIoU 87.7 (INTEGER), 87.3 (FLOAT), 95.2 (`unscaled`); docs/results/digits.md.
"""

from ml_collections import ConfigDict

VARIANTS = ("scaled", "unscaled")


def get_config(variant: str = "scaled") -> ConfigDict:
    """The recipe, with what each key means."""
    scaled = variant == "scaled"
    config = ConfigDict()

    # What is quantized, and how: a preset of tfquantseg.policy for all layers, and before it
    # exceptions ((layer-name pattern, preset), ...), of which the first that matches wins. Behind
    # a preset's name may stand other values of its fields: "INTEGER k_W=4 norm=l2".
    config.policy = "INTEGER" if scaled else "INTEGER G_rescale=False"
    config.rules = ()

    # A model of tfquantseg.models, and its arguments.
    config.model = ConfigDict()
    config.model.name = "residual_unet"
    config.model.args = ConfigDict({"width": 16})

    # A data set of tfquantseg.data, its options, and the splits to train and to validate on.
    config.data = ConfigDict()
    config.data.name = "digits"
    config.data.options = ConfigDict({"size": (96, 96), "seed": 0})
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (96, 96)  # height, width
    config.data.fit = "crop"  # or "resize": how an image gets that size in training
    config.data.flip = False  # a mirrored digit is no digit
    config.data.multiple = 8  # the model's stride: evaluation pads to it and crops back
    config.data.batch = 8

    config.loss = "softmax_cross_entropy"  # or "mse_one_hot"
    config.class_balance = 0.0  # up to 1: rare classes count more (data/class_balance.py)

    # The learning rate lies on a grid of powers of two. It doubles at each step in warmup, up to
    # learning_rate, and is halved at each step in boundaries. Layers of a name that a pattern in
    # factors matches, ((pattern, factor), ...), learn with that factor times the rate; from a step
    # on, if it is a third entry.
    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-4 if scaled else 2.0**-8
    config.optimizer.momentum = 0.875
    config.optimizer.decay = 0.0
    config.optimizer.boundaries = (800, 1000, 1100)
    config.optimizer.warmup = ()
    config.optimizer.factors = ()

    config.steps = 1200
    config.seed = 0  # of initial weights, order of the data, stochastic rounding
    config.evaluate_every = 400  # steps; the last is always evaluated and saved
    config.checkpoint_every = 400
    config.keep = 2  # so many of the latest checkpoints, beside the best
    return config
