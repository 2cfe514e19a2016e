"""DeepLabv3-ResNet50 on CamVid, a quarter as wide, from random weights: Table I in small.

The network of arXiv:2011.14504, section V-A, with a quarter of ResNet-50's channels and output
stride 16, on CamVid in the layout of the SegNet tutorial. All weights start from MSRA's
distribution: pretrained ones are to be had over a network only (`config.model.args` takes
`encoder`). So scores are far below those of a pretrained encoder, and what counts is how the
presets compare, over seeds:

    export TFQUANTSEG_DATA=FOLDER   # which holds CamVid/
    for policy in FLOAT PAPER_DEEPLAB PAPER_DEEPLAB_L2 PAPER_DEEPLAB_E8 INTEGER; do
      ./bazelw run //tools:train -- --config=configs/camvid_deeplab.py \
          --config.policy=$policy --config.seed=0 --workdir=deeplab-$policy-0
    done

docs/results/deeplab.md has the scores of three seeds. The learning rate is the same for all but
PAPER_DEEPLAB_L2, which diverges with it: 2^-5 there.

Time: 7 minutes in FLOAT, 9 to 15 in the others, each on one core of a shared machine.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    config = ConfigDict()

    config.policy = "INTEGER"  # FLOAT, PAPER_DEEPLAB, PAPER_DEEPLAB_L2, PAPER_DEEPLAB_E8
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "deeplabv3_resnet50"
    config.model.args = ConfigDict({"width": 16, "output_stride": 16})

    config.data = ConfigDict()
    config.data.name = "camvid"
    config.data.options = ConfigDict()
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (160, 224)  # windows of the images, which are 180 x 240
    config.data.fit = "crop"
    config.data.flip = True
    config.data.multiple = 16
    config.data.batch = 8

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.5

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-4
    config.optimizer.momentum = 0.875
    config.optimizer.decay = 2.0**-13
    config.optimizer.boundaries = (240, 320, 360)
    config.optimizer.warmup = (8, 16)
    config.optimizer.factors = ()

    config.steps = 400
    config.seed = 0
    config.evaluate_every = 200
    config.checkpoint_every = 200
    config.keep = 2
    return config
