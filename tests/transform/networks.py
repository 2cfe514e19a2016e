"""Float networks for the tests of the transform: small, seeded, batch norms with statistics."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tfquantseg.policy import INTEGER, Policy, Rules
from tfquantseg.transform import flatten
from tfquantseg.transform.graph import read_graph
from tfquantseg.transform.ruled import RuledGraph

SIZE = 16
FINE = dataclasses.replace(
    INTEGER,
    name="FINE",
    k_W=22,
    k_A=22,
    k_E1=22,
    k_E2=22,
    k_G=22,
    k_mu=24,
    k_sigma=24,
    k_gamma=24,
    k_beta=24,
)
"""INTEGER's plan on grids nearly as fine as float32, under which nothing may change."""


def image(channels: int = 3, size: int = SIZE, name: str = "image") -> Any:
    return keras.Input((size, size, channels), name=name)


def conv(x: Any, name: str, filters: int = 4, kernel: int = 3, **options: Any) -> Any:
    return layers.Conv2D(filters, kernel, padding="same", name=name, **options)(x)


def conv_bn_relu(x: Any, name: str, filters: int = 4, **options: Any) -> Any:
    x = conv(x, name, filters, use_bias=False, **options)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def inputs_of(model: keras.Model, seed: int = 0, batch: int = 2) -> Any:
    """Seeded normal values in the structure of a model's inputs."""
    rng = np.random.default_rng(seed)
    return keras.tree.map_structure(
        lambda t: rng.normal(size=[batch, *(d or SIZE for d in t.shape[1:])]).astype(np.float32),
        model._inputs_struct,
    )


def error(one, other) -> float:
    """The largest difference of two structures of tensors, relative to the largest value."""
    pairs = list(zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True))
    return max(float(np.abs(a - b).max() / (np.abs(b).max() + 1e-9)) for a, b in pairs)


def with_statistics(model: keras.Model, seed: int = 1) -> keras.Model:
    """Gives weights and batch norms seeded values such as training leaves behind."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.3, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, shape))
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.5, 1.5, shape))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.3, shape))
        elif hasattr(layer, "kernel") or isinstance(layer, layers.SeparableConv2D):
            fans = [np.prod(w.shape[:-1]) for w in layer.weights]
            layer.set_weights(
                [
                    rng.normal(0, 1 / np.sqrt(max(fan, 4)), w.shape)
                    for w, fan in zip(layer.weights, fans, strict=True)
                ]
            )
    return model


def network(body: Callable[[Any], Any], name: str | None = None, **options: Any) -> keras.Model:
    """A model of one image, whose outputs a function computes."""
    keras.utils.set_random_seed(0)
    x = image(**options)
    return with_statistics(keras.Model(x, body(x), name=name or body.__name__))


def ruled(body: Callable[[Any], Any], rules: Policy | Rules = INTEGER) -> RuledGraph:
    """The flat graph of a network under rules."""
    return RuledGraph.of(read_graph(flatten(network(body, "net"))), Rules.of(rules))


# Bodies of networks.


def convolutions(x: Any) -> Any:
    x = conv(x, "first", strides=2, activation="relu")
    x = layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=2, activation="relu6", name="depthwise"
    )(x)
    x = layers.SeparableConv2D(6, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.Conv2D(4, 3, dilation_rate=(2, 1), name="dilated")(x)
    x = layers.Activation("relu6", name="relu6")(x)
    return layers.Conv2DTranspose(3, 4, strides=2, padding="same", name="transposed")(x)


def resizes(x: Any) -> Any:
    x = conv(layers.Rescaling(1 / 4, offset=0.5, name="rescaling")(x), "first")
    x = layers.MaxPooling2D(3, 2, padding="same", name="max")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="bilinear")(x)
    x = layers.UpSampling2D((1, 2), name="nearest")(conv(x, "second"))
    x = layers.ZeroPadding2D((0, 3), name="pad")(layers.AveragePooling2D(2, name="average")(x))
    x = layers.Cropping2D(1, name="crop")(x)
    return conv(layers.Resizing(9, 12, name="resize")(layers.Dropout(0.5, name="drop")(x)), "last")


def residual(x: Any) -> Any:
    x = conv_bn_relu(x, "stem")
    y = conv(conv_bn_relu(x, "block_1"), "block_2", use_bias=False)
    y = layers.BatchNormalization(name="block_2_bn")(y)
    x = layers.ReLU(name="block_relu")(layers.Add(name="block_add")([x, y]))
    return conv(x, "logits", 3, 1)


def u_net(x: Any) -> Any:
    one = conv_bn_relu(x, "down_1")
    two = conv_bn_relu(layers.MaxPooling2D(2, name="pool_1")(one), "down_2")
    x = conv_bn_relu(layers.MaxPooling2D(2, name="pool_2")(two), "bottom")
    x = layers.UpSampling2D(2, interpolation="bilinear", name="up_2")(x)
    x = conv_bn_relu(layers.Concatenate(name="join_2")([x, two]), "left_2")
    x = layers.UpSampling2D(2, name="up_1")(x)
    x = conv_bn_relu(layers.Concatenate(name="join_1")([x, one]), "left_1")
    return conv(x, "logits", 3, 1)


def dense(x: Any) -> Any:
    x = conv(x, "stem")
    for i in (1, 2):
        y = layers.ReLU(name=f"relu_{i}")(layers.BatchNormalization(name=f"bn_{i}")(x))
        x = layers.Concatenate(name=f"join_{i}")([x, conv(y, f"conv_{i}", 3)])
    return conv(layers.AveragePooling2D(2, name="average")(x), "logits", 2, 1)


def aspp(x: Any) -> Any:
    x = conv_bn_relu(x, "stem", strides=2)
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    pooled = layers.UpSampling2D(8, interpolation="bilinear", name="pool_up")(
        conv_bn_relu(pooled, "pool_conv", kernel=1)
    )
    rates = [conv_bn_relu(x, f"rate_{rate}", dilation_rate=rate) for rate in (1, 2, 3)]
    x = layers.Concatenate(name="join")([*rates, pooled])
    x = layers.Dropout(0.1, name="drop")(conv_bn_relu(x, "project", kernel=1))
    return conv(x, "logits", 3, 1)


def bare_ops(x: Any) -> Any:
    y = ops.relu(conv(x, "one", 3) + x)
    y = ops.concatenate([y, ops.relu6(conv(y, "two"))], axis=-1)
    y = ops.pad(y, [[0, 0], [1, 1], [2, 2], [0, 0]])
    y = conv(ops.mean(y, (1, 2), keepdims=True), "three") + conv(y, "four")
    return ops.softmax(ops.image.resize(y, (10, 10)))


def shared(x: Any) -> Any:
    """One convolution is followed by ReLU once, and once not; the other layers run twice."""
    again, norm = layers.Conv2D(3, 3, padding="same", name="again"), layers.BatchNormalization()
    relu, average = layers.ReLU(name="relu"), layers.AveragePooling2D(2, name="average")
    x = average(relu(norm(again(x))))
    x = again(relu(again(x)))
    return average(relu(norm(conv(x, "middle", 3))))


def several_outputs(x: Any) -> Any:
    x = conv(x, "stem", activation="relu")
    return {"coarse": conv(layers.MaxPooling2D(2)(x), "coarse", 2), "fine": [x, conv(x, "fine", 2)]}


def nested(x: Any) -> Any:
    """A functional part, a Sequential and a layer outside of them use the same name."""
    z = keras.Input((SIZE, SIZE, 3))
    inner = keras.Model(z, conv(z, "conv", 3, activation="relu") + z, name="inner")
    head = keras.Sequential([layers.Conv2D(3, 3, name="conv"), layers.ReLU()], name="head")
    return conv(head(inner(inner(x))), "conv", 2)


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    """A subclassed layer of layers and bare ops, itself part of another."""

    def __init__(self, depth: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(3, 3, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.inner = Block(depth - 1, name="inner") if depth else None

    def build(self, input_shape: Any) -> None:
        self.conv.build(input_shape)
        self.norm.build(input_shape)
        if self.inner is not None:
            self.inner.build(input_shape)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        y = ops.relu(self.norm(self.conv(x), training=training))
        return x + (y if self.inner is None else self.inner(y, training=training))


def subclassed(x: Any) -> Any:
    return conv(Block(name="right")(Block(name="left")(x)), "logits", 2, 1)


BODIES = (
    convolutions,
    resizes,
    residual,
    u_net,
    dense,
    aspp,
    bare_ops,
    shared,
    several_outputs,
    nested,
    subclassed,
)
