"""Signals that ask for an end."""

import io
import signal
import subprocess
import sys
import textwrap

import pytest

from tfquantseg.training import child
from tfquantseg.training.signals import stop_request


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_said_and_nothing_else_happens(which: signal.Signals) -> None:
    stream = io.StringIO()
    with stop_request("Stopping.", stream) as stop:
        assert stop.received is None
        signal.raise_signal(which)
        assert stop.received == which
    assert stream.getvalue() == "Stopping.\n"


def test_on_a_terminal_it_is_a_line_below_the_one_that_is_redrawn() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with stop_request("Stopping.", stream):
        signal.raise_signal(signal.SIGINT)
    assert stream.getvalue() == "\nStopping.\n"


def test_without_a_signal_nothing_is_said_and_all_is_put_back() -> None:
    stream = io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    with stop_request("Stopping.", stream):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
    assert stream.getvalue() == ""


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_it_is_said_and_a_second_one_ends_while_python_cannot_run(which: signal.Signals) -> None:
    # The main thread is in C for minutes, as it is in a training step.
    program = """
        import hashlib, sys
        from tfquantseg.training.signals import stop_request
        with stop_request("Stopping.", sys.stderr):
            print("begun", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**30)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=child.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(which)
        assert process.stderr.readline() == "Stopping.\n"
        assert process.poll() is None
        process.send_signal(which)
        # A minute is far below what is computed, and far above what a busy machine takes to end.
        assert process.wait(60) == 128 + which
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
