"""FCN8s-VGG16 on PASCAL VOC 2012 at the paper's scale: Table I of arXiv:2011.14504.

Crops of 512 x 512, batches of 8, 4,096 channels in fc6 and fc7, and an encoder of ImageNet's
weights, which keras.applications downloads. Two variants:

- `paper`: the letter of section V-A: PAPER_FCN, the 10,582 images of `train_aug`, MSE, weight decay
  5e-4, the rate halved every 10,000 steps, no augmentation, no dropout. The number of steps and the
  first rate, which it does not tell, are those of its authors' code; there the update has a factor
  of 2^-7 besides, so that 2^-4 is 2^-11 here.
- `authors`: what their code does: AUTHORS_FCN, the 1,464 images of VOC's own `train`, cross
  entropy, no decay, flips, dropout of 1/2. Pixels go through the encoder's own preprocessing, and
  not through their (x - mean) / 63.75 - 1.

    export TFQUANTSEG_DATA=FOLDER   # for VOCdevkit/ and SBD, benchmark_RELEASE/
    ./bazelw run //tools:data -- download voc2012
    ./bazelw run //tools:data -- download sbd
    ./bazelw run //tools:train -- --config=configs/voc_fcn8s.py --workdir=paper
    ./bazelw run //tools:train -- --config=configs/voc_fcn8s.py:authors --workdir=authors

The paper's mIoU (Eq 21, "per image" here): 65.17 % in float32, 63.12 % with 8 bits. FLOAT and
INTEGER keep the gradient's scale; their rates at this scale have not been searched.

Time: not run at this scale, for want of the images.
"""

from ml_collections import ConfigDict

VARIANTS = ("paper", "authors")


def get_config(variant: str = "paper") -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    paper = variant == "paper"
    config = ConfigDict()

    config.policy = "PAPER_FCN" if paper else "AUTHORS_FCN"
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "fcn8s_vgg16"
    config.model.args = ConfigDict({"encoder": "imagenet", "dropout": 0.0 if paper else 0.5})

    config.data = ConfigDict()
    config.data.name = "voc2012"
    config.data.options = ConfigDict()
    config.data.train = "train_aug" if paper else "train"
    config.data.val = "val"
    config.data.size = (512, 512)
    config.data.fit = "crop"
    config.data.flip = not paper
    config.data.multiple = 32
    config.data.batch = 8

    config.loss = "mse_one_hot" if paper else "softmax_cross_entropy"
    config.class_balance = 0.0

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-11 if paper else 2.0**-4
    config.optimizer.momentum = 0.0
    config.optimizer.decay = 5e-4 if paper else 0.0
    config.optimizer.boundaries = (10_000, 20_000)
    config.optimizer.warmup = ()
    config.optimizer.factors = ()

    config.steps = 30_000
    config.seed = 0
    config.evaluate_every = 10_000
    config.checkpoint_every = 1000
    config.keep = 2
    return config
