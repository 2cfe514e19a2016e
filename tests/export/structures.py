"""Float networks of the structures that real models have: small, of 16 x 16 pixels, seeded."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tests.export.whole_way import L, on_grid

SIZE = 16


def conv(x: Any, filters: int = 4, kernel: int = 3, **options: Any) -> Any:
    return L.Conv2D(filters, kernel, padding="same", **options)(x)


def bn_relu(x: Any) -> Any:
    return L.ReLU()(L.BatchNormalization()(x))


def network(body: Callable[[Any], Any]) -> keras.Model:
    """A model of one image, with weights and statistics as training leaves them behind."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    return with_statistics(keras.Model(image, body(on_grid(image)), name=body.__name__))


def with_statistics(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(1)
    for layer in model._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.3, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, shape))
            if layer.scale:
                layer.gamma.assign(rng.normal(1, 0.5, shape))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.3, shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 0.3, layer.bias.shape))
    return model


# Convolutions.


def groups(x: Any) -> Any:
    x = conv(x, 8, activation="relu", name="stem")
    x = bn_relu(conv(x, 12, groups=4, strides=2, use_bias=False, name="four"))
    x = conv(x, 12, groups=2, dilation_rate=2, activation="relu6", name="two")
    x = conv(x, 24, groups=12, name="each")  # a depthwise convolution
    return L.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, name="separable")(x)


def dense(x: Any) -> Any:
    x = L.Dense(6, name="at_each_pixel")(conv(x, 8, activation="relu"))
    x = L.MaxPooling2D(4)(x)
    pooled = L.Dense(10, use_bias=False, name="of_means")(L.GlobalAveragePooling2D()(x))
    flat = L.Dense(10, activation="relu", name="of_all")(L.Flatten()(x))
    both = L.BatchNormalization()(L.Concatenate()([bn_relu(pooled), flat]))
    scores = L.Dense(20, name="scores")(L.Dropout(0.3)(both))
    image = L.Reshape((2, 2, 5))(scores)
    return [scores, L.UpSampling2D(8, interpolation="bilinear")(image)]


def joined_rows(x: Any) -> Any:
    """Joins along the last axis by its number, of [N, C] and of [N, L, C], by layer and by op."""
    x = conv(x, 4, strides=4, activation="relu")
    flat = L.Flatten()(x)
    rows = L.Reshape((16, 4))(x)
    one, other = L.Dense(5, activation="relu")(flat), L.Dense(6)(flat)
    both = ops.concatenate([L.Concatenate(axis=1)([one, other]), other], axis=1)
    long = L.Concatenate(axis=2)([L.Dense(3)(rows), L.Dense(5, activation="relu")(rows)])
    return [L.Dense(3, name="of_both")(both), L.Dense(3, name="of_long")(long)]


def transposed(x: Any) -> Any:
    x = L.Conv2DTranspose(4, 4, strides=2, padding="same", activation="relu", name="fused")(x)
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False, name="with_bn")(x)
    x = L.ReLU(6.0)(L.BatchNormalization()(x))
    x = L.ReLU()(L.Add(name="three")([x, conv(x), L.MaxPooling2D(3, 1, padding="same")(x)]))
    return L.Conv2DTranspose(3, 2, strides=2, name="linear")(L.MaxPooling2D(4)(x))


# Layers that are called several times.


def shared(x: Any) -> Any:
    """A convolution followed by its norm twice, by nothing once; and a norm in two places."""
    again, norm = L.Conv2D(4, 3, padding="same", name="again"), L.BatchNormalization(name="norm")
    x = conv(x, 4)
    one = L.ReLU()(norm(again(x)))
    other = norm(again(L.MaxPooling2D(2)(x)))
    x = L.Add()([one, L.UpSampling2D(2)(other)])
    return L.Concatenate()([norm(x), again(x)])


def pyramid(x: Any) -> Any:
    """One head on features of three sizes, as detectors have it."""
    fine = conv(x, 6, activation="relu")
    middle = conv(fine, 6, strides=2, activation="relu")
    coarse = conv(middle, 6, strides=2, activation="relu")
    tower, norm = L.Conv2D(6, 3, padding="same", name="tower"), L.BatchNormalization()
    logits = L.Conv2D(3, 1, name="logits")
    return [logits(L.ReLU()(norm(tower(level)))) for level in (fine, middle, coarse)]


def siamese(x: Any) -> Any:
    z = keras.Input((None, None, 3))
    branch = keras.Model(z, bn_relu(conv(z, 5, strides=2, name="conv")), name="branch")
    flipped = L.Cropping2D(((0, 8), (0, 0)))(x)
    return conv(
        L.Concatenate()([branch(x), L.UpSampling2D((2, 1))(branch(flipped))]), 3, name="head"
    )


# Batch norm that follows no convolution.


def pre_activation(x: Any) -> Any:
    """Several read what is in front of the norm; the last block's norms are frozen."""
    x = conv(x, 6)
    for block, trainable in ((1, True), (2, False)):
        y = L.BatchNormalization(trainable=trainable, name=f"before_{block}")(x)
        y = conv(L.ReLU()(y), 6, use_bias=False, name=f"first_{block}")
        y = L.ReLU()(L.BatchNormalization(trainable=trainable, name=f"between_{block}")(y))
        x = L.Add()([x, conv(y, 6, name=f"second_{block}")])
    return conv(bn_relu(x), 3)


def norms_everywhere(x: Any) -> Any:
    x = L.BatchNormalization(name="of_image")(x)
    one, other = conv(x, 4), conv(x, 4, activation="relu")
    joined = L.BatchNormalization(scale=False, name="of_join")(L.Concatenate()([one, other]))
    pooled = L.BatchNormalization(center=False, name="of_pool")(L.AveragePooling2D(2)(joined))
    twice = L.BatchNormalization(name="twice")(L.BatchNormalization(name="once")(pooled))
    after_relu = L.BatchNormalization(name="of_relu")(other)  # not of its convolution
    resized = L.BatchNormalization(name="of_resize")(L.UpSampling2D(2)(twice))
    return L.Concatenate()([L.ReLU()(resized), after_relu, L.ReLU(6.0)(after_relu)])


# Ties, and what would wait for itself.


def dense_block(x: Any) -> Any:
    x = conv(x, 4)
    for _ in range(3):
        y = conv(bn_relu(conv(bn_relu(x), 6, 1, use_bias=False)), 3, use_bias=False)
        x = L.Concatenate()([x, y])
    x = L.AveragePooling2D(2)(conv(bn_relu(x), 5, 1, use_bias=False))
    for _ in range(2):
        x = L.Concatenate()([x, conv(bn_relu(x), 3, use_bias=False)])
    return conv(bn_relu(x), 3, 1)


def joins(x: Any) -> Any:
    """The same tensor twice, the image beside what was made of it, a join of joins."""
    one = conv(x, 4, activation="relu")
    twice = L.Concatenate(name="twice")([one, one])
    with_image = L.Concatenate(name="with_image")([x, conv(twice, 3), x])
    of_joins = L.Concatenate(name="of_joins")([with_image, twice, L.MaxPooling2D(1)(twice)])
    again = L.Concatenate(name="again")([of_joins, conv(of_joins, 2), with_image])
    return [conv(again, 3), of_joins]


def resizes(x: Any) -> Any:
    """Down and up again, each size joined with what it was made of."""
    x = conv(x, 4)
    for kind in ("bilinear", "nearest"):
        small = L.AveragePooling2D(2)(x)
        back = L.UpSampling2D(2, interpolation=kind)(small)
        x = L.Concatenate()([back, x, L.MaxPooling2D(3, 1, padding="same")(back)])
        x = conv(L.Add()([x, x]), 4)
    up = L.Resizing(24, 20)(x)
    return L.Concatenate()([L.Resizing(16, 16)(up), x])


def several() -> keras.Model:
    """Three images of two sizes, one of a single channel; heads of two strides."""
    keras.utils.set_random_seed(0)
    inputs = {
        "photograph": keras.Input((SIZE, SIZE, 3), name="photograph"),
        "depth": keras.Input((SIZE, SIZE, 1), name="depth"),
        "small": keras.Input((SIZE // 2, SIZE // 2, 3), name="small"),
    }
    photograph, depth, small = (on_grid(image) for image in inputs.values())
    x = L.Add()([conv(photograph, activation="relu"), conv(depth)])
    x = conv(L.Concatenate()([x, L.UpSampling2D(2)(small)]), 6, activation="relu")
    outputs = {"fine": conv(x, 3, 1, name="fine"), "coarse": conv(x, 2, strides=4, name="coarse")}
    return with_statistics(keras.Model(inputs, outputs, name="several"))


def spatial_gates(x: Any) -> Any:
    """One channel times, plus and less many, as attention gates of U-Nets and scSE have it."""
    x = conv(x, 6, activation="relu")
    gate = conv(L.MaxPooling2D(2)(x), 1, 1, activation="sigmoid")
    x = L.Multiply()([L.UpSampling2D(2)(gate), x])
    x = L.ReLU()(L.Add()([x, conv(x, 1)]))
    return conv(L.Subtract()([conv(x, 1), x]) * conv(x, 1, activation="tanh"), 3, 1)


@keras.saving.register_keras_serializable("tests")
class Encoder(keras.Model):
    """A program of layers and bare ops, as PyTorch's users write it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = L.Conv2D(6, 3, strides=2, name="first")
        self.norm = L.BatchNormalization(name="norm")
        self.second = L.Conv2D(6, 3, padding="same", name="second")
        self.gate = L.Conv2D(6, 1, name="gate")

    def call(self, x: Any, training: bool = False) -> Any:
        x = ops.pad(x, [[0, 0], [0, 1], [1, 0], [0, 0]])
        x = ops.relu(self.norm(self.first(x), training=training))
        x = ops.relu6(self.second(x) + x)
        means = self.gate(ops.mean(x, axis=(1, 2), keepdims=True))
        means = ops.image.resize(means, x.shape[1:3], interpolation="nearest")
        return ops.concatenate([x, means], axis=-1)


def program(x: Any) -> Any:
    """A subclassed model inside a functional one."""
    x = conv(Encoder(name="encoder")(x), 3, 1, name="logits")
    return ops.image.resize(x, (SIZE, SIZE), interpolation="bilinear")


def random_graph(seed: int) -> keras.Model:
    """A network of twelve random steps; each reads what any before it made."""
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    made = [on_grid(image)]
    shared_layers = L.Conv2D(4, 3, padding="same"), L.BatchNormalization()
    for _ in range(12):
        x = made[-1 - min(int(rng.geometric(0.45)) - 1, len(made) - 1)]
        y = _random_step(rng, x, made, shared_layers)
        made.append(conv(y, 4, 1) if y.shape[3] > 16 else y)
    # What nobody reads is no part of the model.
    return with_statistics(
        keras.Model(image, [conv(made[-1], 3, 1), made[-2]], name=f"random_{seed}")
    )


def _random_step(rng: np.random.Generator, x: Any, made: list[Any], shared_layers: Any) -> Any:
    size, channels = x.shape[1], x.shape[3]
    alike = [y for y in made if y.shape[1:] == x.shape[1:]]
    joined = [y for y in made if y.shape[1] == size]

    def one_of(tensors: list[Any]) -> Any:
        return tensors[int(rng.integers(len(tensors)))]

    choices: list[Callable[[], Any]] = [
        lambda: conv(x, 4, activation=str(rng.choice(["linear", "relu", "relu6"]))),
        lambda: bn_relu(x),
        lambda: L.BatchNormalization()(conv(x, 4, use_bias=False)),
        lambda: L.Add()([x, one_of(alike)]),
        lambda: L.Concatenate()([x, one_of(joined), one_of(joined)]),
        lambda: L.MaxPooling2D(2, 1, padding="same")(x),
        lambda: L.ReLU()(x),
        lambda: L.DepthwiseConv2D(3, padding="same")(x),
        lambda: L.Dropout(0.2)(x),
    ]
    if size > 4:
        choices += [lambda: L.AveragePooling2D(2)(x)]
    if size < SIZE:
        choices += [lambda: L.UpSampling2D(2, interpolation="bilinear")(x)] * 2
    if channels == 4:
        choices += [lambda layer=layer: layer(x) for layer in shared_layers]
    return choices[int(rng.integers(len(choices)))]()
