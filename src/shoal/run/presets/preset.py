"""What a preset is: a template, and what it makes of the columns that were found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shoal.run.template import Guess, render


@dataclass(frozen=True)
class Preset:
    """A commented configuration, ready to be trained.

    Args:
        template: the text, with the places of `shoal.run.template`.
        adapt: the guess as this preset needs it.
    """

    template: str
    adapt: Callable[[Guess], Guess]

    def render(self, guess: Guess) -> str:
        """The configuration as text."""
        return render(self.adapt(guess), template=self.template)
