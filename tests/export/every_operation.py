"""A small quantized model in which every operation of `tfquantseg.export` occurs, as if trained."""

import keras
import numpy as np

from tfquantseg import preset, quantize
from tfquantseg.models.broadcast import BroadcastLike

L = keras.layers
SIZE = (24, 32)
CLASSES = 3


def float_model() -> keras.Model:
    """Convolutions of all kinds, batch norms, and each layer that moves or averages integers."""
    image = keras.Input((None, None, 3), name="image")
    x = L.Rescaling(1 / 128, offset=-1, name="grid")(image)
    x = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = L.ReLU(name="stem_relu")(L.BatchNormalization(name="stem_bn")(x))
    pooled = L.MaxPooling2D(3, strides=1, padding="same", name="largest")(x)
    pooled = L.AveragePooling2D(2, padding="same", name="average")(pooled)
    wide = L.Conv2D(6, 3, dilation_rate=2, padding="same", name="dilated")(pooled)
    wide = L.ReLU(6.0, name="dilated_relu6")(L.BatchNormalization(name="dilated_bn")(wide))
    deep = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise")(pooled)
    deep = L.BatchNormalization(name="depthwise_bn")(deep)
    deep = L.Conv2D(6, 1, name="pointwise")(deep)
    x = L.ReLU(name="sum_relu")(L.Add(name="sum")([wide, deep]))
    x = L.BatchNormalization(name="alone_bn")(x)  # follows no convolution
    mean = L.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    mean = L.Conv2D(2, 1, activation="relu", name="image_pooling")(mean)
    mean = BroadcastLike(name="everywhere")([mean, x])
    x = L.Concatenate(name="join")([mean, x, pooled])
    x = L.Conv2D(4, 3, padding="valid", name="narrow")(L.ZeroPadding2D(1, name="pad")(x))
    x = L.UpSampling2D(2, interpolation="bilinear", name="twice")(x)
    x = L.UpSampling2D(1, interpolation="nearest", name="once")(x)
    x = L.Conv2DTranspose(CLASSES, 5, strides=3, padding="same", name="logits")(x)
    x = L.Cropping2D(((2, 10), (5, 11)), name="crop")(x)
    return keras.Model(image, x, name="every_operation")


UNSIGNED = "INTEGER A_sign=unsigned_after_relu"


def trained(policy: str = "INTEGER") -> keras.Model:
    """The model in a policy, its scales and statistics estimated, gammas of any sign among them."""
    keras.utils.set_random_seed(7)
    random = np.random.default_rng(7)
    model = float_model()
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            gamma = random.normal(1, 0.5, layer.gamma.shape)
            gamma[0], gamma[-1] = -0.75, 0.0
            layer.gamma.assign(gamma)
            layer.beta.assign(random.normal(0, 0.5, layer.beta.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(random.normal(0, 0.5, layer.bias.shape))
    quantized = quantize(model, preset(policy))
    for _ in range(4):
        quantized(random.integers(0, 256, (2, *SIZE, 3)).astype(np.float32), training=True)
    return quantized


def images(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Random images, uint8 [H, W, 3]."""
    random = np.random.default_rng(11)
    return [random.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(count)]
