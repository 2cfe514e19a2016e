"""Small float networks of what MobileNetV3 and EfficientNet contain, and of other activations."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from keras.src.applications.convnext import LayerScale  # which keras does not export

SIZE = 16


def _image() -> tuple[Any, Any]:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    return image, layers.Rescaling(1 / 128, offset=-1, name="grid")(image)


def _conv_bn(x: Any, name: str, filters: int = 8, kernel: int = 3, **options: Any) -> Any:
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name, **options)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def mobilenet_v3() -> keras.Model:
    """hard_swish, and squeeze-and-excite whose gate is relu6(x + 3) / 6, as keras writes them."""
    image, x = _image()
    x = layers.Activation("hard_swish", name="stem_swish")(_conv_bn(x, "stem", strides=2))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layers.BatchNormalization(name="depthwise_bn")(y)
    y = layers.Activation("hard_swish", name="depthwise_swish")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)
    gate = layers.Conv2D(4, 1, activation="relu", name="reduce")(gate)
    gate = layers.Conv2D(8, 1, name="expand")(gate)
    gate = layers.ReLU(6.0, name="hard_sigmoid")(gate + 3.0) * (1.0 / 6.0)
    y = layers.Multiply(name="excite")([y, gate])
    x = layers.Add(name="residual")([x, _conv_bn(y, "project", kernel=1)])
    x = layers.UpSampling2D(2, interpolation="bilinear", name="up")(x)
    return keras.Model(image, layers.Conv2D(3, 1, name="logits")(x), name="mobilenet_v3")


def efficientnet() -> keras.Model:
    """Rescalings and a Normalization inside, swish, and squeeze-and-excite with Reshape."""
    image, x = _image()
    x = layers.Rescaling(128.0, offset=128.0, name="bytes")(x)
    x = layers.Rescaling(1 / 255, name="unit")(x)
    x = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06], name="normal")(x)
    x = layers.Rescaling([1 / 0.7, 1 / 0.8, 1 / 0.9], name="imagenet")(x)
    x = layers.Activation("swish", name="stem_swish")(_conv_bn(x, "stem"))
    gate = layers.GlobalAveragePooling2D(name="squeeze")(x)
    gate = layers.Reshape((1, 1, 8), name="reshape")(gate)
    gate = layers.Conv2D(4, 1, activation="swish", name="reduce")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="expand")(gate)
    x = layers.multiply([x, gate], name="excite")
    x = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name="drop")(_conv_bn(x, "project"))
    return keras.Model(image, layers.Conv2D(3, 1, name="logits")(x), name="efficientnet")


def prelu() -> keras.Model:
    """PReLU, and leaky ReLU as layer, as argument and as op."""
    image, x = _image()
    slopes = keras.initializers.RandomUniform(-0.5, 1.5, seed=0)
    x = layers.PReLU(slopes, shared_axes=[1, 2], name="prelu")(_conv_bn(x, "stem"))
    x = layers.LeakyReLU(0.1, name="leaky_layer")(_conv_bn(x, "second"))
    x = layers.Conv2D(8, 3, padding="same", activation="leaky_relu", name="third")(x)
    x = ops.leaky_relu(_conv_bn(x, "fourth"), 0.3)
    x = layers.ReLU(negative_slope=0.25, name="bent_relu")(_conv_bn(x, "fifth"))
    return keras.Model(image, layers.Conv2D(3, 1, name="logits")(x), name="prelu")


def layer_scale() -> keras.Model:
    """Constants in front of, behind and between convolutions, sums and ReLUs; ConvNeXt's layer."""
    image, x = _image()
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(x)
    y = _conv_bn(x, "branch") * np.linspace(-0.5, 1, 8).astype(np.float32)  # one channel turned
    x = x + y
    x = 1.5 - x / 3
    x = ops.relu(x) - 0.25
    y = layers.Conv2D(8, 1, activation="relu", name="behind")(-x)
    y = LayerScale(0.5, 8, name="scale")(layers.Conv2D(8, 1, name="trained")(y))
    y = ops.add(ops.multiply(y, 0.5), 0.125)
    x = layers.Subtract(name="difference")([x, y])
    return keras.Model(image, layers.Conv2D(3, 1, name="logits")(x), name="layer_scale")


def softmax_head() -> keras.Model:
    """Softmax in the middle and at the end, tanh, sigmoid, hard_sigmoid and gelu."""
    image, x = _image()
    x = layers.Conv2D(8, 3, padding="same", activation="tanh", name="stem")(x)
    attention = layers.Softmax(name="attention")(layers.Conv2D(8, 1, name="scores")(x))
    x = ops.multiply(x, attention)
    x = layers.Conv2D(8, 3, padding="same", activation="gelu", name="second")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="hard_sigmoid", name="third")(x)
    y = layers.AveragePooling2D(3, strides=1, padding="same", name="mean")(y)  # of unsigned bytes
    x = ops.relu(ops.subtract(ops.sigmoid(x), y) * x + 1.0)
    x = layers.Concatenate(name="join")([x, layers.Activation("tanh", name="bounded")(y)])
    x = layers.Conv2D(3, 1, activation="softmax", name="logits")(x)
    return keras.Model(image, x, name="softmax_head")


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "mobilenet_v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "prelu": prelu,
    "layer_scale": layer_scale,
    "softmax_head": softmax_head,
}


def made(name: str) -> keras.Model:
    """One of the networks, seeded, its batch norms with statistics such as training leaves."""
    keras.utils.set_random_seed(5)
    random = np.random.default_rng(5)
    model = NETWORKS[name]()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(0, 0.2, shape))
            layer.moving_variance.assign(random.uniform(0.1, 0.5, shape))
            layer.gamma.assign(random.uniform(0.5, 1.5, shape))
            layer.beta.assign(random.normal(0.2, 0.3, shape))
    return model


def images(count: int, seed: int = 11) -> np.ndarray:
    """Random images, uint8 [N, H, W, 3]."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)
