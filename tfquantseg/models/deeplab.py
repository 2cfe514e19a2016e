"""DeepLabv3 on ResNet-50: Chen et al., arXiv:1706.05587, as arXiv:2011.14504 trains it.

ResNet-50 with dilations in place of its last strides, then *atrous spatial pyramid pooling*: a
1 x 1 convolution, three 3 x 3 ones of growing dilation, and the mean of the whole image, side by
side; a 1 x 1 convolution joins them, another scores the classes, and the scores are enlarged to the
image bilinearly.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import initializers, layers

from tfquantseg.models import framing, resnet50, resnet50_weights
from tfquantseg.models.broadcast import BroadcastLike
from tfquantseg.models.preprocessing import Preprocessing

_RATES = (6, 12, 18)  # at an output stride of 16; the same in pixels at others
_MOMENTUM = 0.95
_EPSILON = 1e-3


def deeplabv3_resnet50(
    classes: int,
    *,
    input_size: framing.Size | None = None,
    output_stride: int = 16,
    version: str = "v1",
    width: int = 64,
    encoder: str | None = None,
    preprocessing: str | Preprocessing | Mapping[str, Any] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Builds DeepLabv3 with a ResNet-50 encoder.

    All convolutions start with MSRA's standard deviation sqrt(2 / fan_in) (He et al.,
    arXiv:1502.01852), the last one, which no ReLU follows, with sqrt(1 / fan_in). Batch norm has
    epsilon 1e-3 and momentum 0.95.

    Args:
        classes: number of classes, at least 2.
        input_size: height and width in pixels, at least 32 each; sides that are no multiple of
            `output_stride` are padded and the logits cropped inside the model. None accepts images
            of any size whose sides are multiples of `output_stride`.
        output_stride: 8 or 16, pixels from one feature to the next.
        version: of ResNet-50, `"v1"` or, as the paper's authors use it, `"v2"` with pre-activation.
        width: channels of the first convolution. 64 is ResNet-50's, with 256 channels in the
            pyramid; less scales all of them, for a network that trains on little hardware.
        encoder: None for random weights, `"imagenet"`, which keras.applications downloads, or the
            path of an `.h5` or `.keras` file of its ResNet-50. Needs width 64.
        preprocessing: what the images of a local file's encoder went through: a `Preprocessing`,
            its fields, or the name of a usual one; by default that of keras.applications.
        seed: of the initial weights.

    Returns:
        The model, float32 `[N, H, W, 3]` RGB 0..255 to logits `[N, H, W, classes]`.

    Raises:
        ValueError: an argument out of range, or encoder weights that don't fit.
    """
    framing.check_at_least("classes", classes, 2, "segmentation tells classes apart")
    framing.check_at_least("width", width, 1, "channels of the first convolution")
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride must be 8 or 16, got {output_stride!r}.")
    if encoder is None and preprocessing is not None:
        raise ValueError(
            f"preprocessing={preprocessing!r} belongs to an encoder's weights; give encoder too."
        )
    seeds = itertools.count(1000 * seed)
    pixels, x = framing.image(input_size, output_stride)
    x = resnet50.features(x, version=version, width=width, output_stride=output_stride, seeds=seeds)
    x = _pyramid(x, 4 * width, output_stride, seeds)
    initial = initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", next(seeds))
    x = layers.Conv2D(classes, 1, kernel_initializer=initial, name="logits")(x)
    x = layers.UpSampling2D(output_stride, interpolation="bilinear", name="enlarge")(x)
    logits = framing.crop(x, input_size, output_stride)
    model = keras.Model(pixels, logits, name="deeplabv3_resnet50")
    if encoder is not None:
        resnet50_weights.load(model, encoder, version=version, preprocessing=preprocessing)
    return model


def _pyramid(
    x: keras.KerasTensor, filters: int, output_stride: int, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Appends atrous spatial pyramid pooling.

    Args:
        x: `[N, h, w, C]`.
        filters: channels of each branch, and of the result.
        output_stride: pixels from one feature to the next.
        seeds: the next one draws each kernel.

    Returns:
        `[N, h, w, filters]`.
    """

    def unit(x: keras.KerasTensor, size: int, name: str, dilation: int = 1) -> keras.KerasTensor:
        """Appends a convolution, batch norm and ReLU."""
        x = layers.Conv2D(
            filters,
            size,
            padding="same",
            dilation_rate=dilation,
            use_bias=False,
            kernel_initializer=initializers.HeNormal(next(seeds)),
            name=name,
        )(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    branches = [unit(x, 1, "aspp_1x1")]
    for rate in _RATES:
        branches.append(unit(x, 3, f"aspp_rate{rate}", rate * 16 // output_stride))
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean")(x)
    mean = unit(mean, 1, "aspp_image")
    branches.append(BroadcastLike(name="aspp_broadcast")([mean, x]))
    return unit(layers.Concatenate(name="aspp_join")(branches), 1, "aspp_project")
