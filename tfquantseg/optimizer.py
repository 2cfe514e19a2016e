"""IntegerSGD: owns G and U. Gradients of 8 bits, updates and master weights of 24."""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.numerics import (
    Uniform,
    delta,
    encode_gradient,
    is_finite,
    levels,
    poisoned,
    update_weight,
)
from tfquantseg.policy import UpdateRule


class _Factor(NamedTuple):
    """What multiplies the learning rate of some layers, and from which step on they learn."""

    pattern: str
    factor: float
    since: int


@keras.saving.register_keras_serializable("tfquantseg")
class IntegerSGD(keras.optimizers.Optimizer):
    r"""Stochastic gradient descent on grids (Eq 17 - 19), momentum on a grid of its own.

    For a variable of a quantized layer, whose constant limit is L and whose master weight is W_m:

    $$G_q = Q_G(G + d W_m), \quad V \leftarrow Q_V(\mu V + lr \cdot G_q), \quad
    W_m \leftarrow Clip(W_m - Q_U(V))$$

    where G is the gradient after all-reduce, d the weight decay (of kernels only), V the velocity.
    Q_G rounds stochastically to 8 bits (Eq 17, or 18 without its scale), Q_U to the nearest
    multiple of ``L * 2**(1 - 24)``, Q_V to sixteenths of that; the layer's `Policy` may name other
    bits. So every master stays on its grid after any number of steps. All other variables take the
    same steps in float32.

    If any gradient is not finite, no variable is changed in that step, and `nonfinite_layers`
    names where.

    Args:
        learning_rate: a number, or a schedule of `tfquantseg.schedules`. It lies on a grid of 24
            bits, the multiples of 2**-23 below 1: powers of two always fit.
        momentum: mu, from 0 to below 1.
        decay: d, not negative; added to the gradient before it is quantized.
        seed: of the stochastic rounding, whose draws depend on (seed, step, variable) alone; an
            integer from 0.
        factors: pairs (layer-name pattern, factor): the learning rate of a layer is multiplied by
            the factor of the first pattern that matches its whole name, by 1 if none does. New
            layers behind a pretrained encoder usually learn with a larger rate than it. A third
            entry, a step from 0, is the first in which the layer learns: before, its weights are
            frozen, and only the moving statistics of a batch norm follow the data.
        name: the optimizer's name.
        **kwargs: those of `keras.optimizers.Optimizer`; `weight_decay` and `use_ema` are refused,
            as they would take masters off their grids.

    Raises:
        ValueError: momentum, decay, seed or a factor out of range, a pattern that is no regular
            expression; when built, a learning rate that is not on its grid, with the nearest that
            are, or a pattern that is the first match of no layer.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 2.0**-6,
        momentum: float = 0.0,
        decay: float = 0.0,
        seed: int = 0,
        factors: Sequence[tuple[str, float] | tuple[str, float, int]] = (),
        name: str = "integer_sgd",
        **kwargs: Any,
    ) -> None:
        """Checks the hyperparameters; the learning rate is checked when the optimizer is built."""
        for argument in ("weight_decay", "use_ema"):
            if kwargs.get(argument):
                raise ValueError(
                    f"{argument}={kwargs[argument]!r} would take master weights off their grid; "
                    "use decay=, which is added to the gradient."
                )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        for argument, value in (("momentum", momentum), ("decay", decay)):
            if not isinstance(value, int | float):
                raise ValueError(f"{argument} must be a number, received {value!r}.")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1, received {momentum!r}.")
        if not 0 <= decay < math.inf:
            raise ValueError(f"decay must not be negative or infinite, received {decay!r}.")
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
            raise ValueError(f"seed must be an integer from 0 to 2**63 - 1, received {seed!r}.")
        self.momentum = momentum
        self.decay = decay
        self.seed = int(seed)
        self.factors = tuple(_checked_factor(*entry) for entry in factors)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes a velocity and two monitors for each variable, and checks the learning rate."""
        if self.built:
            return
        super().build(variables)
        self._rules: list[UpdateRule | None] = [getattr(v, "update_rule", None) for v in variables]
        self._factors = self._factors_of([variable.path for variable in variables])
        self._check_learning_rates()
        self._velocities = [
            self.add_variable_from_reference(v, name="velocity") if self.momentum else None
            for v in variables
        ]
        for rule, velocity in zip(self._rules, self._velocities, strict=True):
            if rule is not None and velocity is not None:
                velocity.grid = rule.V  # so that checkpoints can pack it
        self._lost = [self.add_variable((), name=f"lost_{i}") for i in range(len(variables))]
        self._at_limit = [
            self.add_variable((), name=f"at_limit_{i}") for i in range(len(variables))
        ]
        self._nonfinite = self.add_variable((len(variables),), name="nonfinite", aggregation="sum")

    def _factors_of(self, paths: Sequence[str]) -> list[_Factor]:
        """The factor of each variable's learning rate, by its layer's name."""
        first = []
        for path in paths:
            layer = path.split("/")[-2] if "/" in path else path
            matches = (
                i for i, entry in enumerate(self.factors) if re.fullmatch(entry.pattern, layer)
            )
            first.append(next(matches, None))
        for i, entry in enumerate(self.factors):
            if i not in first:
                raise ValueError(
                    f"factors: {entry.pattern!r} -> {entry.factor} is the first match of no layer "
                    "that trains; remove it, mend its pattern, or move it forward."
                )
        return [_Factor(".*", 1.0, 0) if i is None else self.factors[i] for i in first]

    def _check_learning_rate(self, k_lr: int, path: str, factor: float) -> None:
        schedule = self._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            if not hasattr(schedule, "values"):
                raise ValueError(
                    f"a {type(schedule).__name__} can't be checked against the learning rate's "
                    "grid; use tfquantseg.schedules, whose values() lists every rate."
                )
            rates = [float(rate) for rate in schedule.values()]
        else:
            with tf.init_scope():  # Keras builds optimizers while it traces a step.
                rates = [float(schedule.numpy())]
        step, most = delta(k_lr), levels(k_lr)
        for rate in (factor * rate for rate in rates):
            steps = rate / step
            if math.isfinite(steps) and steps == math.floor(steps) and 0 < steps <= most:
                continue
            below = math.floor(steps) if math.isfinite(steps) else 0
            lower, upper = (min(max(n, 1), most) * step for n in (below, below + 1))
            raise ValueError(
                f"learning rate {rate!r} is not on the {k_lr}-bit grid of {path!r}. Give a power "
                f"of two from {step!r} to 0.5, such as {_power_of_two(rate, step)!r}, or another "
                f"multiple of {step!r} below 1; the nearest are {lower!r} and {upper!r}."
            )

    @property
    def learning_rate(self) -> Any:
        """The current learning rate; one that is assigned must lie on the grid too."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(self, learning_rate)
        if self.built:
            self._check_learning_rates()

    def _check_learning_rates(self) -> None:
        variables = zip(self._rules, self._trainable_variables, self._factors, strict=True)
        for rule, variable, factor in variables:
            if rule is not None:
                self._check_learning_rate(rule.k_lr, variable.path, factor.factor)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Updates the variables, or none of them if any gradient is not finite.

        Args:
            grads: one gradient a variable, in the variables' order; None is skipped by Keras.
            trainable_variables: the variables, needed only before the optimizer is built.
        """
        if len(grads) == 0:
            return  # Nothing is trainable.
        if not self.built and trainable_variables is not None:
            self.build(list(trainable_variables))
        finite = [tf.constant(True) if g is None else is_finite(g) for g in grads]
        if len(finite) == self._nonfinite.shape[0]:
            self._nonfinite.assign(tf.cast(~tf.stack(finite), tf.float32))
        self._applies = tf.reduce_all(tf.stack(finite))
        if self._waits_for_others:
            # In every gradient, a NaN reaches every replica's sum, where update_step sees it.
            grads = [None if g is None else poisoned(g, self._applies) for g in grads]
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._applies = None  # It belongs to the graph at hand.

    @property
    def _waits_for_others(self) -> bool:
        """Whether gradients reach update_step as sums: over replicas, or over several steps."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return replicas > 1 or self.gradient_accumulation_steps is not None

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable, after all-reduce; see the class for the formula."""
        index = self._get_variable_index(variable)
        rule, velocity = self._rules[index], self._velocities[index]
        _, factor, since = self._factors[index]
        rate = tf.cast(learning_rate, tf.float32) * np.float32(factor)
        decay = self.decay if (rule.decays if rule else len(variable.shape) > 1) else 0.0
        applies = self._applies
        if self._waits_for_others:
            applies = tf.math.is_finite(tf.reshape(gradient, [-1])[0])
        if since:
            applies &= tf.cast(self.iterations, tf.int64) >= since
        if rule is None:
            self._float_step(gradient, variable, velocity, rate, decay, applies)
            return
        path = self._trainable_variables[index].path
        draw = tf.cast(self.iterations, tf.int64) * len(self._rules) + index
        pair = encode_gradient(
            gradient,
            tf.convert_to_tensor(variable),
            decay=decay,
            G=rule.G,
            seed=(self.seed, draw),
            name=path,
        )
        lost, at_limit = update_weight(
            variable,
            None if velocity is None else velocity.value,
            pair,
            applies=applies,
            rate=rate,
            momentum=self.momentum,
            U=rule.U,
            V=rule.V,
            name=path,
        )
        self.assign(self._lost[index], lost)
        self.assign(self._at_limit[index], at_limit)

    def _float_step(
        self,
        gradient: tf.Tensor,
        variable: Any,
        velocity: Any,
        rate: tf.Tensor,
        decay: float,
        applies: tf.Tensor,
    ) -> None:
        """Moves a variable that lies on no grid, and its velocity."""
        weight = tf.convert_to_tensor(variable)
        move = rate * (gradient + decay * weight if decay else gradient)
        if velocity is not None:
            old = tf.convert_to_tensor(velocity)
            move = self.momentum * old + move
            self.assign(velocity, tf.where(applies, move, old))
        self.assign(variable, tf.where(applies, weight - move, weight))

    def nonfinite_layers(self) -> list[str]:
        """Returns the paths of variables whose last gradient was not finite, output side first.

        The first is nearest to where the NaN or infinity arose: it spreads from there to the
        layers before it.
        """
        flags = self._nonfinite.numpy()
        paths = [variable.path for variable in self._trainable_variables]
        return [path for path, flag in zip(paths, flags, strict=True) if flag][::-1]

    def monitors(self) -> dict[str, dict[str, float]]:
        """Returns, for each quantized variable, fractions of its elements in the last step.

        Returns:
            By the variable's path: ``lost``, updates that were not zero before Q_U and zero
            behind it; ``at_limit``, masters on the last value of their grid.
        """
        fractions = {}
        for i, variable in enumerate(self._trainable_variables):
            if self._rules[i] is not None:
                size = int(np.prod(variable.shape))
                fractions[variable.path] = {
                    "lost": float(self._lost[i].numpy()) / size,
                    "at_limit": float(self._at_limit[i].numpy()) / size,
                }
        return fractions

    def get_config(self) -> dict[str, Any]:
        """Returns the hyperparameters."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "decay": self.decay,
            "seed": self.seed,
            "factors": [list(entry) for entry in self.factors],
        }


def off_grid(variable: keras.Variable) -> int:
    """Returns how many elements of a master weight are not on their grid; 0 is the promise."""
    rule: UpdateRule | None = getattr(variable, "update_rule", None)
    if rule is None:
        return 0
    grid: Uniform = rule.U
    value = tf.convert_to_tensor(variable)
    return int(tf.reduce_sum(tf.cast(grid(value) != value, tf.int64)))


def _checked_factor(pattern: str, factor: float, since: int = 0) -> _Factor:
    if not isinstance(factor, int | float) or not 0 < factor < math.inf:
        raise ValueError(f"factors: {pattern!r} must have a positive factor, received {factor!r}.")
    if isinstance(since, bool) or not isinstance(since, int) or since < 0:
        raise ValueError(
            f"factors: the first step of {pattern!r} must be an integer from 0, received {since!r}."
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"factors: {pattern!r} is not a regular expression: {error}.") from None
    return _Factor(pattern, float(factor), since)


def _power_of_two(rate: float, step: float) -> float:
    if not 0 < rate < math.inf:
        return step
    return min(max(2.0 ** round(math.log2(rate)), step), 0.5)
