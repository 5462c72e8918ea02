"""Elapsed time as a member sees it: raw, or brought to a scale of its own.

    raw          Δt
    log          ln(1 + Δt/mean)
    normalised   Δt/mean
    zscore       (Δt − mean)/std               below zero at times: for neurons that allow it
    bounded      Δt/(Δt + mean)                in [0, 1), ½ at the mean

mean and std are those of the training data's elapsed times.
"""

from __future__ import annotations

KINDS = ("raw", "log", "normalised", "zscore", "bounded")


def scaled(xp, timespans, kind, mean, std):
    """The elapsed times on the scale number `kind` of `KINDS`, all of them arrays of one type.

    >>> import numpy as np
    >>> scaled(np, np.array([1.0, 4.0]), np.array(2), np.array(2.0), np.array(1.0))
    array([0.5, 2. ])
    """
    share = timespans / mean
    others = (xp.log1p(share), share, (timespans - mean) / std, timespans / (timespans + mean))
    seen = timespans
    for number, other in enumerate(others, 1):
        seen = xp.where(kind == number, other, seen)
    return seen


def check(kind: str, neuron: str, signed_time: bool) -> None:
    """Raises a ValueError for an unknown scale, or one that a kind of neuron cannot take."""
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}; got {kind!r}.")
    if kind == "zscore" and not signed_time:
        raise ValueError(
            f"`time_scaling` zscore gives elapsed times below 0, which {neuron!r} cannot take; use "
            "normalised."
        )
