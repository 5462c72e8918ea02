"""Where not to trust a result: nothing is said that the data do not show."""

from __future__ import annotations

import numpy as np

from shoal.report import measures as q
from shoal.report.classes import calibration_error
from shoal.report.forecast import lead
from shoal.report.measures import percent, percent_1
from shoal.report.results import Classification, Evaluation, Results


def cautions(results: Results) -> list[str]:
    """Sentences for the box at the top; empty if there is nothing to warn of."""
    e, out = results.evaluation, list(map(str, results.notes))
    for m in q.failed(results):
        seed = f" (seed {m['seed']})" if "seed" in m else ""
        why = str(m.get("reason") or "").rstrip(".")
        text = f"Member {m.get('index')}{seed} failed{': ' + why if why else ''}"
        out.append(f"{text}; it counts for nothing in the collective.")
    if isinstance(e, Evaluation) and e.y_mask.any():
        out += _forecast_cautions(e, results)
    if isinstance(e, Classification) and len(e.labels):
        out += _class_cautions(e)
    if results.calibration_note:
        out.append(results.calibration_note)
    return out


def _forecast_cautions(e: Evaluation, results: Results) -> list[str]:
    out, twice, shares = [], q.doubling(e), q.inside(e)
    if twice is not None:
        at = list(e.horizons).index(twice)
        out.append(
            f"From {lead(e, at)} on, the error is more than twice that of the shortest lead time."
        )
    if shares is not None and np.isfinite(shares).any() and shares.size > 1:
        h, d = np.unravel_index(np.nanargmin(shares), shares.shape)
        low, _ = q.window_range(q.promise(e), len(e.y))
        if shares[h, d] < low:
            of = f" for {e.target_names[int(d)]}" if shares.shape[1] > 1 else ""
            where = f"{of} at {lead(e, int(h))}" if shares.shape[0] > 1 else of
            out.append(
                f"The {percent(q.promise(e))} interval is too narrow{where}: "
                f"it held {percent(shares[h, d])}."
            )
    row = q.member_row(e, results.best_index)
    if row is not None and len(e.members) > 1:
        ratio = q.relative(q.pooled(q.rmse(e, e.mean)), q.pooled(q.rmse(e, e.members[row])))
        if ratio > 1.005:
            out.append(
                f"Member {results.best_index} alone is {percent(ratio - 1)} better than the "
                "collective here."
            )
    best = q.best_baseline(e)
    if best and best[1] > 1:
        out.append(
            f"The simple method {best[0]} does better: use that, or look for what the "
            "networks miss."
        )
    return out


def _class_cautions(c: Classification) -> list[str]:
    hit = c.probabilities.argmax(1) == c.labels
    rates = {
        name: hit[c.labels == k].mean()
        for k, name in enumerate(c.class_names)
        if (c.labels == k).any()
    }
    worst = min(rates, key=lambda n: rates[n])
    out = []
    if rates[worst] < hit.mean() - 0.03:
        out.append(
            f"It is weakest on {worst}: {percent_1(float(rates[worst]))} of those rows are right."
        )
    error = calibration_error(c)
    if error >= 0.05:
        gap = c.probabilities.max(1).mean() - hit.mean()
        how = f"{'surer' if gap > 0 else 'less sure'} than it should be, by {percent(abs(gap))}"
        if abs(gap) < 0.01:
            how = f"too sure in some places and too modest in others, by {percent(error)}"
        out.append(f"It is {how} on average.")
    return out
