"""Signals that ask for an end."""

import signal

import pytest

from tfquantseg.training.signals import stop_request


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_nothing_else_happens(which: signal.Signals) -> None:
    with stop_request() as stop:
        assert stop.received is None
        signal.raise_signal(which)
        assert stop.received == which


def test_a_second_signal_acts_as_usual() -> None:
    with pytest.raises(KeyboardInterrupt), stop_request():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_request():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
