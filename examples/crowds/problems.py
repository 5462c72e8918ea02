"""The data sets of the study, all shipped inside scikit-learn or statsmodels, and their splits.

    diabetes        442 patients, 10 measurements; progression a year later           scikit-learn
    star98          303 Californian counties, 20 figures; share above the median      statsmodels
    breast_cancer   569 tumours, 30 measurements; benign or not                       scikit-learn
    digits          1797 pictures of 8 × 8; which digit                               scikit-learn
    co2             weekly CO2 at Mauna Loa, two of five observations kept at random  statsmodels

Rows of a table are split at random, a series by rolling origins. Scaling is that of the training
rows, of the targets too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

SHARES = {"train": 0.55, "valid": 0.15, "calibration": 0.1, "test": 0.2}
OBSERVED, STEPS_AHEAD = 12, 8
COUNTS = {"train": 800, "valid": 150, "calibration": 150, "test": 150}


@dataclass(frozen=True)
class Block:
    """Rows of one split: x (rows, ...), timespans (rows, time) of a series, y."""

    x: np.ndarray
    y: np.ndarray
    timespans: Any = None
    mask: None = None

    def part(self, start: int, end: int) -> Block:
        return Block(self.x[start:end], self.y[start:end], self.timespans[start:end])


class Split(NamedTuple):
    """Scaled blocks by name, and the way back: y · spread + centre; of classes neither."""

    blocks: dict[str, Block]
    centre: float = 0.0
    spread: float = 1.0


def diabetes(seed: int) -> Split:
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return _rows(x, y, seed)


def star98(seed: int) -> Split:
    from statsmodels.datasets import star98

    data = star98.load_pandas()
    above, below = data.endog.to_numpy(float).T
    return _rows(data.exog.to_numpy(float), 100 * above / (above + below), seed)


def breast_cancer(seed: int) -> Split:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return _rows(x, y.astype(np.int32), seed)


def digits(seed: int) -> Split:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return _rows(x / 16, y.astype(np.int32), seed, scale=False)


def co2(seed: int) -> Split:
    """The change from the last value to one of the next eight observations, asked at its time.

    A sample is twelve observations (value less the last one, the season as sine and cosine) and a
    last step at the time that is asked for, with its season alone. Elapsed times are in weeks; that
    of the last step is how far ahead the forecast looks. Origin and thinning follow from the seed.
    """
    from statsmodels.datasets import co2

    series = co2.load_pandas().data["co2"].dropna()
    rng = np.random.default_rng(seed)
    series = series[rng.random(len(series)) < 0.4]
    weeks = (series.index - series.index[0]).days.to_numpy() / 7.0
    values, total = series.to_numpy(float), sum(COUNTS.values())
    block = _windows(values, weeks, rng)
    first = round((len(block.x) - total) * rng.random())
    ends = np.cumsum([first, *COUNTS.values()])
    parts = {}
    for name, start, end in zip(COUNTS, ends[:-1], ends[1:], strict=True):
        gap = 0 if name == "train" else 2 * STEPS_AHEAD  # no target of one block in the one before
        parts[name] = block.part(start + gap, end)
    spread = float(parts["train"].y.std())
    return Split({name: _scaled_series(part, spread) for name, part in parts.items()}, 0.0, spread)


PROBLEMS = {f.__name__: f for f in (diabetes, star98, breast_cancer, digits, co2)}


def _rows(x: np.ndarray, y: np.ndarray, seed: int, scale: bool = True) -> Split:
    """Shuffled, divided, scaled by the training rows."""
    order = np.random.default_rng(seed).permutation(len(x))
    ends = np.round(np.cumsum([0.0, *SHARES.values()]) * len(x)).astype(int)
    rows = {n: order[a:b] for n, a, b in zip(SHARES, ends[:-1], ends[1:], strict=True)}
    own = x[rows["train"]]
    middle, width = own.mean(0), np.where(own.std(0) > 0, own.std(0), 1.0)
    if scale:
        x = (x - middle) / width
    centre, spread = 0.0, 1.0
    if y.dtype.kind == "f":
        centre, spread = float(y[rows["train"]].mean()), float(y[rows["train"]].std())
        y = ((y - centre) / spread).astype(np.float32)[:, None]
    x = x.astype(np.float32)
    return Split({name: Block(x[own], y[own]) for name, own in rows.items()}, centre, spread)


def _windows(values: np.ndarray, weeks: np.ndarray, rng: np.random.Generator) -> Block:
    """Two samples for every origin, with targets one to eight observations ahead."""
    season = np.stack([np.sin(2 * np.pi * weeks / 52.18), np.cos(2 * np.pi * weeks / 52.18)], 1)
    x, y, gaps = [], [], []
    for last in range(OBSERVED - 1, len(values) - STEPS_AHEAD):
        seen = np.arange(last - OBSERVED + 1, last + 1)
        for ahead in rng.choice(STEPS_AHEAD, 2, replace=False) + 1:
            asked = np.concatenate([[0.0], season[last + ahead]])
            told = np.concatenate([(values[seen] - values[last])[:, None], season[seen]], 1)
            x.append(np.concatenate([told, asked[None]]))
            y.append([values[last + ahead] - values[last]])
            steps = np.append(np.diff(weeks[seen], prepend=weeks[seen[0]] - 2.5), 0.0)
            steps[-1] = weeks[last + ahead] - weeks[last]
            gaps.append(steps)
    return Block(*(np.asarray(a, np.float32) for a in (x, y, gaps)))


def _scaled_series(block: Block, spread: float) -> Block:
    x = block.x.copy()
    x[..., 0] /= spread
    return replace(block, x=x, y=block.y / spread)
