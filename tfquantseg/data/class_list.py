"""The file classes.txt: the names of the classes, one a line, with or without colours.

```
background    0   0   0
road        128  64 128
traffic light 250 170 30
```

Line n names label n - 1. The name is all before the colour and may hold spaces; the colour is red,
green and blue, 0..255, with spaces, tabs or commas between. Either each line has a colour or none.
"""

from __future__ import annotations

import pathlib
import re
from typing import NamedTuple

from tfquantseg.data.palette import Colour, distinct_colours

MOST = 255
"""Labels are bytes, of which 255 is the ignore label."""

_LINE = re.compile(r"(?P<name>.+?)(?:[\s,]+(?P<colour>\d+[\s,]+\d+[\s,]+\d+))?")


class ClassList(NamedTuple):
    """Names and colours; the position of each is its label.

    Attributes:
        names: One a class.
        palette: One colour a class, of the file or generated.
        coloured: Whether the colours are the file's.
    """

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    coloured: bool


def read(path: pathlib.Path) -> ClassList:
    """Reads a classes.txt.

    Colours that the file does not give are those of `distinct_colours`.

    Raises:
        ValueError: The file is missing or no text; a line is empty, names a class or has a colour
            that is there already, or has a colour where another has none; there are fewer than 2
            classes, or more than 255.
    """
    lines = _lines(path)
    names: list[str] = []
    colours: list[Colour | None] = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(
                f"{where} is empty; line n names label n - 1, so name a class there, or remove the "
                "line if there is no such label."
            )
        colour = _colour(match["colour"], where)
        if match["name"] in names:
            raise ValueError(
                f"{where} names the class {match['name']!r}, as line "
                f"{names.index(match['name']) + 1} does; give each class a name of its own."
            )
        if colour is not None and colour in colours:
            raise ValueError(
                f"{where} has the colour {_shown(colour)}, as line {colours.index(colour) + 1} "
                "has; give each class a colour of its own, or none to any."
            )
        names.append(match["name"])
        colours.append(colour)
    if not 2 <= len(names) <= MOST:
        hint = " What belongs to no class is one too, often the first." if len(names) == 1 else ""
        raise ValueError(
            f"{path} names {len(names)} class{'' if len(names) == 1 else 'es'}; accepted are 2 to "
            f"{MOST}, one a line.{hint}"
        )
    given = tuple(colour for colour in colours if colour is not None)
    if given and len(given) != len(names):
        with_colour = next(i for i, colour in enumerate(colours, start=1) if colour)
        without = colours.index(None) + 1
        raise ValueError(
            f"{path} has a colour in line {with_colour} and none in line {without}; give each "
            "class a colour, or none to any."
        )
    return ClassList(tuple(names), given or distinct_colours(len(names)), bool(given))


def _lines(path: pathlib.Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(
            f"{path} is missing. Write into it the names of the classes, one a line: the first "
            "names label 0 of the masks, the second label 1, and so on."
        ) from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error}); save it as UTF-8.") from error
    return text.rstrip().splitlines()


def _colour(text: str | None, where: str) -> Colour | None:
    if text is None:
        return None
    red, green, blue = map(int, re.split(r"[\s,]+", text))
    if max(red, green, blue) > 255:
        raise ValueError(
            f"{where} has the colour {_shown((red, green, blue))}; accepted are red, green and "
            "blue from 0 to 255."
        )
    return red, green, blue


def _shown(colour: Colour) -> str:
    return " ".join(map(str, colour))
