"""The speed of pipeline and step: what is measured, not how fast this machine is."""

import pytest

from tests.training import tiny
from tfquantseg.analysis.throughput import Rate, measure


def test_pipeline_and_step_are_measured() -> None:
    told: list[str] = []
    found = measure(tiny.config(rules=()), 0.06, with_step=True, tell=told.append)
    assert found.examples == 16
    assert list(found.rows()) == ["decoded", "cached", "step"]
    for rate in found.rows().values():
        # At least a batch of two images in each of three rounds.
        assert rate.images >= 6
        assert rate.seconds > 0
        assert rate.processor > 0
    assert found.as_json()["step"]["times_the_step"] == (1, 1)
    assert told[:3] == [
        "reading all images once",
        "building the network",
        "measuring decoded, 1 of 3",
    ]


def test_images_that_do_not_fit_are_not_called_cached() -> None:
    config = tiny.config()
    # A scene of 64 x 64 has 16 KiB, with its labels.
    config.data.options.cache_bytes = 15 * 2**14
    found = measure(config, 0.06, with_step=False, tell=print)
    assert list(found.rows()) == ["decoded"]
    assert (found.cached, found.step) == (None, None)
    assert "times_the_step" not in found.as_json()["decoded"]
    config.data.options.cache_bytes = 16 * 2**14
    assert list(measure(config, 0.06, with_step=False, tell=print).rows()) == ["decoded", "cached"]


def test_a_rate_is_so_many_times_another() -> None:
    assert Rate(1, 0.5, 0.2).times(Rate(1, 2.0, 0.6)) == pytest.approx((4, 3))
    assert Rate(8, 0.5, 0.2).as_json()["images_per_second"] == 2
