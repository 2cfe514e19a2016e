"""The file classes.txt: what is read, and each thing that is refused."""

import pathlib

import pytest

from tfquantseg.data import class_list
from tfquantseg.data.palette import distinct_colours


def _read(folder: pathlib.Path, text: str) -> class_list.ClassList:
    (folder / "classes.txt").write_text(text)
    return class_list.read(folder / "classes.txt")


def test_names_without_colours_get_generated_ones(tmp_path: pathlib.Path) -> None:
    read = _read(tmp_path, "background\ntraffic light\ncar 2\n")
    assert read.names == ("background", "traffic light", "car 2")
    assert read.palette == distinct_colours(3)
    assert not read.coloured


@pytest.mark.parametrize(
    "text",
    [
        "sky 0 10 255\ntraffic light 250 170 30",
        "sky\t0\t10\t255\ntraffic light\t250\t170\t30\n\n",
        "sky,0,10,255\r\ntraffic light, 250, 170, 30\r\n",
        "\ufeffsky 0 10 255\n  traffic light   250 170 30  \n",
    ],
)
def test_colours_stand_after_the_name(tmp_path: pathlib.Path, text: str) -> None:
    read = _read(tmp_path, text)
    assert read == (("sky", "traffic light"), ((0, 10, 255), (250, 170, 30)), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n\nb\n", r"line 2 is empty; line n names label n - 1"),
        ("a\nb\na\n", r"line 3 names the class 'a', as line 1 does"),
        ("a 1 2 3\nb 1 2 3\n", r"line 2 has the colour 1 2 3, as line 1 has"),
        ("a 1 2 3\nb\n", r"has a colour in line 1 and none in line 2"),
        ("a 1 2 3\nb 1 2 256\n", r"line 2 has the colour 1 2 256; accepted are .* 0 to 255"),
        ("", r"names 0 classes; accepted are 2 to 255, one a line\.$"),
        ("a\n", r"names 1 class; accepted .* What belongs to no class is one too"),
        ("\n".join(map(str, range(256))), r"names 256 classes; accepted are 2 to 255"),
    ],
)
def test_what_is_refused(tmp_path: pathlib.Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"{tmp_path}/classes\.txt.* ?{message}"):
        _read(tmp_path, text)


def test_a_missing_file_says_what_to_write(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"classes\.txt is missing\. Write into it the names"):
        class_list.read(tmp_path / "classes.txt")


def test_another_encoding_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "classes.txt").write_bytes("ciel\nchaussée\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"classes\.txt is no UTF-8 text .* save it as UTF-8"):
        class_list.read(tmp_path / "classes.txt")


def test_a_folder_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        class_list.read(tmp_path)
