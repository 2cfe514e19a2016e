"""Rebuild: make the quantized model that a plan describes, and carry the weights over."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import tree

from tfquantseg.layers import (
    BatchNorm,
    LeanMaxPooling2D,
    LeanReLU,
    Product,
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDense,
    QuantDepthwiseConv2D,
    QuantDropout,
    QuantEdge,
    QuantPReLU,
    RoundOnStep,
    StaysOnGrid,
)
from tfquantseg.numerics.grids import Scaled
from tfquantseg.transform.edges import Edge, Root
from tfquantseg.transform.flatten import copy_weights
from tfquantseg.transform.graph import Call, is_registered
from tfquantseg.transform.limits import (
    batch_norm_limits,
    batch_norm_statistics,
    bias_limit,
    slope_limit,
    weight_limit,
)
from tfquantseg.transform.nodes import Node
from tfquantseg.transform.plan import Plan

_CHANNELS_FIRST = "channels_first"

_NODES = {
    keras.layers.Conv2D: QuantConv2D,
    keras.layers.DepthwiseConv2D: QuantDepthwiseConv2D,
    keras.layers.Conv2DTranspose: QuantConv2DTranspose,
    keras.layers.Dense: QuantDense,
}


def rebuild(plan: Plan, name: str) -> keras.Model:
    """Returns the model that a plan describes, weights carried over onto their grids (Eq 7).

    Args:
        plan: what to build.
        name: the model's name.

    Returns:
        A functional model with the inputs and outputs of the planned one.

    Raises:
        ValueError: weights that exceed a fixed limit, or are not finite.
    """
    builder = _Builder(plan)
    for call in plan.graph.calls:  # in order, so that no chain is too long for Python's stack
        builder.build(call.output)
    inputs = tree.map_structure(builder.raw, plan.graph.inputs)
    return keras.Model(inputs, tree.map_structure(builder.value, plan.graph.outputs), name=name)


class _Builder:
    """Builds each tensor when it is first asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._raw: dict[int, Any] = {}
        self._values: dict[int, Any] = {}
        self._pairs: dict[int, tuple[Any, Any]] = {}
        self._on_edge: dict[Root, tuple[Any, Any]] = {}
        self._layers: dict[int, Any] = {}

    def build(self, tensor: Any) -> None:
        """Makes a tensor, its pair if it carries one."""
        if self._plan.carries_pair(tensor):
            self.pair(tensor)
        else:
            self.raw(tensor)

    def pair(self, tensor: Any) -> tuple[Any, Any]:
        """Returns (integers, step) of a tensor that carries a pair."""
        if id(tensor) not in self._pairs:
            self._pairs[id(tensor)] = self._make_pair(tensor)
        return self._pairs[id(tensor)]

    def value(self, tensor: Any) -> Any:
        """Returns a tensor's float value: its pair's product where it carries one."""
        if not self._plan.carries_pair(tensor):
            return self.raw(tensor)
        if id(tensor) not in self._values:
            name = f"{self._plan.graph.producer(tensor).label}_product"
            self._values[id(tensor)] = Product(name=name, dtype="float32")(self.pair(tensor))
        return self._values[id(tensor)]

    def raw(self, tensor: Any) -> Any:
        """Returns a tensor before it is quantized."""
        if id(tensor) not in self._raw:
            self._raw[id(tensor)] = self._make_raw(self._plan.graph.producer(tensor))
        return self._raw[id(tensor)]

    def _make_pair(self, tensor: Any) -> tuple[Any, Any]:
        call = self._plan.graph.producer(tensor)
        if self._plan.edge_at(Root(tensor)) is not None:
            return self._quantize(Root(tensor))
        if call.kind == "concatenate":
            members = [self._member(call, member) for member in call.inputs]
            integers = self._apply(
                call, {id(t): n for t, (n, _) in zip(call.inputs, members, strict=True)}
            )
            return integers, members[0][1]
        integers, step = self.pair(call.inputs[0])
        if isinstance(call.operation, keras.layers.Dropout):
            return self._dropout(call.operation)((integers, step))
        moved = self._apply(call, {id(other): self.pair(other)[0] for other in call.inputs})
        grid = self._plan.edge_of(tensor).A()
        if call.kind == "average":
            rounding = self._plan.policy(call).rounding
            # Devices count an unsigned grid of k bits from its middle.
            centre = 0 if grid is None or grid.signed else 2 ** (grid.bits - 1)
            name = f"{call.label}_rounded"
            moved = RoundOnStep(rounding, centre, name=name, dtype="float32")(moved)
        if is_registered(type(call.operation)) and grid and grid.integer_bits:
            moved = _checked(call, grid, grid.integer_bits)(moved)
        return moved, step

    def _member(self, call: Call, tensor: Any) -> tuple[Any, Any]:
        requantized = Root(tensor, call)
        if self._plan.edge_at(requantized) is not None:
            return self._quantize(requantized)
        return self.pair(tensor)

    def _quantize(self, root: Root) -> tuple[Any, Any]:
        """Returns a root's pair, building its edge, and so all roots that are tied, at once."""
        if root not in self._on_edge:
            edge = self._plan.edge_at(root)
            assert edge is not None
            *integers, step = self._edge_layer(edge)(self._edge_inputs(edge))
            for one, n in zip(edge.roots, integers, strict=True):
                self._on_edge[one] = (n, step)
        return self._on_edge[root]

    def _edge_layer(self, edge: Edge) -> QuantEdge:
        alike = all(policy.E1() == edge.policy.E1() for policy in edge.policies)
        return QuantEdge(
            edge.policy,
            quantize_error=list(edge.quantizes_error),
            error_policies=None if alike else edge.policies,
            fixed_scale=edge.fixed_scale,
            non_negative=edge.A() != edge.policy.A(),
            name=edge.name,
            dtype="float32",
        )

    def _edge_inputs(self, edge: Edge) -> Any:
        tensors = [
            self.raw(root.tensor) if root.at is None else self.value(root.tensor)
            for root in edge.roots
        ]
        return tensors if len(tensors) > 1 else tensors[0]

    def _make_raw(self, call: Call) -> Any:
        if call.kind == "input":
            config = call.operation.get_config()
            return keras.Input(
                batch_shape=config["batch_shape"], dtype=config["dtype"], name=call.name
            )
        node = self._plan.nodes.get(id(call.output))
        if node is not None:
            return self._convolution(node)
        fused = self._plan.fused_into(call)
        if fused is not None:
            return self.raw(fused.call.output)
        reads = {id(tensor): self._read(call, tensor) for tensor in call.inputs}
        if call.kind == "batch_norm" and not self._plan.policy(call).is_float:
            return self._batch_norm(call, reads[id(call.inputs[0])])
        if isinstance(call.operation, keras.layers.PReLU) and not self._plan.policy(call).is_float:
            return self._prelu(call, reads[id(call.inputs[0])])
        return self._apply(call, reads)

    def _read(self, call: Call, tensor: Any) -> Any:
        return self.value(tensor) if self._plan.reads_pair(call, tensor) else self.raw(tensor)

    def _apply(self, call: Call, values: dict[int, Any]) -> Any:
        """Calls a copy of a layer, with its weights; a bare op is called as it is."""
        operation = call.operation
        if not isinstance(operation, keras.layers.Layer):
            return call.apply(values)
        if id(operation) not in self._layers:
            self._layers[id(operation)] = self._copy(call)
        copy = self._layers[id(operation)]
        output = call.apply(values, copy)
        copy_weights(operation, copy)
        return output

    def _copy(self, call: Call) -> keras.layers.Layer:
        operation = call.operation
        config = operation.get_config()
        if self._plan.policy(call).is_float:
            return type(operation).from_config(config)
        if (
            type(operation) is keras.layers.MaxPooling2D
            and config["data_format"] != _CHANNELS_FIRST
        ):
            return LeanMaxPooling2D.from_config({**config, "dtype": "float32"})
        if call.kind != "activation" or call.activation not in ("relu", "relu6"):
            return type(operation).from_config(config)
        most = 6.0 if call.activation == "relu6" else None
        return LeanReLU(most, name=operation.name, dtype="float32")

    def _dropout(self, operation: keras.layers.Dropout) -> QuantDropout:
        if id(operation) not in self._layers:
            noise_shape = operation.noise_shape
            if isinstance(operation, keras.layers.SpatialDropout2D):
                noise_shape = (None, 1, 1, None)
            self._layers[id(operation)] = QuantDropout(
                operation.rate,
                noise_shape,
                operation.seed,
                name=operation.name,
                dtype="float32",
            )
        return self._layers[id(operation)]

    def _convolution(self, node: Node) -> Any:
        operation, policy = node.call.operation, node.policy
        pair = self.pair(node.call.inputs[0])
        if id(operation) in self._layers:
            return self._layers[id(operation)](pair)
        layer_type = _NODES[type(operation)]
        kernel, *biases = operation.get_weights()
        if layer_type is QuantDense:
            kernel = kernel[np.newaxis, np.newaxis]
        geometry = {
            name: getattr(operation, name)
            for name in ("strides", "padding", "dilation_rate", "groups")
            if hasattr(operation, name)
        }
        bias = biases[0] if biases and policy.bias == "kept" else None
        limits = weight_limit(operation.name, kernel, policy, layer_type.channel_axis)
        layer = layer_type(
            policy,
            **geometry,
            kernel_shape=kernel.shape,
            activation=node.activation,
            use_bias=bias is not None,
            W_limit=limits,
            bias_limit=bias_limit(operation.name, bias, policy),
            error_grid=node.error_grid,
            A_bits=self._plan.A_bits(node),
            A_unsigned=self._plan.A_unsigned(node),
            trainable=operation.trainable,
            name=operation.name,
            dtype="float32",
        )
        self._layers[id(operation)] = layer
        output = layer(pair)
        layer.kernel.assign(_on_master_grid(layer.kernel, kernel))
        if bias is not None:
            layer.bias.assign(_on_master_grid(layer.bias, bias))
        return output

    def _prelu(self, call: Call, x: Any) -> Any:
        operation, policy = call.operation, self._plan.policy(call)
        if id(operation) not in self._layers:
            alpha = operation.alpha.numpy().reshape(-1)
            limit = slope_limit(operation.name, alpha, policy)
            options = {"trainable": operation.trainable, "name": operation.name}
            layer = QuantPReLU(policy, limit=limit, dtype="float32", **options)
            layer.build((None, None, None, x.shape[-1]))
            layer.alpha.assign(_on_master_grid(layer.alpha, np.resize(alpha, [x.shape[-1]])))
            self._layers[id(operation)] = layer
        return self._layers[id(operation)](x)

    def _batch_norm(self, call: Call, x: Any) -> Any:
        operation, policy = call.operation, self._plan.policy(call)
        if id(operation) in self._layers:
            return self._layers[id(operation)](x)
        if not operation.scale:
            # Without a gamma to carry the norm's ratio, the deviation stays that of L2.
            policy = dataclasses.replace(policy, norm="l2")
        channels = operation.moving_mean.shape
        gamma = operation.gamma.numpy() if operation.scale else np.ones(channels, np.float32)
        beta = operation.beta.numpy() if operation.center else np.zeros(channels, np.float32)
        mu, sigma, gamma = batch_norm_statistics(
            operation.name,
            operation.moving_mean.numpy(),
            operation.moving_variance.numpy(),
            gamma,
            operation.epsilon,
            policy.norm,
        )
        values = {"mu": mu, "sigma": sigma, "gamma": gamma, "beta": beta}
        follows_convolutions = all(
            id(one.inputs[0]) in self._plan.nodes for one in self._plan.graph.calls_of(operation)
        )
        layer = BatchNorm(
            policy,
            **batch_norm_limits(operation.name, values, policy),
            momentum=operation.momentum,
            epsilon=operation.epsilon,
            center=operation.center,
            scale=operation.scale,
            quantize_error=policy.E2_at == "x_hat" or not follows_convolutions,
            trainable=operation.trainable,
            name=operation.name,
            dtype="float32",
        )
        self._layers[id(operation)] = layer
        output = layer(x)
        layer.moving_mu.assign(mu)
        layer.moving_sigma.assign(sigma)
        if operation.scale:
            layer.gamma.assign(_on_master_grid(layer.gamma, gamma))
        if operation.center:
            layer.beta.assign(_on_master_grid(layer.beta, beta))
        return output


def _checked(call: Call, grid: Scaled, bits: int) -> StaysOnGrid:
    """Returns what names a registered layer that leaves the grid, before a convolution does."""
    least, most = -(2 ** (bits - 1)) if grid.signed else 0, 2 ** (bits - 1) - 1
    message = (  # without quotes, which TensorFlow would escape
        f"{call.name} ({type(call.operation).__name__}) is registered as {call.kind}, and made "
        f"values off the grid of what it reads, integers from {least} to {most}. A select only "
        "moves or chooses values, an average only averages them: register it as float."
    )
    return StaysOnGrid(least, most, message, name=f"{call.label}_checked", dtype="float32")


def _on_master_grid(variable: Any, value: np.ndarray) -> Any:
    """Returns L * UQ(value / L, k_U) (Eq 7), or the value where masters are float32."""
    rule = variable.update_rule
    return value if rule is None else rule.U(value)
