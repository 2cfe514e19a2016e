"""Names in messages: unknown ones, and many."""

from tfquantseg.names import did_you_mean, first_few, unknown_name


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


def test_a_long_list_is_cut() -> None:
    assert first_few("abcde") == "a, b, c, d, e"
    assert first_few("abcdefg") == "a, b, c, d, e and 2 more"
    assert first_few((), 2) == ""
