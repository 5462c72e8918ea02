"""Who of a crowd stays, who goes, who trains on, and how many join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shoal.run.errors import Refused

Whom = str | int | Sequence[int] | bool | None


@dataclass(frozen=True)
class Roster:
    """What is asked of the members, by their places in the crowd.

    Args:
        size: how many there are.
        added: how many join.
        replaced: whose places are given to new ones; None for the worst on the new data.
        retrained: who trains on.
    """

    size: int
    added: int = 0
    replaced: tuple[int, ...] | None = ()
    retrained: tuple[int, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether anybody does."""
        return bool(self.added or self.newcomers or self.retrained)

    @property
    def newcomers(self) -> int:
        """How many of the new ones take a place of an old one."""
        return 1 if self.replaced is None else len(self.replaced)

    def settled(self, losses: np.ndarray) -> Roster:
        """The roster with "worst" as the member of the largest loss, (members,)."""
        if self.replaced is not None:
            return self
        worst = int(np.argmax(np.where(np.isfinite(losses), losses, np.inf)))
        trained = tuple(place for place in self.retrained if place != worst)
        return Roster(self.size, self.added, (worst,), trained)


def roster_of(
    numbers: Sequence[int], add: int | None = None, replace: Whom = None, retrain: Whom = None
) -> Roster:
    """What is asked, in places.

    Args:
        numbers: what the members are called.
        add: how many join, at least 1.
        replace: "worst", or the members' numbers: 2, [0, 2] or "0,2".
        retrain: True or "all", or the members' numbers.

    Raises:
        Refused: a number below 1, a member that does not exist or is named twice.

    >>> roster_of([0, 1, 3], add=1, replace="worst", retrain=[3])
    Roster(size=3, added=1, replaced=None, retrained=(2,))
    """
    if add is not None and (isinstance(add, bool) or not isinstance(add, int) or add < 1):
        raise Refused(f"add: must be a whole number from 1, found {add!r}")
    size, worst = len(numbers), replace == "worst"
    gone = () if worst else _places(numbers, replace, "replace", "worst")
    everyone = retrain is True or retrain == "all"
    trained = tuple(range(size)) if everyone else _places(numbers, retrain, "retrain", "all")
    both = sorted(set(gone) & set(trained))
    if both and not everyone:
        raise Refused(f"retrain: member {numbers[both[0]]} is to be replaced; name it once")
    trained = tuple(place for place in trained if place not in gone)
    return Roster(size, add or 0, None if worst else gone, trained)


def _places(numbers: Sequence[int], whom: Whom, name: str, word: str) -> tuple[int, ...]:
    if whom is None or whom is False:
        return ()
    asked = [whom] if isinstance(whom, str | int) else list(whom)
    parts = [
        one for part in asked for one in (part.split(",") if isinstance(part, str) else [part])
    ]
    shown = ", ".join(map(str, numbers))
    places: list[int] = []
    for part in parts:
        text = str(part).strip()
        if not text.isdigit() or int(text) not in numbers:
            raise Refused(f"{name}: there is no member {text!r}; name {word}, or of {shown}")
        places.append(list(numbers).index(int(text)))
    twice = [place for i, place in enumerate(places) if place in places[:i]]
    if twice:
        raise Refused(f"{name}: member {numbers[twice[0]]} is named twice; name it once")
    return tuple(places)
