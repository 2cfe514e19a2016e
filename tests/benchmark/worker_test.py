"""Workers: questions and answers, and how one is told that dies."""

import sys
import textwrap
from pathlib import Path

import pytest

import tfquantseg
from tfquantseg.benchmark import worker
from tfquantseg.benchmark.worker import Worker

_ROOT = str(Path(tfquantseg.__file__).parents[1])

SERVES = """
    import time
    from tfquantseg.benchmark.peers.answers import serve

    def build(*, seconds, value):
        print("what libraries say is no answer")
        kept = []
        def step():
            kept.append(bytearray(20_000_000))  # written to, so resident
            time.sleep(seconds)
            return value
        return step

    serve(build)
"""


def _worker(program: str, name: str = "unet, ours") -> Worker:
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return Worker(name, command, {"PYTHONPATH": _ROOT})


def test_a_worker_builds_once_and_steps_when_told() -> None:
    with _worker(SERVES) as one:
        one.build(seconds=0.02, value=0.5)
        before = one.memory()
        turn = one.steps(3, dropped=1)
        grown = one.memory() - before
    assert len(turn.seconds) == 3
    assert min(turn.seconds) >= 0.02  # what it slept
    # Sleeping takes next to no processor time, filling 20 MB with zeros some milliseconds.
    assert 0 < turn.cpu_seconds < 0.02
    # Four times 20 MB; the dropped step keeps its memory too. The interpreter itself needs little.
    assert 80e6 <= grown < 90e6


def test_one_worker_can_have_several_parts() -> None:
    with _worker(SERVES) as one:
        first, second = one.part("first"), one.part("second")
        first.build(seconds=0.0, value=1.0)
        second.build(seconds=0.0, value=2.0)
        assert (first.steps(1).value, second.steps(1).value) == (1.0, 2.0)
        first.build(seconds=0.0, value=3.0)
        assert (first.steps(1).value, second.steps(1).value) == (3.0, 2.0)


def test_memory_is_not_the_parents() -> None:
    held = bytearray(300_000_000)
    with _worker(SERVES) as one:
        one.build(seconds=0.0, value=0.5)
        assert one.memory() < 50e6
    del held


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    with _worker(SERVES) as one:
        one.build(seconds=0.0, value=float("nan"))
        with pytest.raises(FloatingPointError, match="The loss of unet, ours became nan"):
            one.steps(1)


def test_a_worker_that_dies_is_told_by_name_with_what_it_said() -> None:
    program = """
        import sys
        input()
        print("I can't find my weights", file=sys.stderr)
        sys.exit(3)
    """
    with _worker(program) as one, pytest.raises(ChildProcessError) as told:
        one.build()
    assert str(told.value) == (
        "The worker of unet, ours ended with status 3. It said last:\nI can't find my weights"
    )


def test_a_worker_that_is_killed_is_told_with_the_likely_reason() -> None:
    program = "import os, signal; input(); os.kill(os.getpid(), signal.SIGKILL)"
    with _worker(program) as one, pytest.raises(ChildProcessError) as told:
        one.build()
    assert "was killed by signal 9 (so the system does when memory runs out)" in str(told.value)
    assert str(told.value).endswith("(nothing)")


def test_without_peers_their_variants_are_left_out_and_it_is_said_how_to_get_them() -> None:
    kept, said = worker.available(("tfmot_qat", "ours"), "float32", ("tfmot_qat",), None)
    assert kept == ("float32", "ours")
    (line,) = said
    assert line.startswith("Left out, for they need the interpreter of peers.lock: tfmot_qat.")
    assert "--peers_python=$(./bazelw run //tools:peers_python" in line


def test_nothing_is_said_of_peers_that_nobody_asked_for() -> None:
    assert worker.available(("ours",), "float32", ("tfmot_qat",), None) == (("float32", "ours"), ())


def test_an_interpreter_without_tfmot_is_refused(tmp_path: Path) -> None:
    for wrong, why in (
        (Path(sys.executable), "which lacks tensorflow"),
        (tmp_path, "can't be run"),
    ):
        with pytest.raises(ValueError, match=why) as told:
            worker.available(("tfmot_qat",), "float32", ("tfmot_qat",), wrong)
        assert str(wrong) in str(told.value)
        assert "peers.lock" in str(told.value)
