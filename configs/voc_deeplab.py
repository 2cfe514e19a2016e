"""DeepLabv3-ResNet50 on PASCAL VOC 2012 at the paper's scale: Table I of arXiv:2011.14504.

Crops of 512 x 512, batches of 8, the 10,582 images of `train_aug`, cross entropy, weight decay
1e-5, and an encoder of ImageNet's weights, which keras.applications downloads. The paper tells
neither steps nor rates; these are those of its authors' code: 30,000 steps from 2^-4, halved three
times. Two variants:

- `paper`: the letter of section V-A: PAPER_DEEPLAB, ResNet-50, no augmentation.
- `authors`: what their code does otherwise: AUTHORS_DEEPLAB, whose field `decay` switches the decay
  off, the first convolution and the last in float32, ResNet-50 v2, flips.

    export TFQUANTSEG_DATA=FOLDER   # for VOCdevkit/ and SBD, benchmark_RELEASE/
    ./bazelw run //tools:data -- download voc2012
    ./bazelw run //tools:data -- download sbd
    for policy in FLOAT PAPER_DEEPLAB_L2 PAPER_DEEPLAB PAPER_DEEPLAB_E8 INTEGER; do
      ./bazelw run //tools:train -- --config=configs/voc_deeplab.py --config.policy=$policy \
          --workdir=$policy
    done
    ./bazelw run //tools:train -- --config=configs/voc_deeplab.py:authors --workdir=authors

The paper's mIoU (Eq 21, "per image" here): 65.62 % in float32; with 8 bits, and 16 for the errors
inside batch norm, 65.13 % (PAPER_DEEPLAB_L2) and 65.21 % (PAPER_DEEPLAB); with 8 for those too
63.55 % (PAPER_DEEPLAB_E8).

Time: not run at this scale, for want of the images.
"""

from ml_collections import ConfigDict

VARIANTS = ("paper", "authors")


def get_config(variant: str = "paper") -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    paper = variant == "paper"
    config = ConfigDict()

    config.policy = "PAPER_DEEPLAB" if paper else "AUTHORS_DEEPLAB"
    config.rules = () if paper else (("conv1_conv|logits", "FLOAT"),)

    config.model = ConfigDict()
    config.model.name = "deeplabv3_resnet50"
    config.model.args = ConfigDict(
        {"encoder": "imagenet", "output_stride": 16, "version": "v1" if paper else "v2"}
    )

    config.data = ConfigDict()
    config.data.name = "voc2012"
    config.data.options = ConfigDict()
    config.data.train = "train_aug"
    config.data.val = "val"
    config.data.size = (512, 512)
    config.data.fit = "crop"
    config.data.flip = not paper
    config.data.multiple = 16
    config.data.batch = 8

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.0

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-4
    config.optimizer.momentum = 0.0
    config.optimizer.decay = 1e-5
    config.optimizer.boundaries = (3000, 12_000, 20_000)
    config.optimizer.warmup = ()
    config.optimizer.factors = ()

    config.steps = 30_000
    config.seed = 0
    config.evaluate_every = 10_000
    config.checkpoint_every = 1000
    config.keep = 2
    return config
