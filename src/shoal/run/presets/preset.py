"""What a preset is: a template, and what it makes of the columns that were found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shoal.run.template import Guess, render


def _as_it_is(guess: Guess) -> Guess:
    return guess


@dataclass(frozen=True)
class Preset:
    """A commented configuration, ready to be trained.

    Args:
        template: the text, with the places of `shoal.run.template`.
        adapt: the guess as this preset needs it; by default as it is.
    """

    template: str
    adapt: Callable[[Guess], Guess] = _as_it_is

    def render(self, guess: Guess) -> str:
        """The configuration as text."""
        return render(self.adapt(guess), template=self.template)
