"""The table of objects: bits, and limit or step, of everything that a quantized model quantizes."""

from collections.abc import Iterator

import keras

from tfquantseg.layers.affine import is_affine
from tfquantseg.layers.batch_norm import BatchNorm
from tfquantseg.layers.convolutions import (
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDepthwiseConv2D,
)
from tfquantseg.layers.edge import QuantEdge
from tfquantseg.layers.prelu import QuantPReLU
from tfquantseg.policy import Policy

Row = tuple[str, str, int | None, str]


def objects(model: keras.Model) -> list[Row]:
    """Returns (layer, object, bits, limit or step) of every object of a quantized model.

    Args:
        model: what `tfquantseg.transform.quantize` returned, or loaded from its file.

    Returns:
        One row an object, in the model's order; bits None where it stays in float32. A float
        model has no rows.
    """
    rows: list[Row] = []
    for layer in model.layers:
        if isinstance(layer, QuantEdge):
            rows.extend(_edge(layer))
        elif isinstance(layer, QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose):
            rows.extend(_convolution(layer))
        elif isinstance(layer, BatchNorm):
            rows.extend(_batch_norm(layer))
        elif is_affine(layer) and layer.trainable_weights:
            rows.append((layer.name, "gamma", None, "-"))  # of a LayerScale: it folds away
        elif isinstance(layer, QuantPReLU):
            rows.append((layer.name, "alpha", layer.policy.k_gamma, _limits(layer.limit)))
            rows.extend(_training(layer.name, layer.policy, _limits(layer.limit)))
    return rows


def object_table(model: keras.Model) -> str:
    """Returns what a model quantizes as a table: layer, object, bits, and limit or step.

    The objects are W weight, A activation, E1 and E2 errors, G gradient, U update, and batch norm's
    mu, sigma, x_hat, gamma and beta, and PReLU's alpha.

    Args:
        model: what `tfquantseg.quantize` returned, or loaded from its file.

    Returns:
        Text, one line an object, in the model's order; one line that says so for a float model.
    """
    rows = objects(model)
    if not rows:
        return "Nothing is quantized: a float model.\n"
    width = max(len(layer) for layer, *_ in rows)
    lines = [f"{'layer':{width}}  object  bits   limit or step"]
    for layer, name, bits, on in rows:
        lines.append(f"{layer:{width}}  {name:6}  {bits or 'float':5}  {on if bits else '-'}")
    return "\n".join(lines) + "\n"


def _edge(layer: QuantEdge) -> Iterator[Row]:
    policy = layer.policy
    step = policy.A_text()
    if policy.A_grid == "scaled":
        step += " of the batch; a running estimate in evaluation"
    if layer.fixed_step is not None:
        step = f"step {layer.fixed_step:g}"
    if layer.unsigned:
        step += ", unsigned"
    yield layer.name, "A", policy.k_A, step
    errors = [
        one for one, here in zip(layer.error_policies, layer.quantize_error, strict=True) if here
    ]
    for bits, text in dict.fromkeys((one.k_E1, one.E1_text()) for one in errors):
        yield layer.name, "E1", bits, text


def _convolution(layer: QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose) -> Iterator[Row]:
    policy = layer.policy
    yield layer.name, "W", policy.k_W, _limits(layer.W_limit)
    if layer.use_bias:
        yield layer.name, "bias", policy.k_U, _limits(layer.bias_limit)
    if layer.error_grid != "none":
        at_activation = layer.error_grid == "E1"
        bits = policy.k_E1 if at_activation else policy.k_E2
        text = policy.E1_text() if at_activation else policy.E2_text()
        yield layer.name, layer.error_grid, bits, text
    else:
        yield layer.name, "E2", None, "-"
    yield from _training(layer.name, policy, _limits(layer.W_limit))


def _batch_norm(layer: BatchNorm) -> Iterator[Row]:
    policy = layer.policy
    for name in ("mu", "sigma", "gamma", "beta"):
        limit = _limits(layer.limits[f"{name}_limit"])
        yield layer.name, name, getattr(policy, f"k_{name}"), limit
    yield layer.name, "x_hat", policy.k_x_hat, policy.step_text()
    if layer.quantize_error:
        yield layer.name, "E2", policy.k_E2, policy.E2_text()
    yield from _training(layer.name, policy, "of gamma and beta")


def _training(name: str, policy: Policy, limit: str) -> Iterator[Row]:
    yield name, "G", policy.k_G, policy.G_text()
    yield name, "U", policy.k_U, limit


def _limits(limit: float | tuple[float, ...]) -> str:
    if isinstance(limit, float):
        return f"limit {limit:g}"
    return f"limit {min(limit):g} to {max(limit):g}, one a channel"
