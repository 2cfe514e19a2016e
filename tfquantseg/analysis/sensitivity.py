"""How much each object of each layer costs, quantized alone, everything else in float32.

    W, A          the rise of the loss, and the change of mIoU, on held out images, as in evaluation
    E1, E2, G     the *lost descent* of a training step, on training batches

A step of gradient descent along d, of any given small length, lowers the loss by cos(g, d) times
what the same length along the gradient g would; the lost descent is 1 - cos(g, d), over the kernels
of all convolutions, since an error that is rounded in one layer reaches all layers before it.
docs/design/sensitivity.md says why these measures.

W is the very integers that training would multiply; every other object lies on the grid that the
plan of `quantize` gives it, and A and E1 are found at every tensor where the plan has an edge, so
that together the objects are all that a policy quantizes but batch norm's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from tfquantseg.numerics import Scaled
from tfquantseg.policy import Policy, Rules
from tfquantseg.transform import Plan, plan, quantize

FORWARD, BACKWARD = ("W", "A"), ("E1", "E2", "G")
LETTERS = (*FORWARD, *BACKWARD)

Batches = Sequence[tuple[np.ndarray, np.ndarray]]
"""Images, float32 [N, H, W, 3], and labels, int32 [N, H, W]."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Object:
    """Something that a policy quantizes.

    Attributes:
        layer: whose rule chooses it: a convolution's, or that of the layer that makes a tensor.
        letter: W, A, E1, E2 or G.
        tensors: of A, all that share the step, and of E1 and E2 the one whose error it is: pairs
            (tensor of the flat graph, the id of the only call that reads it quantized, or None).
        call: of W, E2 and G, the convolution's.
        grid: but of W.
        value: of W, what the kernel becomes, float32.
        by: the names of all layers whose rules choose it; several where tensors share a step.
    """

    layer: str
    letter: str
    tensors: tuple[tuple[Any, int | None], ...] = ()
    call: Any = None
    grid: Scaled | None = None
    value: np.ndarray | None = None
    by: tuple[str, ...]


class Finding(NamedTuple):
    """One object, quantized alone.

    Attributes:
        layer: whose rule chooses it.
        letter: W, A, E1, E2 or G.
        loss: the rise of the loss (W, A).
        miou: the change of mIoU, a fraction (W, A).
        lost: lost descent, 0..2 (E1, E2, G).
        cosine: of the layer's own gradient and that in float32 (E2, G, and E1 at a convolution).
        error: relative error of the layer's own gradient (the same).
    """

    layer: str
    letter: str
    loss: float | None = None
    miou: float | None = None
    lost: float | None = None
    cosine: float | None = None
    error: float | None = None

    @property
    def cost(self) -> float:
        """By what findings of one direction are ranked."""
        return float(self.loss if self.loss is not None else self.lost or 0.0)


def objects(model: keras.Model, policy: Policy) -> tuple[Plan, tuple[Object, ...]]:
    """Returns a float network's plan under a policy, and all objects that are quantized there.

    Args:
        model: float, as `quantize` accepts it.
        policy: for every layer.

    Raises:
        ValueError: see `tfquantseg.quantize`.
    """
    planned, quantized = plan(model, Rules.of(policy)), quantize(model, policy)
    found: list[Object] = []
    done: set[str] = set()
    for node in planned.nodes.values():
        name = node.call.name
        if name in done:
            continue  # a shared layer has one kernel; its error is measured where it is called last
        done.add(name)
        common: dict[str, Any] = {"layer": name, "call": node.call, "by": (name,)}
        if policy.k_W is not None:
            kernel = quantized.get_layer(name).quantized_kernel().product().numpy()
            found.append(Object(letter="W", value=kernel, **common))
        error = {"E1": policy.E1(), "E2": policy.E2(), "none": None}[node.error_grid]
        if error is not None:
            found.append(
                Object(
                    letter=node.error_grid,
                    grid=error,
                    tensors=((node.call.output, None),),
                    **common,
                )
            )
        if policy.k_G is not None:
            found.append(Object(letter="G", grid=policy.G(), **common))
    for edge in planned.edges:
        by = tuple(_owner(planned, root) for root in edge.roots)
        if edge.fixed_scale is None and edge.A() is not None:
            at = tuple((root.tensor, id(root.at) if root.at else None) for root in edge.roots)
            common = {"layer": by[0], "by": tuple(dict.fromkeys(by))}
            found.append(Object(letter="A", grid=edge.A(), tensors=at, **common))
        if policy.k_E1 is not None:
            found += [
                Object(
                    layer=name,
                    letter="E1",
                    grid=policy.E1(),
                    tensors=((root.tensor, None),),
                    by=(name,),
                )
                for root, name, here in zip(edge.roots, by, edge.quantizes_error, strict=True)
                if here and _reaches_a_kernel(planned, root.tensor)
            ]
    return planned, tuple(found)


def kernels(planned: Plan) -> dict[str, Any]:
    """Returns the kernel of every convolution of a plan, a Keras variable, by layer name."""
    return {node.call.name: node.call.operation.kernel for node in planned.nodes.values()}


def lost_descent(exact: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Returns 1 - cos of two gradients, each given in parts: 0 where they point the same way.

    A step along a gradient of zeros descends nowhere: 1, and 0 where both are zero.
    """
    product = sum(float(np.vdot(one, two)) for one, two in zip(exact, other, strict=True))
    sizes = [sum(float(np.vdot(one, one)) for one in parts) for parts in (exact, other)]
    if not all(sizes):
        return float(any(sizes))
    return 1 - product / float(np.sqrt(sizes[0] * sizes[1]))


def relative_error(exact: np.ndarray, other: np.ndarray) -> float:
    """Returns |other - exact| / |exact|; 0 where the exact one is zero."""
    size = float(np.linalg.norm(exact))
    return float(np.linalg.norm(other - exact)) / size if size else 0.0


def _reaches_a_kernel(planned: Plan, tensor: Any) -> bool:
    """Whether the error of a tensor says anything to a weight: the image's does not."""
    stack, seen = [tensor], {id(tensor)}
    while stack:
        call = planned.graph.producer(stack.pop())
        if id(call.output) in planned.nodes:
            return True
        stack.extend(one for one in call.inputs if id(one) not in seen)
        seen.update(map(id, call.inputs))
    return False


def _owner(planned: Plan, root: Any) -> str:
    """The layer whose rule chooses what a root is quantized by."""
    return str((root.at or planned.graph.producer(root.tensor)).name)
