"""What is strange about the series: the El Niños that were there, and faults that are planted.

Faults stand at random places of the test years, six months and more from each other and from the
El Niños:

    season   twelve months are those of half a year later
    shift    ten months lie 1.5 °C too high, or too low
    flat     eight months repeat the one before them
    spike    six single months lie 1.5 to 2.5 °C off
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).with_name("sst_monthly.csv")
TEST_FROM = "1972-01"
EL_NINOS = (("1972-05", "1973-03"), ("1982-05", "1983-06"), ("1997-05", "1998-04"))
KINDS = ("El Niño", "season", "shift", "flat", "spike")
APART = 6  # months


def series() -> tuple[np.ndarray, np.ndarray]:
    """(n,) the months as "YYYY-MM", and their temperatures."""
    table = pd.read_csv(DATA)
    return table["month"].str[:7].to_numpy(str), table["sst"].to_numpy(float)


def el_ninos(months: np.ndarray) -> np.ndarray:
    """(n,) whether a month belongs to a very strong El Niño."""
    return np.any([(begin <= months) & (months <= end) for begin, end in EL_NINOS], axis=0)


def planted(months: np.ndarray, sst: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the series with faults, and of what kind each month is; "" is ordinary."""
    random = np.random.default_rng(seed)
    y, kinds = sst.copy(), np.where(el_ninos(months), "El Niño", "").astype("U8")
    free = _Free(months, kinds != "", random)
    rows = free.take(12)
    y[rows], kinds[rows] = sst[rows + 6], "season"
    rows = free.take(10)
    y[rows] += 1.5 * random.choice([-1, 1])
    kinds[rows] = "shift"
    rows = free.take(8)
    y[rows], kinds[rows] = y[rows[0] - 1], "flat"
    for _ in range(6):
        rows = free.take(1)
        y[rows] += random.choice([-1, 1]) * random.uniform(1.5, 2.5)
        kinds[rows] = "spike"
    return y, kinds


class _Free:
    """Stretches of the test years that nothing stands in, or near."""

    def __init__(self, months: np.ndarray, taken: np.ndarray, random: np.random.Generator):
        self.taken, self.random = taken.copy(), random
        for row in np.flatnonzero(taken):
            self.taken[max(row - APART, 0) : row + APART + 1] = True
        self.first = int(np.flatnonzero(months == TEST_FROM)[0]) + 12
        self.last = len(months) - APART

    def take(self, length: int) -> np.ndarray:
        """The rows of such a stretch, which is taken from now on."""
        starts = range(self.first, self.last - length)
        starts = [s for s in starts if not self.taken[s : s + length].any()]
        start = int(self.random.choice(starts))
        self.taken[max(start - APART, 0) : start + length + APART] = True
        return start + np.arange(length)
