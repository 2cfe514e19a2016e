"""A folder of your own: images, masks, and the names of the classes.

The small residual U-Net of configs/digits.py learns the classes of FOLDER/classes.txt from
FOLDER/images and FOLDER/masks, which tfquantseg/data/folder.py describes; the last fifth of the
images, in the order of their names, is held out to validate on. First look at the data, then train:

    ./bazelw run //tools:data -- check --config=folder --config.data.options.root=FOLDER
    ./bazelw run //tools:train -- --config=configs/folder.py --config.data.options.root=FOLDER

Every image is scaled to `data.size`, whatever its shape. Larger sizes show smaller objects, and
take longer in proportion to their pixels; a wider network (`--config.model.args.width=32`) learns
more and takes about three times as long.

Time: about 4 minutes on 2 cores. The score depends on your images. The first 30 photographs of
ECSSD (one object on its background, 24 to train on) reach mIoU 62 on the other 6 (95 % over images:
55 to 71); of so few, the network learns the 24 by heart (mIoU 96).
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe; configs/digits.py says what each key means."""
    config = ConfigDict()

    config.policy = "INTEGER"  # FLOAT
    config.rules = ()

    config.model = ConfigDict()
    config.model.name = "residual_unet"
    config.model.args = ConfigDict({"width": 16})

    config.data = ConfigDict()
    config.data.name = "folder"
    config.data.options = ConfigDict({"root": "", "val_share": 0.2})
    config.data.train = "train"
    config.data.val = "val"
    config.data.size = (144, 192)
    config.data.fit = "resize"
    config.data.flip = True  # False where left and right differ, as in letters
    config.data.multiple = 8
    config.data.batch = 8

    config.loss = "softmax_cross_entropy"
    config.class_balance = 0.0  # 0.5 where a class that matters fills few pixels

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 2.0**-5
    config.optimizer.momentum = 0.875
    config.optimizer.decay = 2.0**-12  # few images are learned by heart otherwise
    config.optimizer.boundaries = (400, 500, 550)
    config.optimizer.warmup = ()
    config.optimizer.factors = ()

    config.steps = 600
    config.seed = 0
    config.evaluate_every = 100
    config.checkpoint_every = 100
    config.keep = 2
    return config
