"""One work directory, one config, one process."""

import json
from pathlib import Path

import pytest

from tfquantseg.training import workdir

CONFIG = {"seed": 0, "optimizer": {"learning_rate": 0.5}}


def test_a_new_directory_keeps_the_config(tmp_path: Path) -> None:
    with workdir.opened(tmp_path / "new" / "run", CONFIG) as path:
        assert (path / "checkpoints").is_dir()
    assert workdir.read_config(tmp_path / "new" / "run") == CONFIG


def test_the_same_config_opens_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        with workdir.opened(tmp_path, CONFIG):
            pass


def test_another_config_is_refused_with_the_key_and_both_values(tmp_path: Path) -> None:
    with workdir.opened(tmp_path, CONFIG):
        pass
    other = {"seed": 0, "optimizer": {"learning_rate": 0.25}}
    with (
        pytest.raises(ValueError, match=r"learning_rate is 0.5 there and 0.25 now.*--workdir"),
        workdir.opened(tmp_path, other),
    ):
        pass
    assert workdir.read_config(tmp_path) == CONFIG


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


def test_a_config_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG)[:-5])
    with pytest.raises(ValueError, match=r"config.json is not valid JSON"):
        workdir.read_config(tmp_path)
