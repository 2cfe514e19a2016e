"""One work directory, one config, one process."""

import json
import os
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
        assert not (path / "config.json").exists()
        workdir.claim(path, CONFIG)
        assert (path / "checkpoints").is_dir()
    assert workdir.read_config(tmp_path / "new" / "run") == CONFIG


def test_a_directory_that_nothing_claimed_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("new/run", "mine"):
        with (
            pytest.raises(ValueError, match="no such model"),
            workdir.opened(tmp_path / name, CONFIG),
        ):
            raise ValueError("no such model")
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_an_unclaimed_directory_into_which_somebody_wrote_stays(tmp_path: Path) -> None:
    with workdir.opened(tmp_path / "run", CONFIG) as path:
        (path / "notes.txt").write_text("mine")
    assert list(tmp_path.rglob("*.*")) == [tmp_path / "run" / "notes.txt"]


def test_who_trains_in_it_is_told_while_it_does(tmp_path: Path) -> None:
    assert workdir.trainer(tmp_path) is None
    with workdir.opened(tmp_path, CONFIG):
        workdir.claim(tmp_path, CONFIG)
        assert workdir.trainer(tmp_path) == str(os.getpid())
    assert (tmp_path / "lock").exists()
    assert workdir.trainer(tmp_path) is None


def test_the_same_config_opens_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        _claimed(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"seed": 4, "data": {"size": (64, 72), "val": "val"}},
            [
                "  config.data.size is [64, 64] there and [64, 72] now",
                "  config.data.val is 'val[:0.25]' there and 'val' now",
                "  config.seed is 3 there and 4 now",
                "Go on with that run by giving '--config.data.size=(64, 64)' "
                "'--config.data.val=val[:0.25]' --config.seed=3, or give another --workdir.",
            ],
        ),
        (
            {"seed": 4, "data": {"options": {"scenes": 20}}},
            [
                "  config.data.options.scenes is 16 there and 20 now",
                "  config.seed is 3 there and 4 now",
                "Give another --workdir.",
            ],
        ),
        (
            {"rules": ()},
            [
                "  config.rules is [['stem(_bn)?|logits', 'INTEGER']] there and [] now",
                "Give another --workdir.",
            ],
        ),
        (
            {"model": {"args": {"blocks": 2}}},
            ["  config.model.args.blocks is absent there and 2 now", "Give another --workdir."],
        ),
    ],
)
def test_another_config_is_refused_with_all_that_differs(
    tmp_path: Path, changes: dict[str, object], told: list[str]
) -> None:
    _claimed(tmp_path)
    with pytest.raises(ValueError, match="holds a run of another config:") as raised:
        _claimed(tmp_path, **changes)
    assert str(raised.value).splitlines()[1:] == told
    assert workdir.read_config(tmp_path) == CONFIG


def test_a_directory_of_before_a_key_existed_is_read_and_gone_on_with(tmp_path: Path) -> None:
    _claimed(tmp_path)
    older = json.loads((tmp_path / "config.json").read_text())
    for part, key in (
        (older, "class_balance"),
        (older["optimizer"], "warmup"),
        (older["optimizer"], "factors"),
    ):
        del part[key]
    (tmp_path / "config.json").write_text(json.dumps(older))
    assert workdir.read_config(tmp_path) == CONFIG
    _claimed(tmp_path)
    with pytest.raises(ValueError, match=r"config.class_balance is 0.0 there and 0.5 now"):
        _claimed(tmp_path, class_balance=0.5)


def test_a_file_is_no_work_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file; give a folder"):
        _claimed(tmp_path / "file")


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"photo{number}.png").write_text("mine")
    (tmp_path / "lock").write_text("")
    with (
        pytest.raises(
            ValueError,
            match=r"is no work directory: it has no config\.json, and holds photo0\.png, .*"
            r"photo4\.png and 1 more\. Give a new folder as --workdir\.",
        ),
        workdir.opened(tmp_path, CONFIG),
    ):
        pass
    assert len(list(tmp_path.iterdir())) == 7


def test_what_an_earlier_run_left_before_its_config_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("17")
    (tmp_path / ".unfinished-1-config.json").write_text("{")
    for folder in ("checkpoints", "tensorboard"):
        (tmp_path / folder).mkdir()
    _claimed(tmp_path)
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


def test_a_config_that_was_changed_is_named(tmp_path: Path) -> None:
    for text in (json.dumps(CONFIG)[:-5], "[]", json.dumps({**CONFIG, "seed": -1})):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"holds no config of this version \(.*: restore it"):
            workdir.read_config(tmp_path)
