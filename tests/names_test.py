"""The error for an unknown name."""

from tfquantseg.names import did_you_mean, unknown_name


def test_the_nearest_name_is_offered() -> None:
    assert str(unknown_name("split", "trian", ("val", "train"))) == (
        "Unknown split 'trian'; accepted: train, val. Did you mean 'train'?"
    )


def test_nothing_is_offered_where_nothing_is_near() -> None:
    assert str(unknown_name("split", "xyz", ("val", "train"))) == (
        "Unknown split 'xyz'; accepted: train, val."
    )


def test_capitals_do_not_matter() -> None:
    assert did_you_mean("integer", ("FLOAT", "INTEGER")) == " (did you mean 'INTEGER'?)"


def test_a_hint_inside_a_sentence() -> None:
    assert did_you_mean("trian", ("val", "train")) == " (did you mean 'train'?)"
    assert did_you_mean("xyz", ("val", "train")) == ""
