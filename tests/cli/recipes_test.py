"""The flag --config."""

import shlex
from pathlib import Path

import pytest
from absl import flags
from ml_collections import ConfigDict

from tfquantseg.cli import recipes

# ml_collections 1.1 loads recipes by a method that a later Python is going to drop.


def _parsed(*argv: str) -> ConfigDict:
    values = flags.FlagValues()
    line = recipes.with_path(["it", *argv])
    recipes.define_config(values, line)
    values(line)
    return values["config"].value


def test_the_default_is_integer_on_digits() -> None:
    config = _parsed()
    assert (config.policy, config.data.name) == ("INTEGER", "digits")


def test_help_names_the_default_recipe_not_its_path() -> None:
    values = flags.FlagValues()
    recipes.define_config(values, ["it"])
    assert "(default: 'digits')" in values.get_help()


def test_the_command_line_changes_values() -> None:
    config = _parsed(
        "--config.optimizer.learning_rate=0.25",
        "--config.optimizer.boundaries=3,4",
        "--config.data.flip",
        "--config.model.args.width=5",
    )
    assert config.optimizer.learning_rate == 0.25
    assert tuple(config.optimizer.boundaries) == (3, 4)
    assert config.data.flip is True
    assert config.model.args.width == 5


@pytest.mark.parametrize("argv", [("--config=camvid_fcn8s",), ("--config", "camvid_fcn8s")])
def test_a_shipped_recipe_by_its_name(argv: tuple[str, ...]) -> None:
    assert _parsed(*argv, "--config.policy=FLOAT").data.name == "camvid"


def test_a_recipe_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n"
        "    return ConfigDict({'seed': 7})\n"
    )
    assert _parsed("--config=mine.py").seed == 7
    assert recipes.name(["it", "--config=mine.py"]) == "mine"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(FileNotFoundError, match=r"no recipe 'digit' .*Did you mean 'digits'"):
        _parsed("--config=digit")


def test_a_file_without_get_config_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(ValueError, match=r"mine.py is no recipe"):
        _parsed(f"--config={tmp_path / 'mine.py'}")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("optimizer.learnin_rate", "optimizer.learning_rate"),
        ("learning_rate", "optimizer.learning_rate"),
        ("sed", "seed"),
        ("data.options.sized", "data.options.size"),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"'config.{key}'. Did you mean 'config.{nearest}'\?"):
        _parsed(f"--config.{key}=1")


def test_the_name_of_the_default() -> None:
    assert recipes.name(["it"]) == "digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name\n", "line 1 fails: ModuleNotFoundError: No module"),
        ("def get_config(:\n", "line 1 fails: SyntaxError"),
        ("def get_config():\n    return 1 / 0\n", "line 2 fails: ZeroDivisionError: division"),
        ("def get_config():\n    return {}\n", r"get_config\(\) returns dict; accepted is an"),
    ],
)
def test_a_recipe_that_fails_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=rf"{tmp_path}/mine\.py.* {message}"):
        _parsed(f"--config={tmp_path / 'mine.py'}")


@pytest.mark.parametrize(
    "argv",
    [
        ("--config.data.size=64,64", "--config.data.size=96,96"),
        ("--config.data.flip", "--noconfig.data.flip"),
        ("--config.data.options={'seed': 1}", "--config.data.options.seed=2"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(argv: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"and --config\.data\..* change the same value"):
        _parsed(*argv)


def test_a_key_without_config_in_front_is_told_its_whole_name() -> None:
    with pytest.raises(ValueError, match=r"no flag --policy; .*, --config\.policy=VALUE\."):
        _parsed("--policy=FLOAT")


def test_a_key_that_a_free_part_lacks_is_answered_with_how_to_add_it() -> None:
    with pytest.raises(ValueError, match=r"write all of .*: --config.data.options='{\"root\": "):
        _parsed("--config=camvid_fcn8s", "--config.data.options.root=/data")
    config = _parsed("--config=camvid_fcn8s", "--config.data.options={'root': '/data'}")
    assert config.data.options.root == "/data"


def test_an_empty_recipe_name_is_refused() -> None:
    with pytest.raises(ValueError, match="Flag --config is empty"):
        _parsed("--config=")


def test_a_shipped_recipe_is_typed_again_by_its_name() -> None:
    values = flags.FlagValues()
    line = recipes.with_path(["it", "--config=digits", "--config.seed=3"])
    recipes.define_config(values, line)
    values(line)
    assert recipes.arguments(values) == "--config=digits --config.seed=3"


def test_what_was_given_can_be_typed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my recipe.py").write_text(recipes.shipped()["digits"].read_text())
    argv = [
        "--config=my recipe.py",
        "--config.data.size=(64, 72)",
        "--config.data.train=train[:0.1]",
        "--config.data.options={'scenes': 3}",
        "--config.data.flip=True",
    ]
    values = flags.FlagValues()
    recipes.define_config(values, ["it", *argv])
    values(["it", *argv])
    again = shlex.split(recipes.arguments(values))
    assert sorted(again) == sorted(argv)
    assert _parsed(*again) == values["config"].value


def test_a_variant_of_a_recipe() -> None:
    assert _parsed("--config=voc_deeplab").policy == "PAPER_DEEPLAB"
    assert _parsed("--config=voc_deeplab:paper").policy == "PAPER_DEEPLAB"
    config = _parsed("--config=voc_deeplab:authors", "--config.seed=4")
    assert (config.policy, config.seed) == ("AUTHORS_DEEPLAB", 4)
    path = recipes.shipped()["voc_deeplab"]
    assert _parsed(f"--config={path}:authors").policy == "AUTHORS_DEEPLAB"
    # Each has a work directory of its own.
    assert recipes.name(recipes.with_path(["it", "--config=voc_deeplab"])) == "voc_deeplab"
    assert recipes.name(recipes.with_path(["it", "--config=voc_deeplab:authors"])) == (
        "voc_deeplab-authors"
    )


def test_a_variant_is_typed_again() -> None:
    values = flags.FlagValues()
    line = recipes.with_path(["it", "--config=voc_deeplab:authors"])
    recipes.define_config(values, line)
    values(line)
    assert recipes.arguments(values) == "--config=voc_deeplab:authors"
    assert recipes.name_of(values) == "voc_deeplab-authors"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("voc_deeplab:author", r"variant of recipe 'voc_deeplab' 'author'; .*mean 'authors'\?"),
        ("voc_deeplab:", r"variant of recipe 'voc_deeplab' ''; accepted: authors, paper"),
        ("camvid_fcn8s:paper", r"fcn8s\.py has no variants; leave out ':paper' behind it"),
    ],
)
def test_an_unknown_variant_is_answered(argument: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _parsed(f"--config={argument}")
