"""Python ends, whatever TensorFlow's threads are decoding."""

import os
import subprocess
import sys
import threading

import pytest

from tfquantseg.data.decoding import Decoding

_SCRIPT = """
import time
import numpy as np
from tfquantseg.data import Example, Pair, SegmentationData, batches

def decode():
    end = time.monotonic() + 0.01
    while time.monotonic() < end:  # Python's lock is held
        pass
    return Pair(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))

examples = tuple(Example(str(i), str(i), decode) for i in range(20_000))
data = SegmentationData("made", "train", ("a", "b"), ((0, 0, 0),) * 2, examples, threads=8)
kept = {"iterator": iter(batches(data, batch=64, training=True, size=(8, 8)))}
kept["itself"] = kept
next(kept["iterator"])
del kept  # What refers to itself is still there when Python ends.
print("last line", flush=True)
"""


def test_a_script_with_an_iterator_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"last line\n"
            # It ends within a second on an idle machine; without `Decoding` it never does.
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def test_the_end_waits_for_the_calls_that_are_running() -> None:
    decoding, entered, may_leave = Decoding(), threading.Event(), threading.Event()

    def work() -> None:
        with decoding.call():
            entered.set()
            may_leave.wait()

    worker, ending = threading.Thread(target=work), threading.Thread(target=decoding.end)
    worker.start()
    entered.wait()
    ending.start()
    ending.join(timeout=0.5)  # more than it takes without a call
    assert ending.is_alive()
    may_leave.set()
    ending.join(timeout=60)
    assert not ending.is_alive()
    worker.join()


def test_after_the_end_nothing_is_decoded() -> None:
    decoding = Decoding()
    with decoding.call():
        pass
    decoding.end()
    with pytest.raises(ValueError, match="Python ends"), decoding.call():
        pytest.fail("not reached")
