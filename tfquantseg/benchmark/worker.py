"""Workers: one process for each thing that is measured, so that each has memory of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tfquantseg.benchmark.pairs import Turn
from tfquantseg.training import child

_LINES = 25  # of what a dead worker has said
_PATIENCE = 10.0  # seconds from the end of the questions to the end of the process
_PEERS = Path(__file__).parent / "peers"

PEERS_PYTHON = "$(./bazelw run //tools:peers_python -- -c 'import sys; print(sys.executable)')"
"""What a user types for the path of the peers' interpreter."""


class Worker:
    """A process that repeats one thing whenever it is told to; a context manager.

    Args:
        name: what it measures, for error messages.
        command: the program, which serves as `tfquantseg.benchmark.peers.answers` says.
        environment: its environment variables.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Starts the process."""
        self._name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            text=True,
        )

    def build(self, **arguments: Any) -> None:
        """Makes what is to be repeated, as `Part.build`."""
        self.part("").build(**arguments)

    def steps(self, count: int, *, dropped: int = 0) -> Turn:
        """Repeats it, as `Part.steps`."""
        return self.part("").steps(count, dropped=dropped)

    def part(self, name: str) -> Part:
        """Returns one of several things that the process repeats, each under a name."""
        return Part(self, name)

    def profile(self) -> dict[str, float]:
        """Returns what takes how many seconds of a repetition; empty where the worker can't tell.

        Raises:
            ChildProcessError: the worker ended.
        """
        answer: dict[str, float] = self._ask({"do": "profile"})["profile"]
        return answer

    def _build(self, part: str, arguments: dict[str, Any]) -> None:
        self._ask({"do": "build", "of": part, "with": arguments})

    def _steps(self, part: str, count: int, dropped: int) -> Turn:
        if dropped:
            self._ask({"do": "steps", "of": part, "count": dropped})
        answer = self._ask({"do": "steps", "of": part, "count": count})
        if not math.isfinite(answer["value"]):
            raise FloatingPointError(
                f"The loss of {self._name} became {answer['value']}: it no longer trains, so the "
                "time of its steps is no measurement. Please report it."
            )
        return Turn(tuple(answer["seconds"]), answer["cpu_seconds"] / count, answer["value"])

    def memory(self) -> int:
        """Returns by how many bytes its peak resident memory has grown since it had imported.

        Raises:
            ChildProcessError: the worker ended.
        """
        return int(self._ask({"do": "memory"})["memory_bytes"])

    def __enter__(self) -> Worker:
        """Returns the worker."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process."""
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # It may have died with a question unread.
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(f"{json.dumps(question)}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _died(self) -> ChildProcessError:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        if code == -9:
            how += " (so the system does when memory runs out)"
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").splitlines()[-_LINES:]
        return ChildProcessError(
            f"The worker of {self._name} {how}. It said last:\n" + "\n".join(said or ["(nothing)"])
        )


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the things that a worker repeats.

    Attributes:
        worker: the process.
        name: of the thing, in that process.
    """

    worker: Worker
    name: str

    def build(self, **arguments: Any) -> None:
        """Makes what is to be repeated, in place of what had the name before.

        Raises:
            ChildProcessError: the worker ended.
        """
        self.worker._build(self.name, arguments)

    def steps(self, count: int, *, dropped: int = 0) -> Turn:
        """Repeats it and returns what the last `count` repetitions took.

        Args:
            count: of the repetitions that count.
            dropped: of those before, which warm up the processor's caches.

        Raises:
            ChildProcessError: the worker ended.
            FloatingPointError: what it computes is no number any more.
        """
        return self.worker._steps(self.name, count, dropped)


def ours(name: str, module: str) -> Worker:
    """Starts a worker with this interpreter.

    Args:
        name: what it measures.
        module: in `tfquantseg.benchmark`, such as "training_worker".
    """
    return Worker(name, child.command(f"tfquantseg.benchmark.{module}"), child.environment())


def of_peers(name: str, python: Path, program: str) -> Worker:
    """Starts a worker with the interpreter of peers.lock.

    Args:
        name: what it measures.
        python: that interpreter.
        program: in the folder peers, such as "tfmot_training".
    """
    # Our packages must not be found by theirs.
    ours_only = ("PYTHON", "KERAS_BACKEND")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours_only)}
    return Worker(name, [str(python), str(_PEERS / f"{program}.py")], environment)


def check_peers(python: Path) -> None:
    """Checks that an interpreter has tfmot.

    Raises:
        ValueError: it is none, or lacks the packages; says how to get one.
    """
    code = "import importlib.util as u; print(all(map(u.find_spec, {})))".format(
        "('tensorflow', 'tf_keras', 'tensorflow_model_optimization')"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        found = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, env=environment, check=False
        ).stdout
    except OSError as error:
        raise ValueError(
            f"--peers_python is {str(python)!r}, which can't be run ({error.strerror}); give the "
            f"path of a Python with the packages of peers.lock: --peers_python={PEERS_PYTHON}"
        ) from error
    if found.strip() != "True":
        raise ValueError(
            f"--peers_python is {str(python)!r}, which lacks tensorflow, tf_keras or "
            "tensorflow_model_optimization; give one with the packages of peers.lock: "
            f"--peers_python={PEERS_PYTHON}"
        )


def available(
    variants: Sequence[str], base: str, of_peers: Sequence[str], python: Path | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the variants that can run here, the base first, and what is to be said of the others.

    Args:
        variants: asked for.
        base: always runs.
        of_peers: those that need the peers' interpreter.
        python: that interpreter, None where there is none.

    Raises:
        ValueError: it is no such interpreter.
    """
    kept = (base, *(variant for variant in variants if variant != base))
    needing = [variant for variant in kept if variant in of_peers]
    if needing and python is None:
        said = (
            f"Left out, for they need the interpreter of peers.lock: {', '.join(needing)}. To have "
            f"them too, add --peers_python={PEERS_PYTHON}"
        )
        return tuple(variant for variant in kept if variant not in of_peers), (said,)
    if needing and python is not None:
        check_peers(python)
    return kept, ()
