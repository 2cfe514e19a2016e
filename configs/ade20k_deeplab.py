"""DeepLabv3-ResNet50 on ADE20K at the paper's scale: Table I of arXiv:2011.14504.

Crops of 512 x 512, batches of 8, the 20,210 images of SceneParse150, cross entropy, weight decay
1e-5, and an encoder of ImageNet's weights, which keras.applications downloads. The paper tells
neither steps nor rates; these are those of its authors' code: 150,000 steps from 2^-4, halved every
50,000. Two variants:

- `paper`: the letter of section V-A: PAPER_DEEPLAB, ResNet-50, no augmentation.
- `authors`: what their code does otherwise: AUTHORS_DEEPLAB, whose field `decay` switches the decay
  off, the first convolution and the last in float32, ResNet-50 v2, flips.

    export TFQUANTSEG_DATA=FOLDER   # for ADEChallengeData2016/
    ./bazelw run //tools:data -- download ade20k
    for policy in FLOAT PAPER_DEEPLAB_L2 PAPER_DEEPLAB PAPER_DEEPLAB_E8 INTEGER; do
      ./bazelw run //tools:train -- --config=configs/ade20k_deeplab.py --config.policy=$policy \
          --workdir=$policy
    done
    ./bazelw run //tools:train -- --config=configs/ade20k_deeplab.py:authors --workdir=authors

The paper's mIoU (Eq 21, "per image" here): 26.14 % in float32; with 8 bits, and 16 for the errors
inside batch norm, 25.92 % (PAPER_DEEPLAB_L2) and 25.83 % (PAPER_DEEPLAB); with 8 for those too
24.16 % (PAPER_DEEPLAB_E8).

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
    config.data.name = "ade20k"
    config.data.options = ConfigDict()
    config.data.train = "train"
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
    config.optimizer.boundaries = (50_000, 100_000)
    config.optimizer.warmup = ()
    config.optimizer.factors = ()

    config.steps = 150_000
    config.seed = 0
    config.evaluate_every = 50_000
    config.checkpoint_every = 1000
    config.keep = 2
    return config
