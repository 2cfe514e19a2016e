"""Your own data on a pretrained network made for devices: the recipe to start with.

A light DeepLab on EfficientNet-Lite0, with ImageNet's weights of the extra `lite0`, learns the
classes of FOLDER/classes.txt from FOLDER/images and FOLDER/masks, as configs/folder.py does with a
small network from random weights. An Edge TPU runs all of it up to the last resize. The encoder
is frozen for the first 60 steps, while the new layers find out what it sees; then it learns too,
at an eighth of their rate. First look at the data, then train, then convert:

    ./bazelw run //tools:data -- check --config=my_data --config.data.options.root=FOLDER
    ./bazelw run //tools:preflight -- --config=my_data --config.data.options.root=FOLDER
    ./bazelw run //tools:train -- --config=configs/my_data.py --config.data.options.root=FOLDER \
        --workdir=mine
    ./bazelw run //tools:convert -- --workdir=mine --logits=stride

`--logits=stride` is for an Edge TPU: it leaves the last resize to the host, which the TPU might not
take (docs/deployment.md has the lines for it). For a phone, leave the flag out.

The last fifth of the images, in the order of their names, is held out to validate on. Every image
is scaled to `data.size`, whatever its shape; other sizes are multiples of 16. A few hundred images
deserve more steps: 1200, and four times the numbers in `boundaries` and `factors`.

Time: 4 to 7 images a second on 2 cores that others shared, so about 8 minutes. The score depends
on your images: 60 of ECSSD gave mIoU 61.6 on the 12 held out, 95 % between 49 and 73.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    config = ConfigDict()

    config.policy = "INTEGER E_scale=per_vector"  # FLOAT; INTEGER alone: docs/design/ideas.md
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "efficientnet_lite0"
    config.model.args = ConfigDict({"encoder": "imagenet_lite0"})

    config.data = ConfigDict()
    config.data.name = "folder"
    config.data.options = ConfigDict({"root": "", "val_share": 0.2})
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (192, 256)
    config.data.fit = "resize"
    config.data.flip = True  # False where left and right differ, as in letters
    config.data.multiple = 16
    config.data.batch = 8

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.0  # 0.5 where a class that matters fills few pixels

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-5
    config.optimizer.momentum = 0.875
    config.optimizer.decay = 2.0**-12
    config.optimizer.boundaries = (200, 250, 280)
    config.optimizer.warmup = ()
    config.optimizer.factors = (("(stem|block).*", 2.0**-3, 60),)

    config.steps = 300
    config.seed = 0
    config.evaluate_every = 100
    config.checkpoint_every = 100
    config.keep = 2
    return config
