"""The table of archives."""

import re

import pytest

from tfquantseg.data import sources


@pytest.mark.parametrize("name", sources.SOURCES)
def test_a_row_is_complete(name: str) -> None:
    source = sources.find(name)
    assert re.fullmatch(r"https?://\S+\.(tar|tgz|zip)", source.url)
    digits = {"md5": 32, "sha1": 40}[source.algorithm]
    assert re.fullmatch(rf"[0-9a-f]{{{digits}}}", source.checksum)


def test_checksums_are_not_copied_from_row_to_row() -> None:
    assert len({source.checksum for source in sources.SOURCES.values()}) == len(sources.SOURCES)


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "ecssd", "kitti_road"])
def test_what_is_not_fetched_is_explained(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not fetched by this command\. .*https://.* it holds"):
        sources.find(name)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"data set to download 'voc'; .*Did you mean 'voc2012'\?"):
        sources.find("voc")
