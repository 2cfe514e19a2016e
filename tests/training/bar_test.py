"""The line that counts. How a line is redrawn, progress_test.py shows."""

import io

from tests.training.terminal import Clock, Terminal
from tfquantseg.training.bar import Bytes, Count, bar, duration


def test_a_count_shows_the_time_left_and_ends_with_the_time_taken() -> None:
    stream, clock = io.StringIO(), Clock()
    count = Count(4, "images of train", stream, clock)
    for _ in range(4):
        clock.now += 20
        count.step()
    assert stream.getvalue().splitlines() == [
        "[#####---------------] 1/4 images of train  0.1/s  1:00 left",
        "[##########----------] 2/4 images of train  0.1/s  0:40 left",
        "[###############-----] 3/4 images of train  0.1/s  0:20 left",
        "[####################] 4/4 images of train in 1:20",
    ]


def test_a_terminal_ends_with_a_line_of_its_own_without_remains() -> None:
    stream, clock = Terminal(), Clock()
    count = Count(2, "images", stream, clock)
    clock.now = 3600
    count.step()
    count.step()
    first, last = stream.getvalue().split("\r")[1:]
    assert first == "[##########----------] 1/2 images  0.0/s  1:00:00 left"
    assert last == "[####################] 2/2 images in 1:00:00".ljust(len(first)) + "\n"


def test_bar_and_duration_at_their_ends() -> None:
    assert (bar(0), bar(1)) == (f"[{'-' * 20}]", f"[{'#' * 20}]")
    assert (duration(0), duration(59.6), duration(3599.6)) == ("0:00", "1:00", "1:00:00")


def test_bytes_show_their_speed_and_the_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Bytes(stream, clock)
    progress.show(0, 40_000_000)
    for done in (10_000_000, 20_000_000):
        clock.now += 20
        progress.show(done, 40_000_000)
    progress.show(21_000_000, 40_000_000)  # too soon for another line
    clock.now += 20
    progress.show(30_000_000, None)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "[--------------------] 0.0/40.0 MB  ? left",
        "[#####---------------] 10.0/40.0 MB  0.5 MB/s  1:00 left",
        "[##########----------] 20.0/40.0 MB  0.5 MB/s  0:40 left",
        "30.0 MB  0.5 MB/s",
        "[####################] 30.0 MB in 1:00",
    ]
