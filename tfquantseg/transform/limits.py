"""Limits: the constant powers of two to which grids of weights are relative, and takeover.

PAPER's limits are fixed, and weights that exceed one are an error; "fit" takes the smallest that
holds the weights taken over, with room where training usually needs it.
"""

import math
from collections.abc import Sequence

import numpy as np

from tfquantseg.layers import deviation_ratio
from tfquantseg.numerics import delta
from tfquantseg.policy import Policy

_LEAST_CHANNEL = 2.0**-12  # of a kernel's limit: how small that of one of its channels may be
_LEAST_KERNEL = 2.0**-40
_LEAST_BIAS = 4.0
_LEAST_AFFINE = 2.0
_MOST = 2.0**30  # products of two tensors with such limits are still far from float32's end
_LEAST_STATISTICS = {"mu": 64.0, "sigma": 16.0}


def smallest_limit(magnitude: float, bits: int) -> float:
    """Returns the smallest power of two L with magnitude <= L * (1 - Delta(bits)); 1 for 0."""
    if magnitude == 0:
        return 1.0
    limit = 2.0 ** math.ceil(math.log2(magnitude))
    return limit if magnitude <= limit * (1 - delta(bits)) else 2 * limit


def weight_limit(
    name: str, kernel: np.ndarray, policy: Policy, axis: int | tuple[int, ...]
) -> float | tuple[float, ...]:
    """Returns the limit of a kernel, or one for each channel along the axis or axes.

    A channel of zeros takes the limit of the whole tensor, so that it can learn. No limit is so
    small that a channel, which never grows beyond it, is lost for good: at least 2**-12 of the
    whole tensor's, and 2**-40.

    Raises:
        ValueError: weights beyond a fixed limit, or not finite.
    """
    _check_finite(name, "kernel", kernel)
    bits = policy.k_W or 24
    most = float(np.abs(kernel).max())
    if not isinstance(policy.W_limit, str):
        return _fixed(name, "W", most, policy.W_limit, bits)
    whole = max(smallest_limit(most, bits), _LEAST_KERNEL)
    if policy.W_limit == "per_tensor":
        return whole
    axes = (axis,) if isinstance(axis, int) else axis
    others = tuple(i for i in range(kernel.ndim) if i not in axes)
    channels = np.abs(kernel).max(others).reshape(-1)
    least = max(whole * _LEAST_CHANNEL, _LEAST_KERNEL)
    return tuple(max(smallest_limit(float(c), bits), least) if c else whole for c in channels)


def bias_limit(name: str, bias: np.ndarray | None, policy: Policy) -> float:
    """Returns the limit of a bias: at least 4, and twice the largest, where it is to fit.

    Raises:
        ValueError: biases beyond a fixed limit, or not finite.
    """
    if bias is None:
        return 1.0
    _check_finite(name, "bias", bias)
    most, bits = float(np.abs(bias).max()), policy.k_U or 24
    if not isinstance(policy.bias_limit, str):
        return _fixed(name, "bias", most, policy.bias_limit, bits)
    return max(_LEAST_BIAS, smallest_limit(2 * most, bits))


def slope_limit(name: str, alpha: np.ndarray, policy: Policy) -> float:
    """Returns the limit of a PReLU's slopes: that of gamma, or at least 1 where it is to fit.

    Raises:
        ValueError: slopes beyond a fixed limit, or not finite.
    """
    _check_finite(name, "alpha", alpha)
    most, bits = float(np.abs(alpha).max()), policy.k_gamma or 24
    if not isinstance(policy.BN_limit, str):
        return _fixed(name, "alpha", most, policy.BN_limit, bits)
    return max(1.0, smallest_limit(2 * most, bits))


def batch_norm_statistics(
    name: str,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    epsilon: float,
    norm: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (mu, sigma, gamma) of a norm, from the L2 statistics of a float batch norm.

    ``sigma + eps = r * sqrt(var + eps)`` and gamma times the same r, with r = sqrt(2/pi) for L1
    (the ratio of a normal distribution) and 1 for L2: the function stays the same.

    Args:
        name: the layer's name, for messages.
        mean: [C].
        variance: [C].
        gamma: [C].
        epsilon: the float layer's epsilon, used for both.
        norm: "l1" or "l2".

    Returns:
        Three float32 arrays [C].

    Raises:
        ValueError: a variance is negative.
    """
    least = float(variance.min())
    if least < 0:
        raise ValueError(
            f"{name!r}: the moving variance holds {least:.4g}, and no variance is negative; load "
            "the weights again."
        )
    ratio = deviation_ratio(norm)
    sigma = ratio * np.sqrt(variance + epsilon) - epsilon
    return mean, sigma.astype(np.float32), (ratio * gamma).astype(np.float32)


def batch_norm_limits(
    name: str,
    values: dict[str, np.ndarray],
    policy: Policy,
) -> dict[str, float]:
    """Returns mu_limit, sigma_limit, gamma_limit and beta_limit.

    Where they are to fit: statistics get four times their largest and at least 64 (mu) and 16
    (sigma), since a new network's have not been seen yet; gamma and beta twice their largest and
    at least 2.

    Args:
        name: the layer's name, for messages.
        values: arrays [C] called mu, sigma, gamma and beta.
        policy: the layer's policy.

    Raises:
        ValueError: values beyond a fixed limit, or not finite.
    """
    limits = {}
    for key, value in values.items():
        _check_finite(name, key, value)
        most, bits = float(np.abs(value).max()), getattr(policy, f"k_{key}") or 24
        if not isinstance(policy.BN_limit, str):
            limits[f"{key}_limit"] = _fixed(name, key, most, policy.BN_limit, bits)
        elif key in _LEAST_STATISTICS:
            limits[f"{key}_limit"] = max(_LEAST_STATISTICS[key], smallest_limit(4 * most, bits))
        else:
            limits[f"{key}_limit"] = max(_LEAST_AFFINE, smallest_limit(2 * most, bits))
    return limits


def _fixed(name: str, what: str, most: float, limit: float, bits: int) -> float:
    # Half a step beyond the last grid value still rounds onto it.
    if most > limit * (1 - delta(bits) / 2):
        raise ValueError(
            f"{name!r}: {what} reaches {most:.4g}, beyond the policy's fixed limit {limit:g}. "
            "Move scale between layers first (tfquantseg.models: balance, move_scale_into_norms), "
            "or use a policy whose limit fits ('fit', 'per_tensor', 'per_channel')."
        )
    return limit


def _check_finite(name: str, what: str, values: np.ndarray | Sequence[float]) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name!r}: {what} holds NaN or infinity; it can't be put on a grid.")
    most = float(np.abs(values).max(initial=0))
    if most > _MOST:
        raise ValueError(
            f"{name!r}: {what} reaches {most:.4g}; grids hold {_MOST:.4g} at most. Rescale the "
            "layer, or train it anew."
        )
