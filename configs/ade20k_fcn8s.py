"""FCN8s-VGG16 on ADE20K at the paper's scale: Table I of arXiv:2011.14504.

Crops of 512 x 512, batches of 8, 4,096 channels in fc6 and fc7, and an encoder of ImageNet's
weights, which keras.applications downloads, on the 20,210 images of SceneParse150. Two variants:

- `paper`: the letter of section V-A: PAPER_FCN, MSE, weight decay 5e-4, the rate halved every
  10,000 steps, no augmentation, no dropout. It tells neither the number of steps nor the first
  rate: 60,000 are about as many epochs as VOC's 30,000, and 2^-11 is as in configs/voc_fcn8s.py.
- `authors`: what their code does: AUTHORS_FCN, cross entropy, no decay, flips, dropout of 1/2, and
  150,000 steps, the rate halved every 50,000. Pixels go through the encoder's own preprocessing,
  and not through their (x - mean) / 63.75 - 1.

    export TFQUANTSEG_DATA=FOLDER   # for ADEChallengeData2016/
    ./bazelw run //tools:data -- download ade20k
    ./bazelw run //tools:train -- --config=configs/ade20k_fcn8s.py --workdir=paper
    ./bazelw run //tools:train -- --config=configs/ade20k_fcn8s.py:authors --workdir=authors

The paper's mIoU (Eq 21, "per image" here): 27.85 % in float32, 26.08 % with 8 bits. FLOAT and
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
    config.data.name = "ade20k"
    config.data.options = ConfigDict()
    config.data.train = "train"
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
    config.optimizer.boundaries = (
        (10_000, 20_000, 30_000, 40_000, 50_000) if paper else (50_000, 100_000)
    )
    config.optimizer.warmup = ()
    config.optimizer.factors = ()

    config.steps = 60_000 if paper else 150_000
    config.seed = 0
    config.evaluate_every = 10_000
    config.checkpoint_every = 1000
    config.keep = 2
    return config
