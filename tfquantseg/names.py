"""Names in messages: which known one was meant by an unknown one, and long lists cut."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(received: str, accepted: Iterable[str]) -> str | None:
    """Returns the accepted name that is most like the received one, None if none is like it."""
    names = list(accepted)
    alike = [name for name in names if name.casefold() == received.casefold()]
    found = alike or difflib.get_close_matches(received, names, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(received: str, accepted: Iterable[str]) -> str:
    """Returns " (did you mean 'name'?)" with the closest name, or nothing if none is like it."""
    meant = closest(received, accepted)
    return f" (did you mean {meant!r}?)" if meant else ""


def unknown_name(kind: str, received: str, accepted: Iterable[str]) -> ValueError:
    """Makes the error for an unknown name.

    Args:
        kind: What the name names, as in "Unknown `kind` 'trian'".
        received: The name that is not known.
        accepted: All names that are.

    Returns:
        A `ValueError` to raise.
    """
    names = sorted(accepted)
    meant = closest(received, names)
    hint = f" Did you mean {meant!r}?" if meant else ""
    return ValueError(f"Unknown {kind} {received!r}; accepted: {', '.join(names)}.{hint}")


def first_few(names: Iterable[str], shown: int = 5) -> str:
    """Returns the first few names, with commas between, and how many more there are.

    Args:
        names: All of them, in the order in which they are to be shown.
        shown: Most names to show.
    """
    listed = list(names)
    more = len(listed) - shown
    return ", ".join(listed[:shown]) + (f" and {more} more" if more > 0 else "")
