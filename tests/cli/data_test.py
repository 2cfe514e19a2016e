"""The command data: its actions."""

import pytest

from tfquantseg.cli import data

ACTIONS = "check, download, index-masks, speed"


def test_help_names_the_actions(capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["data", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "data check --config=folder" in shown
    assert "data download voc2012" in shown
    assert "data index-masks --masks=" in shown


@pytest.mark.parametrize("action", ["check", "download", "index-masks", "speed"])
def test_each_action_has_help_of_its_own(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["data", action, "--help"]) == 0
    assert f"  data {action} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], f"Say what to do first: {ACTIONS}; --help tells more."),
        (
            ["--json=a"],
            f"Say what to do first: {ACTIONS}; --help tells more.",
        ),
        (
            ["chek"],
            f"Unknown action 'chek'; accepted: {ACTIONS}. Did you mean 'check'?",
        ),
        (["check", "now"], "Argument 'now' is not understood; flags start with '--'."),
    ],
)
def test_what_is_not_understood(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.main(["data", *argv]) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"
