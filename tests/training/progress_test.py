"""The line at the terminal."""

import io

import numpy as np

from tests.training.terminal import Clock, Terminal
from tfquantseg.training.progress import Progress

HALF_RIGHT = np.array([[2, 2], [2, 2]])  # IoU 2 / 6 for both classes


def test_what_a_line_shows() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(steps=200, done=0, batch=4, stream=stream, clock=clock)
    for step, loss in ((1, 3.0), (2, 1.0)):
        clock.now += 20
        progress.step(step, loss, HALF_RIGHT)
    # Step 2 took 20 s for 4 images, so the other 198 take 3,960 s.
    assert stream.getvalue().splitlines()[-1] == (
        "[--------------------] step 2/200  loss 2  train mIoU 33.3%  0.2 images/s  1:06:00 left"
    )


def test_a_pipe_gets_a_line_now_and_then_and_the_last() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(steps=100, done=0, batch=1, stream=stream, clock=clock)
    for step in range(1, 101):
        clock.now += 1
        progress.step(step, 0.0, HALF_RIGHT)
    lines = stream.getvalue().splitlines()
    assert [line.split("step ")[1].split("/")[0] for line in lines] == [
        "1", "16", "31", "46", "61", "76", "91", "100",
    ]  # fmt: skip


def test_a_terminal_gets_one_line_redrawn_without_remains() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(steps=2, done=0, batch=1, stream=stream, clock=clock)
    clock.now = 1
    progress.step(1, 0.123456, HALF_RIGHT)
    clock.now = 2
    progress.step(2, 1.876544, HALF_RIGHT)
    first, second = stream.getvalue().split("\r")[1:]
    assert "\n" not in stream.getvalue()
    assert len(second) >= len(first)
    progress.say("done")
    assert stream.getvalue().split("\r")[-1] == "done".ljust(len(second.rstrip())) + "\n"


def test_the_first_step_and_pauses_count_in_no_speed() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(steps=10, done=4, batch=8, stream=stream, clock=clock)
    clock.now = 100  # the first step traces
    progress.step(5, 1.0, HALF_RIGHT)
    assert progress.images_per_second == 0
    clock.now = 102
    progress.step(6, 1.0, HALF_RIGHT)
    clock.now = 200
    progress.paused()
    clock.now = 202
    progress.step(7, 1.0, HALF_RIGHT)
    assert progress.images_per_second == 4


def test_without_a_labelled_pixel_there_is_no_score() -> None:
    stream = io.StringIO()
    Progress(1, 0, 1, stream, Clock()).step(1, 0.0, np.zeros((2, 2), np.int64))
    # After one step, which traces, there is no speed either.
    assert stream.getvalue() == "[####################] step 1/1  loss 0  train mIoU -\n"
