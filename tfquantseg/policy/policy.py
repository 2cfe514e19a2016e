"""Policy: one frozen value that names every choice for every object.

The objects are the paper's: W weight, A activation, E1 error of an activation, E2 error inside
batch norm or at a convolution's output, G gradient of a weight, U update of a weight, and batch
norm's mu, sigma, x_hat, gamma and beta. ``k_X = None`` leaves X in float32.
"""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from tfquantseg.names import did_you_mean
from tfquantseg.numerics import DEVIATIONS, PERCENTILE, Clip, Rounding, Scaled, ScaleOf, Uniform

_CHOICES: dict[str, tuple[object, ...]] = {
    "A_at": ("conv_inputs", "every_tensor"),
    "E2_at": ("x_hat", "conv_output"),
    "G_at": ("tape", "optimizer"),
    "step": ("max/128", "max/127"),
    "E_rounding": ("nearest", "stochastic"),
    "rounding": ("half_up", "half_away", "half_even"),
    "scale": ("max", "power_of_two"),
    "A_scale": ("max", "percentile", "moments"),
    "E_scale": ("per_tensor", "per_channel", "per_vector"),
    "E_grid": ("uniform", "flag"),
    "A_sign": ("signed", "unsigned_after_relu"),
    "A_grid": ("scaled", "unit"),
    "E1_clip": ("1-D", "1"),
    "G_clip": ("1-D", "none"),
    "bias": ("kept", "dropped"),
    "norm": ("l1", "l2"),
    "decay": ("in_G", "off"),
    "G_rescale": (True, False),
}
_FITS = {"W_limit": ("per_tensor", "per_channel"), "bias_limit": ("fit",), "BN_limit": ("fit",)}
ADDED: dict[str, Any] = {
    "A_scale": "max",
    "A_sign": "signed",
    "E_grid": "uniform",
    "E_scale": "per_tensor",
}
"""Fields that policies have not always had, with what was done before; a new one belongs here."""

_V_LIMIT = 2.0**-4
"""Velocities reach one sixteenth of the weight's limit; their step is 2**-4 of the update's."""


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """What the optimizer does with one variable.

    Attributes:
        G: the stochastic grid of the gradient, or None if it is quantized in the tape or not.
        U: the grid of master weight and update, relative to the variable's limit.
        V: the grid of the momentum's velocity, in units of the update.
        k_lr: bits of the learning rate's grid.
        decays: whether weight decay is added to this variable's gradient.
    """

    G: Scaled | None
    U: Uniform
    V: Uniform
    k_lr: int
    decays: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """Every choice of the method for one layer or a whole network.

    Print one to see it as a table. Take a preset and change fields of it:

    Example:
        >>> four_bits = dataclasses.replace(preset("INTEGER"), name="INTEGER_W4", k_W=4)

    Attributes:
        name: how messages and tables call it.
        k_W: bits of the weights in a convolution (Eq 8).
        k_A: bits of activations (Eq 15).
        k_E1: bits of errors at activations (Eq 16).
        k_E2: bits of errors inside batch norm or at the convolution's output (Eq 16).
        k_G: bits of gradients (Eq 17, 18).
        k_U: bits of master weights and updates (Eq 7, 19).
        k_V: bits of the momentum's velocity.
        k_lr: bits of the learning rate: multiples of 2**(1 - k_lr) below 1.
        k_mu: bits of batch norm's mean (Eq 14).
        k_sigma: bits of batch norm's deviation (Eq 14).
        k_x_hat: bits of batch norm's normalized output (Eq 14); None where it folds away.
        k_gamma: bits of batch norm's scale (Eq 14).
        k_beta: bits of batch norm's shift (Eq 14).
        A_at: quantize activations at "conv_inputs" only, or at "every_tensor" that survives
            fusion on a device: outputs of convolution (+ batch norm, + activation), additions,
            resizes, averages, and the model's outputs.
        E2_at: "x_hat" is batch norm's normalized output; "conv_output" the convolution's output,
            where both backward products then receive integers.
        G_at: quantize gradients of kernels and biases in the "tape", each replica's before decay
            is added, or in the "optimizer", after all-reduce and decay; those of gamma, beta and
            PReLU's slopes always there.
        G_rescale: True keeps the gradient's scale (Eq 17), False drops it (Eq 18).
        step: of A, E1, E2, x_hat and G, from max|x| of the tensor: "max/128" (Eq 4), which clips
            the maximum itself, or "max/127", which clips nothing. Both are named for 8 bits.
        E_rounding: of E1 and E2, to the "nearest" integer, or "stochastic", which keeps their sums
            right on average: most errors are smaller than half a step, and the nearest is zero.
        rounding: of ties, "half_up" (Eq 2), "half_away" from zero, as integer devices do, or
            "half_even".
        scale: of A, E1, E2, x_hat and G: "max" (Eq 3) or "power_of_two", 2**round(log2(max|x|)).
        A_scale: from what the scale of A is taken: the tensor's "max" (Eq 3); its "percentile",
            the least magnitude that 99.99 % of its elements do not exceed; or its "moments", the
            mean of the magnitudes and six of their deviations. The latter two clip the few values
            beyond, which then get no error, and leave more integers to the others.
        A_sign: integers of activations are "signed", or "unsigned_after_relu", 0..2**k_A - 1, where
            every tensor on a step is known to hold nothing below zero: twice as fine a step from
            the same bits. Files hold them as int8 with the zero point -128. Own kernels multiply
            signed bytes only, so that TensorFlow's multiply these.
        A_grid: activations on "scaled" grids (Eq 15) or on the "unit" one: step 2**(1 - k_A), no
            scale, no clip, so that integers may need more than k_A bits.
        E_grid: errors E1 and E2 on "uniform" grids (Eq 16), or with a "flag" bit (WAGEUBN,
            arXiv:1909.02384): a value below one step D counts steps of ``D * 2**(1 - k)``, so that
            few round to zero. Nine bits say what it is where k is 8; each backward product of a
            convolution is then the sum of two, of 8-bit integers each, and takes twice as long.
        E_scale: E1 and E2 have one scale "per_tensor" (Eq 16), or "per_channel". The steps of
            channels come out of a weight gradient's sums, but not of an input gradient's: for it
            the error is encoded again, with one scale, as it is where W has limits per channel.
            "per_vector" is per_channel, and the second encoding has a scale for each index that the
            input gradient's sums do not run over: each position in front of a 1x1 convolution of
            stride 1, each channel of a depthwise one, each image elsewhere (arXiv:2208.07339).
        E1_clip: errors at activations end at "1-D" of their scale (Eq 2), or at "1", which takes
            one bit more.
        G_clip: gradients end at "1-D" (Eq 5), or nowhere ("none").
        G_gain: a factor on quantized gradients.
        bias: biases of convolutions are "kept", or "dropped" by `quantize`.
        W_limit: the magnitude that a weight's grid spans: a power of two, or the smallest that
            holds the weights taken over, "per_tensor" or "per_channel".
        bias_limit: a power of two, or "fit": the smallest that holds twice the largest bias taken
            over, at least 4.
        BN_limit: of mu, sigma, gamma and beta: a power of two, or "fit", the smallest that holds
            what is taken over, with room to grow.
        norm: batch norm's deviation, "l1" (Eq 13) or "l2" (Eq 11).
        decay: weight decay "in_G" before it is quantized, or "off".

    Raises:
        ValueError: bits below 2 or above 24 (22 where rounding is stochastic), an unknown choice.
    """

    name: str
    k_W: int | None
    k_A: int | None
    k_E1: int | None
    k_E2: int | None
    k_G: int | None
    k_U: int | None
    k_V: int = 24
    k_lr: int = 24
    k_mu: int | None = 16
    k_sigma: int | None = 16
    k_x_hat: int | None = None
    k_gamma: int | None = 8
    k_beta: int | None = 8
    A_at: Literal["conv_inputs", "every_tensor"] = "every_tensor"
    E2_at: Literal["x_hat", "conv_output"] = "conv_output"
    G_at: Literal["tape", "optimizer"] = "optimizer"
    G_rescale: bool = True
    step: Literal["max/128", "max/127"] = "max/127"
    rounding: Rounding = "half_away"
    E_rounding: Literal["nearest", "stochastic"] = "stochastic"
    scale: Literal["max", "power_of_two"] = "max"
    E_scale: Literal["per_tensor", "per_channel", "per_vector"] = "per_tensor"
    E_grid: Literal["uniform", "flag"] = "uniform"
    A_scale: ScaleOf = "max"
    A_sign: Literal["signed", "unsigned_after_relu"] = "signed"
    A_grid: Literal["scaled", "unit"] = "scaled"
    E1_clip: Literal["1-D", "1"] = "1-D"
    G_clip: Literal["1-D", "none"] = "1-D"
    G_gain: float = 1.0
    bias: Literal["kept", "dropped"] = "kept"
    W_limit: float | Literal["per_tensor", "per_channel"] = "per_channel"
    bias_limit: float | Literal["fit"] = "fit"
    BN_limit: float | Literal["fit"] = "fit"
    norm: Literal["l1", "l2"] = "l1"
    decay: Literal["in_G", "off"] = "in_G"

    def __post_init__(self) -> None:
        """Checks every field, by building the grids that it names; keeps plain numbers."""
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a policy's name must be a string, received {self.name!r}.")
        for field, accepted in _CHOICES.items():
            received = getattr(self, field)
            if received not in accepted:
                raise ValueError(
                    f"policy {self.name!r}: {field} must be one of {', '.join(map(str, accepted))}"
                    f", received {received!r}{did_you_mean(str(received), map(str, accepted))}."
                )
        for field, fits in _FITS.items():
            received = getattr(self, field)
            number = isinstance(received, int | float) and not isinstance(received, bool)
            if not number and received not in fits:
                raise ValueError(
                    f"policy {self.name!r}: {field} must be a power of two or one of "
                    f"{', '.join(fits)}, received {received!r}{did_you_mean(str(received), fits)}."
                )
            if number:
                object.__setattr__(self, field, float(received))
        for field in ("A_scale", "A_sign"):
            if self.A_grid == "unit" and getattr(self, field) != ADDED[field]:
                raise ValueError(
                    f"policy {self.name!r}: {field} {getattr(self, field)!r} with A_grid 'unit', "
                    "whose step is constant and whose integers are not clipped; take "
                    f"A_grid='scaled', or leave {field} at {ADDED[field]!r}."
                )
        for name, value in self._grids():
            try:
                Uniform(8, value) if name in _FITS else Uniform(value)
            except ValueError as error:
                raise ValueError(f"policy {self.name!r}: {name}: {error}") from None
            if name not in _FITS:
                object.__setattr__(self, name, int(value))
        for field, grid in (("k_G or G_gain", self.G), ("k_E1", self.E1), ("k_E2", self.E2)):
            try:
                grid()
            except ValueError as error:
                raise ValueError(f"policy {self.name!r}: {field}: {error}") from None

    def _grids(self) -> list[tuple[str, Any]]:
        """Returns (field, value) of all bits and limits that are set."""
        names = [field.name for field in dataclasses.fields(self)]
        bits = [(name, getattr(self, name)) for name in names if name.startswith("k_")]
        limits = [(name, getattr(self, name)) for name in _FITS]
        return [
            *((k, value) for k, value in bits if value is not None or k in ("k_V", "k_lr")),
            *((limit, value) for limit, value in limits if not isinstance(value, str)),
        ]

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized, so that the float layers stay as they are."""
        return all(getattr(self, k) is None for k in ("k_W", "k_A", "k_E1", "k_E2", "k_G", "k_U"))

    def changed(self, changes: str) -> "Policy":
        """Returns this policy with other values of some fields, as a recipe or command gives them.

        Example:
            >>> preset("INTEGER").changed("k_W=4 norm=l2").k_W
            4

        Args:
            changes: ``FIELD=VALUE``, separated by spaces; None leaves bits in float32.

        Raises:
            ValueError: an unknown field, with the nearest name; a value that it does not accept.
        """
        given: dict[str, Any] = {}
        for change in changes.split():
            field, is_assignment, text = change.partition("=")
            if not is_assignment or field == "name":
                raise ValueError(
                    f"policy {self.name!r}: {change!r} is no change of a choice; write "
                    "FIELD=VALUE, such as k_W=4, with spaces between several."
                )
            if field in given:
                raise ValueError(f"policy {self.name!r}: {field} is changed twice; give it once.")
            given[field] = _value(field, text)
        return Policy.from_dict({**self.to_dict(), "name": f"{self.name} {changes}", **given})

    def W(self, limit: float | tuple[float, ...], axis: int | tuple[int, ...]) -> Uniform | None:
        """Returns the grid of a weight with these limits along this axis (Eq 8)."""
        return self._uniform(self.k_W, limit, axis)

    def A(self, *, non_negative: bool = False) -> Scaled | None:
        """Returns the grid of activations (Eq 15).

        Args:
            non_negative: whether nothing on it is below zero, so that it may be unsigned.
        """
        grid = self._scaled(self.k_A)
        if grid is None or self.A_grid == "scaled":
            unsigned = non_negative and self.A_sign == "unsigned_after_relu"
            return dataclasses.replace(grid, signed=False) if grid and unsigned else grid
        return Scaled(grid.bits, rounding=self.rounding, scale="one", clip="none")

    def E1(self) -> Scaled | None:
        """Returns the grid of errors at activations (Eq 16)."""
        return self._error(self.k_E1, self.E1_clip)

    def E2(self) -> Scaled | None:
        """Returns the grid of errors at x_hat or at the convolution's output (Eq 16)."""
        return self._error(self.k_E2)

    def G(self) -> Scaled | None:
        """Returns the stochastic grid of gradients (Eq 17, or 18 without rescale)."""
        if self.k_G is None:
            return None
        return Scaled(
            self.k_G,
            step=self.step,
            stochastic=True,
            rescale=self.G_rescale,
            scale=self.scale,
            clip=self.G_clip,
            gain=self.G_gain,
        )

    def batch_norm(self, bits: int | None, limit: float) -> Uniform | None:
        """Returns the grid of mu, sigma, gamma or beta (Eq 14)."""
        return self._uniform(bits, limit, -1)

    def x_hat(self) -> Scaled | None:
        """Returns the grid of batch norm's normalized output (Eq 14)."""
        return self._scaled(self.k_x_hat)

    def update_rule(
        self,
        limit: float | tuple[float, ...],
        axis: int | tuple[int, ...],
        *,
        decays: bool,
        in_tape: bool = False,
    ) -> UpdateRule | None:
        """Returns what the optimizer does with a variable of these limits; None if float.

        Args:
            limit: of the variable, or one for each channel along the axis or axes.
            axis: that of the channels.
            decays: whether weight decay is meant for it.
            in_tape: whether its layer quantizes its gradient where `G_at` is "tape".
        """
        if self.k_U is None:
            return None
        limits = limit if isinstance(limit, tuple) else (limit,)
        velocity = tuple(_V_LIMIT * one for one in limits)
        return UpdateRule(
            G=None if in_tape and self.G_at == "tape" else self.G(),
            U=Uniform(self.k_U, limit, self.rounding, axis),
            V=Uniform(
                self.k_V, velocity if isinstance(limit, tuple) else velocity[0], self.rounding, axis
            ),
            k_lr=self.k_lr,
            decays=decays and self.decay == "in_G",
        )

    def __str__(self) -> str:
        """Returns a table: object, bits, and limit or step."""
        statistics = f"limit {self.BN_limit}, norm {self.norm}"
        biases = "dropped" if self.bias == "dropped" else f"limit {self.bias_limit}"
        unsigned = ", unsigned after ReLU" if self.A_sign == "unsigned_after_relu" else ""
        rows = [
            ("W", self.k_W, f"limit {self.W_limit}"),
            ("bias", self.k_U, biases),
            ("A", self.k_A, f"{self.A_text()}{unsigned}, at {self.A_at}"),
            ("E1", self.k_E1, self.E1_text()),
            ("E2", self.k_E2, f"{self.E2_text()}, at {self.E2_at}"),
            ("G", self.k_G, self.G_text()),
            ("U", self.k_U, "limit of its weight"),
            ("mu", self.k_mu, statistics),
            ("sigma", self.k_sigma, statistics),
            ("x_hat", self.k_x_hat, self.step_text()),
            ("gamma", self.k_gamma, f"limit {self.BN_limit}"),
            ("beta", self.k_beta, f"limit {self.BN_limit}"),
        ]
        lines = [f"{self.name}, rounding {self.rounding}", "object  bits   limit or step"]
        lines += [f"{name:6}  {k or 'float':5}  {on if k else '-'}" for name, k, on in rows]
        return "\n".join(lines)

    def step_text(self) -> str:
        """Returns the step of a dynamic grid in words, for tables."""
        return f"step {self.step}" + (", max a power of two" if self.scale != "max" else "")

    def A_text(self) -> str:
        """Returns the step of activations in words, for tables."""
        if self.A_grid == "unit":
            return "step 2^(1 - k), not clipped"
        clips = {
            "max": "",
            "percentile": f", max the {PERCENTILE}th percentile",
            "moments": f", max at most mean + {DEVIATIONS:g} deviations",
        }
        return self.step_text() + clips[self.A_scale]

    def E1_text(self) -> str:
        """Returns the step of errors at activations in words, for tables."""
        return self.E2_text() + (", clipped at 1" if self.E1_clip == "1" else "")

    def E2_text(self) -> str:
        """Returns the step of errors at x_hat or at the convolution's output, for tables."""
        choices = {
            ", stochastic": self.E_rounding == "stochastic",
            ", flag bit": self.E_grid == "flag",
            ", one a channel": self.E_scale == "per_channel",
            ", one a vector": self.E_scale == "per_vector",
        }
        return self.step_text() + "".join(text for text, chosen in choices.items() if chosen)

    def G_text(self) -> str:
        """Returns what happens to gradients in words, for tables."""
        scale = "scale kept, Eq 17" if self.G_rescale else "scale dropped, Eq 18"
        gain = f", times {self.G_gain:g}" if self.G_gain != 1 else ""
        clip = ", not clipped" if self.G_clip == "none" else ""
        return f"{self.step_text()}, stochastic, {scale}{gain}{clip}, in the {self.G_at}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, for configurations and files."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Policy":
        """Returns the policy with these fields.

        Raises:
            ValueError: an unknown field, with the nearest name; a field that is missing.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        needed = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING]
        missing = [name for name in needed if name not in fields]
        for name in fields:
            if name not in known:
                raise ValueError(f"a policy has no field {name!r}{did_you_mean(name, known)}.")
        if missing:
            raise ValueError(f"a policy needs the fields {', '.join(missing)} too.")
        return cls(**fields)

    def _uniform(
        self, bits: int | None, limit: float | tuple[float, ...], axis: int | tuple[int, ...]
    ) -> Uniform | None:
        return None if bits is None else Uniform(bits, limit, self.rounding, axis)

    def _scaled(self, bits: int | None) -> Scaled | None:
        if bits is None:
            return None
        return Scaled(bits, self.step, rounding=self.rounding, scale=self.scale)

    def _error(self, bits: int | None, clip: Clip = "1-D") -> Scaled | None:
        grid = self._scaled(bits)
        if grid is None:
            return None
        return dataclasses.replace(
            grid,
            clip=clip,
            stochastic=self.E_rounding == "stochastic",
            flag=self.E_grid == "flag",
            per="tensor" if self.E_scale == "per_tensor" else "channel",
        )


def _value(field: str, text: str) -> Any:
    """A field's value as a command line gives it: one of its words, a number, True, False, None."""
    if text in (*_CHOICES.get(field, ()), *_FITS.get(field, ())):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
