"""Which files are found by a name, and under which names results about them are kept."""

from pathlib import Path

import pytest

from tfquantseg.data import photographs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as people have them; it is the current one."""
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/a.png", "sub/deep/c.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _found(*names: str) -> tuple[list[str], list[str]]:
    found = photographs.find(names)
    return [str(path) for path in found.files], [str(path) for path in found.others]


def test_a_folder(here: Path) -> None:
    assert _found(".") == (["a.JPG", "b.png"], ["empty", "notes.txt", "sub"])


def test_a_file_is_taken_whatever_it_is_called(here: Path) -> None:
    assert _found("notes.txt") == (["notes.txt"], [])


def test_a_pattern(here: Path) -> None:
    assert _found("*.png") == (["b.png"], [])
    assert _found("sub/**/*.[pw]*") == (["sub/a.png", "sub/deep/c.webp"], [])


def test_several_names_each_file_once(here: Path) -> None:
    files, others = _found("sub", "b.png", "./b.png", "*", f"{here}/b.png")
    assert files == ["sub/a.png", "b.png", "a.JPG"]
    assert others == ["sub/deep", "empty", "notes.txt", "sub"]


def test_a_file_whose_name_reads_like_a_pattern(here: Path) -> None:
    (here / "a[1].png").touch()
    assert _found("a[1].png") == (["a[1].png"], [])


def test_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert _found("~/sub") == ([f"{here}/sub/a.png"], [f"{here}/sub/deep"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "The name of an image is empty"),
        ("none.png", "There is no file or folder /.*/none.png; give one"),
        ("*.gif", r"No file matches '\*\.gif' in /"),
        ("empty", r"no image in empty, which is empty; accepted endings are \.bmp"),
        ("*.txt", r"no image in \*\.txt, only 1 other entries"),
    ],
)
def test_what_is_not_there_is_named(here: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        photographs.find(["b.png", name])


def test_keys_differ_even_where_capitals_do_not_count() -> None:
    files = map(Path, ("x/a.png", "y/A.jpg", "a-2.png", "a.b.png", "z/a.png"))
    assert photographs.keys(files) == ["a", "A-2", "a-2-2", "a.b", "a-3"]
