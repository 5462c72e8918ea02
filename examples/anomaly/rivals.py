"""Detectors without a neural network; each learns from the months before the test years.

climatology         |y − mean of that month of the year| / its std
seasonal naive      |y(t) − y(t − 12)| / std of such differences
differences         |Δy − median| / (1.4826 · median absolute deviation)
isolation forest    of windows of twelve months, by scikit-learn
"""

from __future__ import annotations

import numpy as np

YEAR = 12


def climatology(y: np.ndarray, known: int) -> np.ndarray:
    """(n,) by the first `known` months, whole years from January on."""
    years = y[:known].reshape(-1, YEAR)
    month = np.arange(len(y)) % YEAR
    return np.abs(y - years.mean(0)[month]) / years.std(0)[month]


def seasonal_naive(y: np.ndarray, known: int) -> np.ndarray:
    change = np.r_[np.full(YEAR, np.nan), y[YEAR:] - y[:-YEAR]]
    return np.abs(change) / np.nanstd(change[:known])


def differences(y: np.ndarray, known: int) -> np.ndarray:
    change = np.r_[np.nan, np.diff(y)]
    middle = np.nanmedian(change[:known])
    return np.abs(change - middle) / (1.4826 * np.nanmedian(np.abs(change[:known] - middle)))


def isolation_forest(y: np.ndarray, known: int, seed: int = 0) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    windows = np.lib.stride_tricks.sliding_window_view(y, YEAR)
    forest = IsolationForest(n_estimators=200, random_state=seed)
    forest.fit(windows[: known - YEAR + 1])
    return np.r_[np.full(YEAR - 1, np.nan), -forest.score_samples(windows)]


RIVALS = {
    "climatology": climatology,
    "seasonal naive": seasonal_naive,
    "differences": differences,
    "isolation forest": isolation_forest,
}
