"""What a member may answer: a plain array (a point), a normal distribution, or class logits.

The type of the answer says what it is, so that losses, weightings and collectives need no flags.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Normal(NamedTuple):
    """An independent normal distribution for every output; `std` > 0, both of one shape."""

    mean: Any
    std: Any


class Categorical(NamedTuple):
    """Unnormalised log-probabilities over classes on the last axis."""

    logits: Any
