"""The suites by name. A new one is a module with a function `run` and a row here."""

from __future__ import annotations

from collections.abc import Callable

from tfquantseg.benchmark import inference, kernels, training
from tfquantseg.benchmark.suite import Report, Request
from tfquantseg.names import unknown_name

_SUITES: dict[str, Callable[[Request], Report]] = {
    "inference": inference.run,
    "training": training.run,
    "kernels": kernels.run,
}


def names() -> tuple[str, ...]:
    """Returns the names that `suite` accepts."""
    return tuple(_SUITES)


def suite(name: str | None) -> Callable[[Request], Report]:
    """Returns the function that measures a suite.

    Raises:
        ValueError: there is no such suite, with the nearest name; or none was named.
    """
    if name is None:
        raise ValueError(f"Flag --suite is missing; give it one of {', '.join(_SUITES)}.")
    if name not in _SUITES:
        raise unknown_name("suite", name, _SUITES)
    return _SUITES[name]
