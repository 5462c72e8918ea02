"""Is the PIT uniform: the histogram, and the Kolmogorov-Smirnov distance from uniform.

If forecasts are honest, u = F(y) is uniform on [0, 1] (Dawid 1984; Diebold, Gunther & Tay 1998).
Heaps at both ends: too narrow; in the middle: too wide; to one side: biased.

    D = max |share of u at most t − t|,     P(D > d) ≈ 2 Σ_j (−1)^(j−1) exp(−2 j² λ²),
    λ = (√n + 0.12 + 0.11/√n) d                                             (Stephens 1970)

good to 0.02, and to 0.003 where it is below 0.2, from 5 values on. The p-value is for independent
rows: windows that overlap are not, and make it far too small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shoal.score.points import observed


class Uniformity(NamedTuple):
    """How far from uniform.

    Attributes:
        distance: D, between 0 and 1.
        p_value: how often so great a distance comes by chance, of independent rows.
        count: how many values there were.
    """

    distance: float
    p_value: float
    count: int


def pit_uniformity(u, y=None, mask=None) -> Uniformity:
    """The Kolmogorov-Smirnov test of PIT values against the uniform distribution.

    Args:
        u: PIT values in [0, 1], of any shape.
        y, mask: the truth of that shape: where it was not observed, nothing counts. Optional.

    Raises:
        ValueError: a value lies outside [0, 1], or there is none.

    >>> found = pit_uniformity([0.1, 0.3, 0.5, 0.7, 0.9])
    >>> round(found.distance, 4), round(found.p_value, 4)
    (0.1, 1.0)
    """
    u = np.sort(_values(u, y, mask))
    n = len(u)
    if not n:
        raise ValueError("no truth was observed: there is no PIT to test")
    rank = np.arange(1, n + 1)
    distance = float(max((rank / n - u).max(), (u - (rank - 1) / n).max()))
    return Uniformity(distance, _kolmogorov((n**0.5 + 0.12 + 0.11 / n**0.5) * distance), n)


def pit_histogram(u, bins: int = 10, y=None, mask=None) -> dict[str, list]:
    """Columns `low`, `high`, `count`, `density` of equal bins; density 1 is uniform.

    >>> pit_histogram([0.1, 0.2, 0.9, 1.0], 2)["density"]
    [1.0, 1.0]
    """
    u = _values(u, y, mask)
    count, edges = np.histogram(u, bins, (0.0, 1.0))
    return {
        "low": edges[:-1].tolist(),
        "high": edges[1:].tolist(),
        "count": count.tolist(),
        "density": (count * bins / max(len(u), 1)).tolist(),
    }


def _values(u, y, mask) -> np.ndarray:
    u = np.asarray(u, float)
    seen = observed(np.zeros_like(u) if y is None else y, mask)
    if seen.shape != u.shape:
        raise ValueError(f"`y` must have the PIT values' shape {u.shape}, got {seen.shape}")
    u = u[seen]
    if not ((u >= 0) & (u <= 1)).all():
        raise ValueError("PIT values must lie between 0 and 1")
    return u


def _kolmogorov(x: float) -> float:
    """P(K > x) of the Kolmogorov distribution."""
    if x < 0.2:  # 1 to 12 digits, and the series is slow
        return 1.0
    j = np.arange(1, 101)
    return float(np.clip(2.0 * ((-1.0) ** (j - 1) * np.exp(-2.0 * (j * x) ** 2)).sum(), 0.0, 1.0))
