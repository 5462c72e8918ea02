"""The few numbers that figures and words share, over an `Evaluation`'s arrays (NumPy)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from shoal.report.results import Classification, Evaluation, Results

QUANTILE = {0.5: 0.6745, 0.8: 1.2816, 0.9: 1.6449, 0.95: 1.96, 0.99: 2.5758}


def mean(a: np.ndarray, mask: np.ndarray, axis: Any = None) -> np.ndarray:
    """The mean over what the mask lets through, NaN where it lets nothing through."""
    count = mask.sum(axis)
    total = np.where(mask, a, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def rmse(e: Evaluation, prediction: np.ndarray) -> np.ndarray:
    """(H, D) root mean squared errors over the windows."""
    mask = e.y_mask & np.isfinite(prediction)
    return np.sqrt(mean(np.where(mask, prediction - e.y, 0.0) ** 2, mask, 0))


def pooled(per_target: np.ndarray) -> np.ndarray:
    """(H, D) RMSEs → (D,) over all horizons."""
    mask = np.isfinite(per_target)
    return np.sqrt(mean(np.where(mask, per_target, 0.0) ** 2, mask, 0))


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Geometric mean of a/b over targets: 0.8 reads 20 % less."""
    ok = np.isfinite(a) & np.isfinite(b) & (np.asarray(a) > 0) & (np.asarray(b) > 0)
    return float(np.exp(np.log(a[ok] / b[ok]).mean())) if ok.any() else math.nan


def best_baseline(e: Evaluation) -> tuple[str, float] | None:
    """Name of the strongest baseline, and the collective's error divided by its."""
    own = pooled(rmse(e, e.mean))
    ratios = {name: relative(own, pooled(rmse(e, p))) for name, p in e.baselines.items()}
    ratios = {name: r for name, r in ratios.items() if math.isfinite(r)}
    name = max(ratios, key=lambda n: ratios[n], default=None)
    return None if name is None else (name, ratios[name])


def member_row(e: Evaluation | Classification, index: int | None) -> int | None:
    """The row of `members` that holds the member called `index`."""
    if e.members is None or index is None:
        return None
    rows = np.flatnonzero(e.member_indices == index)
    return int(rows[0]) if len(rows) else None


def doubling(e: Evaluation) -> float | None:
    """The lead time at which the error is first twice that of the shortest; None if never."""
    by_horizon = rmse(e, e.mean)
    first = by_horizon[0]
    if len(by_horizon) < 2 or not (np.isfinite(first) & (first > 0)).any():
        return None
    growth = [relative(row, first) for row in by_horizon]
    late = [h for h, g in zip(e.horizons, growth, strict=True) if g >= 2]
    return late[0] if late else None


def bounds(e: Evaluation) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Lower and upper ends of the interval and what to call it; None without any spread."""
    if e.lower is not None and e.upper is not None:
        return e.lower, e.upper, f"{percent(e.level)} interval"
    if e.std is None:
        return None
    half = QUANTILE[0.9] * e.std
    return e.mean - half, e.mean + half, "90 % interval (normal, from the spread)"


def promise(e: Evaluation) -> float:
    """The coverage that `bounds` stands for."""
    return e.level if e.lower is not None and e.upper is not None else 0.9


def inside(e: Evaluation) -> np.ndarray | None:
    """(H, D) share of truths within `bounds`."""
    ends = bounds(e)
    if ends is None:
        return None
    lower, upper, _ = ends
    mask = e.y_mask & ~np.isnan(lower) & ~np.isnan(upper)
    return mean((e.y >= lower) & (e.y <= upper), mask, 0)


def window_range(p: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where 95 % of the shares lie that n independent windows of probability p would show.

    >>> low, high = window_range(0.9, 100)
    >>> round(float(low), 2), round(float(high), 2)
    (0.84, 0.96)
    """
    p = np.asarray(p, float)
    half = 1.96 * np.sqrt(p * (1 - p) / max(n, 1))
    return np.clip(p - half, 0, 1), np.clip(p + half, 0, 1)


def in_keeping(level: float, n: int) -> tuple[float, float]:
    """The coverages that keep the promise of `level` on n windows: within chance, or 3 points.

    >>> low, high = in_keeping(0.9, 29)
    >>> round(low, 2), round(high, 2)
    (0.79, 1.0)
    """
    low, high = window_range(level, n)
    return min(float(low), level - 0.03), max(float(high), level + 0.03)


def normal_cdf(z: Any) -> np.ndarray:
    """Φ(z), elementwise."""
    return np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))), otypes=[float])(z)


def failed(results: Results) -> list[Mapping[str, Any]]:
    """Members that diverged, or have no finite loss."""
    return [m for m in results.members if m.get("status") == "diverged" or _lossless(m)]


def _lossless(member: Mapping[str, Any]) -> bool:
    loss = member.get("best_loss", 0.0)
    return loss is None or (isinstance(loss, (int, float)) and not math.isfinite(loss))


def short(value: Any) -> str:
    """Three significant digits, without an exponent where that reads well.

    >>> short(0.76432), short(1234.5), short(2.0), short(3.2e-7), short(None)
    ('0.764', '1,230', '2', '3.2e-07', '–')
    """
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
        return "–" if value is None else str(value)
    x = float(value)
    if not math.isfinite(x):
        return "–" if math.isnan(x) else ("∞" if x > 0 else "−∞")
    if x and not 1e-3 <= abs(x) < 1e6:
        return f"{x:.3g}"
    rounded = float(f"{x:.3g}")
    text = f"{rounded:,.10g}" if not x.is_integer() else f"{x:,.0f}"
    return text.replace("-", "−")


def even(value: Any) -> str:
    """As `short`, with trailing zeros, for columns.

    >>> even(0.18), even(2.0), even(None)
    ('0.180', '2.00', '–')
    """
    plain = isinstance(value, (float, np.floating)) and 1e-3 <= abs(value) < 100
    return f"{value:#.3g}".replace("-", "−") if plain else short(value)


def percent(share: float) -> str:
    """
    >>> percent(0.9), percent(0.873)
    ('90 %', '87 %')
    """
    return "–" if not math.isfinite(share) else f"{100 * share:.0f} %"


def percent_1(share: float) -> str:
    """
    >>> percent_1(0.9987)
    '99.9 %'
    """
    return f"{100 * share:.1f} %"


def count(n: int, noun: str) -> str:
    """
    >>> count(1, "member"), count(2000, "window")
    ('1 member', '2,000 windows')
    """
    return f"{n:,} {noun}" + ("s" if n != 1 else "")
