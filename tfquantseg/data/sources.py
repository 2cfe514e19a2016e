"""Where the archives of published data sets are, and how to tell that one is whole.

The publishers tell no checksums. These are of programs that many have fetched the same files with;
each says which. They tell a damaged or changed file, and are no signature of the publisher.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from tfquantseg.data import ade20k, camvid, cityscapes, ecssd, kitti_road, sbd, voc2012
from tfquantseg.names import unknown_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """An archive that may be fetched.

    Attributes:
        title: What it is called.
        url: Where it is; a .tar, .tgz or .zip file.
        size: About how much it is, for a person to read.
        algorithm: Of the checksum.
        checksum: Hexadecimal, of the whole file.
        checksum_from: Who tells the checksum.
        licence: What its publisher says of its use.
        place: The folder in the archive that is the data set, and its place below that of
            `TFQUANTSEG_DATA`.
        recipe: A recipe that reads it.
    """

    title: str
    url: str
    size: str
    algorithm: Literal["md5", "sha1"]
    checksum: str
    checksum_from: str
    licence: str
    place: str
    recipe: str


SOURCES: Mapping[str, Source] = {
    "ade20k": Source(
        title=ade20k.LAYOUT.title,
        url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        size="1 GB",
        algorithm="sha1",
        checksum="219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
        checksum_from="GluonCV, scripts/datasets/ade20k.py",
        licence="Annotations: BSD 3-Clause. Images: for non-commercial research and education; "
        "see https://groups.csail.mit.edu/vision/datasets/ADE20K/.",
        place=ade20k.LAYOUT.place,
        recipe="ade20k_deeplab",
    ),
    "sbd": Source(
        title="Semantic Boundaries Dataset (SBD)",
        url="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/"
        "semantic_contours/benchmark.tgz",
        size="1.4 GB",
        algorithm="md5",
        checksum="82b4d87ceb2ed10f6038a1cba92111cb",
        checksum_from="torchvision, datasets/sbd.py",
        licence="None is stated; its authors ask to be cited. The images are of PASCAL VOC, from "
        "Flickr, whose terms of use hold.",
        place=sbd.PLACE,
        recipe="voc_deeplab",
    ),
    "voc2012": Source(
        title=voc2012.LAYOUT.title,
        url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        size="2 GB",
        algorithm="md5",
        checksum="6cd6e144f989b92b3379bac3b3de84fd",
        checksum_from="torchvision, datasets/voc.py",
        licence="None is stated for the annotations. The images are from Flickr, whose terms of "
        "use hold; see http://host.robots.ox.ac.uk/pascal/VOC/voc2012/.",
        place=voc2012.LAYOUT.place,
        recipe="voc_deeplab",
    ),
}
_BY_HAND = {
    "camvid": camvid.LAYOUT,
    "cityscapes": cityscapes.LAYOUT,
    "ecssd": ecssd.LAYOUT,
    "kitti_road": kitti_road.LAYOUT,
}


def find(name: str) -> Source:
    """The archive of a data set.

    Args:
        name: A data set's, or `"sbd"`, of which `voc2012` takes masks.

    Raises:
        ValueError: The data set may not be fetched by a program, or does not exist; says how to get
            it by hand.
    """
    if name in _BY_HAND:
        layout = _BY_HAND[name]
        raise ValueError(
            f"{layout.title} is not fetched by this command. {layout.obtain} Its place is "
            f"{layout.place} in the folder that TFQUANTSEG_DATA names, and it holds "
            f"{', '.join(layout.holds)}."
        )
    if name not in SOURCES:
        raise unknown_name("data set to download", name, (*SOURCES, *_BY_HAND))
    return SOURCES[name]
