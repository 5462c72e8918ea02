"""What the page about a number that was found is made from: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RateCurve:
    """Losses while the learning rate grew.

    Args:
        rates: (steps,).
        losses: (members, steps), smoothed; infinite where they were lost.
        median: (steps,).
        suggestion: the rate to train with, None for none.
        minimum: the step at which the median is least.
    """

    rates: np.ndarray
    losses: np.ndarray
    median: np.ndarray
    suggestion: float | None
    minimum: int


@dataclass(frozen=True)
class SizeTable:
    """What batches of each size cost; None where a size did not run, or nobody knows.

    Args:
        sizes: growing.
        speeds: rows a second.
        megabytes: that the program needs on a device.
        suggestion: the size to train with.
    """

    sizes: Sequence[int]
    speeds: Sequence[float | None]
    megabytes: Sequence[float | None]
    suggestion: int


@dataclass(frozen=True)
class ScaleTable:
    """Members' losses with each time scaling.

    Args:
        kinds: of scales.
        losses: by kind, of every member; NaN where it diverged.
        suggestion: the scale to train with.
    """

    kinds: Sequence[str]
    losses: Sequence[np.ndarray]
    suggestion: str


@dataclass(frozen=True)
class Finding:
    """A number that was found.

    Args:
        name: of the configuration.
        what: was looked for, in words.
        sentences: what was found, and why.
        paste: the line for the configuration and the option; empty where nothing was found.
        seen: what was measured.
        caption, rows: of the table.
        about: the facts of the measurement.
    """

    name: str
    what: str
    sentences: Sequence[str]
    seen: RateCurve | SizeTable | ScaleTable
    paste: Sequence[str] = ()
    caption: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def render_found(finding: Finding) -> str:
    """The page as one HTML file that needs no network.

    >>> seen = SizeTable([16, 32], [900.0, None], [1.5, 2.5], 16)
    >>> page = render_found(Finding("co2", "batch size", ["16 is it."], seen))
    >>> page.startswith("<!DOCTYPE html>"), "16 is it." in page
    (True, True)
    """
    from shoal.report.find_page import page

    return page(finding)
