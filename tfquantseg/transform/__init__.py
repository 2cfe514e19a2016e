"""The transform: float model in, quantized model out. Quantize = flatten, plan, rebuild."""

import keras

from tfquantseg.layers import QuantEdge
from tfquantseg.policy import Policy, Rules
from tfquantseg.transform.flatten import count_convolutions, flatten
from tfquantseg.transform.graph import read_graph, register
from tfquantseg.transform.plan import Plan
from tfquantseg.transform.rebuild import rebuild
from tfquantseg.transform.scopes import check_names

__all__ = ["Plan", "count_convolutions", "flatten", "plan", "quantize", "register"]


def plan(model: keras.Model, rules: Policy | Rules) -> Plan:
    """Returns what `quantize` would build; print it to see nodes, edges and ties.

    Args:
        model: a built float Keras model: functional, Sequential, nested, or with subclassed parts
            that can be traced; one that is subclassed itself has to be called once before.
        rules: a policy for all layers, or rules by layer name.

    Returns:
        The plan. Printed, it is two tables: convolutions with what is fused into them, and edges
        (quantized tensors) with those that share one step.

    Raises:
        ValueError: an operation with no plan, a rule that is never used, a name that graphs of
            TensorFlow don't take.
    """
    rules = Rules.of(rules)
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, received a {type(model).__name__}.")
    if any(isinstance(layer, QuantEdge) for layer in model._flatten_layers()):
        raise ValueError(f"{model.name!r} is quantized already; give the float model.")
    made = Plan.of(read_graph(flatten(model)), rules)
    check_names(made, model.name)
    return made


def quantize(model: keras.Model, rules: Policy | Rules) -> keras.Model:
    """Returns a model whose convolutions multiply integers, forward and backward.

    Between its layers flow pairs (integers, step); the master weights that the optimizer updates
    are the given ones on a grid of 24 bits.

    Example:
        >>> quantized = quantize(float_model, preset("INTEGER"))

    Args:
        model: a built float Keras model: functional, Sequential, nested, or with subclassed parts
            that can be traced; one that is subclassed itself has to be called once before. It is
            not changed.
        rules: a policy for all layers, or rules by layer name.

    Returns:
        A functional model with the same inputs and outputs (float32), its weights carried over.
        It trains with ``compile`` and ``fit``, saves to ``.keras`` and loads again after
        ``import tfquantseg.layers``. Train it with `IntegerSGD`: other optimizers move master
        weights off their grids.

    Raises:
        ValueError: an operation with no plan, a rule that is never used, a name that graphs of
            TensorFlow don't take, weights beyond a fixed limit.
    """
    quantized = rebuild(plan(model, rules), model.name)
    before, after = count_convolutions(model), _count_quantized(quantized)
    if before != after:
        raise ValueError(
            f"{model.name!r}: {before} convolutions before, {after} after quantize; part of the "
            "model was not reached. Please report the model."
        )
    return quantized


def _count_quantized(model: keras.Model) -> int:
    kinds = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense")
    return sum(type(layer).__name__.removeprefix("Quant") in kinds for layer in model.layers)
