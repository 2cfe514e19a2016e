"""Names that a model can be trained under: TensorFlow's graphs make scopes of them."""

import re

from tfquantseg.transform.plan import Plan

_INNER = re.compile(r"[A-Za-z0-9_.>-]+")
_OUTER = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>-]*")
_ACCEPTED = "A-Z, a-z, 0-9 and _ . - >"


def check_names(plan: Plan, model_name: str) -> None:
    """Refuses names that would fail only in the graph of the training step.

    Keras takes them, and computes with them outside of graphs; its own `fit` fails too.

    Args:
        plan: of the model; inputs without an edge become no scope.
        model_name: the model's, the outermost scope.

    Raises:
        ValueError: a name holds something else than TensorFlow takes.
    """
    if not _OUTER.fullmatch(model_name):
        raise ValueError(
            f"the model's name {model_name!r} can't be a name in TensorFlow's graphs, in which it "
            f"is trained; they take {_ACCEPTED}, and _ - > not at the beginning. Rename it: "
            "model.name = 'another'."
        )
    for call in plan.graph.calls:
        is_scope = call.kind != "input" or plan.carries_pair(call.output)
        if is_scope and not _INNER.fullmatch(call.name):
            how = (
                "give its keras.Input another name"
                if call.kind == "input"
                else "rename the layer: layer.name = 'another'"
            )
            raise ValueError(
                f"{call.name!r} ({type(call.operation).__name__}) can't be a name in TensorFlow's "
                f"graphs, in which a model is trained; they take {_ACCEPTED}. Before you quantize, "
                f"{how}."
            )
