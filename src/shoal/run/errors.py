"""Refusals: what was asked cannot be done, and the asker can mend it.

Everything else that goes wrong is our own mistake and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches


class Refused(ValueError):
    """One or more problems, each a line that names the place, what was found and the remedy.

    >>> str(Refused(["a.yaml:3: seed: must be an integer", "a.yaml:7: unknown key"]))
    'a.yaml:3: seed: must be an integer\\na.yaml:7: unknown key'
    """

    def __init__(self, problems: str | Sequence[str]):
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class Fruitless(Refused):
    """A training that came to nothing: what it left is of no use to anybody."""


class Interrupted(Exception):
    """The run was asked to stop and has saved itself; `signal` is the number that asked."""

    def __init__(self, folder: object, signal: int, epoch: int):
        self.folder, self.signal, self.epoch = folder, signal, epoch
        super().__init__(f"stopped after epoch {epoch}; go on with: shoal train --resume {folder}")


@contextmanager
def refusing(place: str) -> Iterator[None]:
    """What a lower layer refuses by `ValueError` or `OSError` is refused at `place`.

    >>> with refusing("co2.csv"):
    ...     raise ValueError("row 7, column 'co2': infinite; remove the row")
    Traceback (most recent call last):
    ...
    shoal.run.errors.Refused: co2.csv: row 7, column 'co2': infinite; remove the row
    """
    try:
        yield
    except Refused:
        raise
    except (ValueError, OSError) as error:
        named = "/" in place and place in str(error)
        placed = named or getattr(error, "path", None) is not None
        raise Refused(str(error) if placed else f"{place}: {error}") from error


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice spelt most like `word`, or None when nothing is close.

    >>> nearest("epocs", ["epochs", "seed"])
    'epochs'
    """
    lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def suggestion(word: str, choices: Sequence[str]) -> str:
    """The end of a message: the nearest choice, or all of them when nothing is close."""
    best = nearest(word, choices)
    if best is not None:
        return f"did you mean `{best}`?"
    return "choose from " + ", ".join(f"`{choice}`" for choice in choices)
