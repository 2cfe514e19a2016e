"""One work directory, one config, one process."""

import json
import re
from pathlib import Path

import pytest

from tests.training.tiny import config
from tfquantseg.training import recipe, workdir

CONFIG = recipe.plain(config())


def _claimed(path: Path, **changes: object) -> None:
    changed = recipe.plain(config(**changes))
    with workdir.opened(path, changed):
        workdir.claim(path, changed)


def test_a_new_directory_keeps_the_config_once_it_is_claimed(tmp_path: Path) -> None:
    with workdir.opened(tmp_path / "new" / "run", CONFIG) as path:
        assert (path / "checkpoints").is_dir()
        assert not (path / "config.json").exists()
        workdir.claim(path, CONFIG)
    assert workdir.read_config(tmp_path / "new" / "run") == CONFIG


def test_the_same_config_opens_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        _claimed(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seed": 4},
            "seed is 3 there and 4 now. Go on with that run by giving --config.seed=3, or give",
        ),
        (
            {"data": {"size": (64, 72)}},
            "data.size.1 is 64 there and 72 now. Go on with that run by giving "
            "'--config.data.size=(64, 64)', or give",
        ),
        (
            {"data": {"val": "val"}},
            "data.val is 'val[:0.25]' there and 'val' now. Go on with that run by giving "
            "'--config.data.val=val[:0.25]', or give",
        ),
        ({"rules": ()}, "rules is [['stem(_bn)?|logits', 'INTEGER']] there and [] now. Give"),
        ({"model": {"args": {"blocks": 2}}}, "blocks is absent there and 2 now. Give"),
    ],
)
def test_another_config_is_refused_with_a_change_that_can_be_typed(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    _claimed(tmp_path)
    with pytest.raises(ValueError, match=re.escape(f"{message} another --workdir.") + "$"):
        _claimed(tmp_path, **changes)
    assert workdir.read_config(tmp_path) == CONFIG


def test_a_file_is_no_work_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file; give a folder"):
        _claimed(tmp_path / "file")


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with (
        workdir.opened(tmp_path, CONFIG),
        pytest.raises(ValueError, match=r"in use: process \d+ trains there"),
        workdir.opened(tmp_path, CONFIG),
    ):
        pass
    with workdir.opened(tmp_path, CONFIG):
        pass


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".unfinished-1-step_00000005").mkdir(parents=True)
    with workdir.opened(tmp_path, CONFIG):
        assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_folder_without_config_is_no_work_directory(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match="is not a work directory"):
            workdir.read_config(path)


def test_a_config_that_was_changed_is_named(tmp_path: Path) -> None:
    for text in (json.dumps(CONFIG)[:-5], "[]", json.dumps({**CONFIG, "seed": -1})):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config.json holds no config \(.*; restore it"):
            workdir.read_config(tmp_path)
