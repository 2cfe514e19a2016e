"""The error for a name that is not known: it says which name was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, received: str, accepted: Iterable[str]) -> ValueError:
    """Makes the error for an unknown name.

    Args:
        kind: What the name names, as in "unknown `kind` 'trian'".
        received: The name that is not known.
        accepted: All names that are.

    Returns:
        A `ValueError` to raise.
    """
    names = sorted(accepted)
    nearest = difflib.get_close_matches(received, names, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"Unknown {kind} {received!r}; accepted: {', '.join(names)}.{hint}")
