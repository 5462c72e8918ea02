"""The top of the page: what was learned and how sure it is, in plain words and a few numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shoal.report import measures as q
from shoal.report.classes import accuracy, calibration_error
from shoal.report.figure import listing
from shoal.report.forecast import lead
from shoal.report.measures import count, percent, percent_1, short
from shoal.report.results import Classification, Evaluation, Results


@dataclass(frozen=True)
class Tile:
    """A number to remember, and whether it is good news."""

    label: str
    value: str
    verdict: str
    good: bool = True
    unit: str = ""


def sentences(results: Results) -> list[str]:
    """Two or three sentences that sum the run up."""
    e = results.evaluation
    said = [_learned(results)]
    if isinstance(e, Classification) and len(e.labels):
        said.append(_class_quality(e))
    elif isinstance(e, Evaluation) and e.y_mask.any():
        said += [s for s in (_quality(e), _trust(e)) if s]
    elif results.best_index is not None:
        best = next((m for m in results.members if m.get("index") == results.best_index), {})
        said.append(
            f"The lowest {results.loss_name} on validation data is {short(best.get('best_loss'))}."
        )
    return said


def tiles(results: Results) -> list[Tile]:
    """Up to four numbers."""
    e, out = results.evaluation, []
    if isinstance(e, Classification) and len(e.labels):
        ece = calibration_error(e)
        out.append(
            Tile(
                "held-out accuracy",
                percent_1(accuracy(e.probabilities, e.labels)),
                f"on {count(len(e.labels), 'row')}",
            )
        )
        verdict = "says how sure it is honestly" if ece < 0.05 else "its probabilities are off"
        out.append(Tile("calibration error", short(ece), verdict, ece < 0.05))
    elif isinstance(e, Evaluation) and e.y_mask.any():
        out += [t for t in (_error_tile(e), _coverage_tile(e)) if t]
    out += [t for t in (_crowd_tile(results), _member_tile(results)) if t]
    return out


def _learned(results: Results) -> str:
    e, number = results.evaluation, len(results.members) or results.metadata.get("n_models")
    kind = str(results.config.get("model", {}).get("kind", "")) if results.config else ""
    kind = {"cfc": "CfC", "ctrnn": "CT-RNN", "ctgru": "CT-GRU"}.get(kind, kind.upper())
    noun = f"{kind} network" if kind else "network"
    crowd = f"{count(int(number), noun)}" if number else "A crowd of networks"
    if isinstance(e, Classification):
        return f"{crowd} learned to tell {len(e.class_names)} classes apart."
    if not isinstance(e, Evaluation):
        return f"{crowd} trained." if number else "A training run."
    names = list(e.target_names)
    what = listing(names) if len(names) <= 4 else f"{len(names)} targets"
    if results.task == "forecast" or e.y.shape[1] > 1:
        far = lead(e, e.y.shape[1] - 1)
        return f"{crowd} learned to forecast {what} up to {far} ahead."
    return f"{crowd} learned to predict {what}."


def _quality(e: Evaluation) -> str:
    best = q.best_baseline(e)
    held = f"On {count(len(e.y), 'held-out window' if e.y.shape[1] > 1 else 'held-out row')}"
    if best is None:
        return f"{held} the typical error (RMSE) is {_error_words(e)}."
    change = 1 - best[1]
    if abs(change) < 0.02:
        how = f"the same as that of the best simple method, {best[0]}"
    else:
        how = (
            f"{percent(abs(change))} {'smaller' if change > 0 else 'larger'} than that of the best"
        )
        how += f" simple method, {best[0]}"
    return f"{held} the typical error (RMSE) is {_error_words(e)}: {how}."


def _error_words(e: Evaluation) -> str:
    own = q.pooled(q.rmse(e, e.mean))
    return listing(
        f"{short(v)}{' ' + u if u else ''}" + (f" for {n}" if len(own) > 1 else "")
        for v, u, n in list(zip(own, e.target_units, e.target_names, strict=True))[:3]
    )


def _coverage(e: Evaluation) -> tuple[float, float, float] | None:
    """Found share, and the range that is in keeping with the promise."""
    shares = q.inside(e)
    if shares is None or not np.isfinite(shares).any():
        return None
    return float(np.nanmean(shares)), *q.in_keeping(q.promise(e), len(e.y))


def _trust(e: Evaluation) -> str:
    found = _coverage(e)
    if found is None:
        return ""
    share, low, high = found
    said = f"Its {percent(q.promise(e))} intervals held the truth {percent(share)} of the time: "
    if share < low:
        return said + "it is surer than it should be."
    return said + (
        "it is more careful than it needs to be." if share > high else "it knows how sure it is."
    )


def _class_quality(c: Classification) -> str:
    share = accuracy(c.probabilities, c.labels)
    common = np.bincount(c.labels, minlength=len(c.class_names)).max() / len(c.labels)
    return (
        f"On {count(len(c.labels), 'held-out row')} it is right {percent_1(share)} of the time; "
        f"always naming the most common class would be right {percent_1(float(common))}."
    )


def _error_tile(e: Evaluation) -> Tile:
    own, best = q.pooled(q.rmse(e, e.mean)), q.best_baseline(e)
    label = "error (RMSE)" + (", all lead times" if e.y.shape[1] > 1 else "")
    label += f", {e.target_names[0]}" if len(own) > 1 and len(e.target_names[0]) < 20 else ""
    if best is None:
        return Tile(
            label, short(own[0]), f"on {count(len(e.y), 'held-out window')}", unit=e.target_units[0]
        )
    verdict = f"{percent(abs(1 - best[1]))} {'below' if best[1] <= 1 else 'above'} {best[0]}"
    return Tile(label, short(own[0]), verdict, best[1] <= 1, e.target_units[0])


def _coverage_tile(e: Evaluation) -> Tile | None:
    found = _coverage(e)
    if found is None:
        return None
    share, low, high = found
    verdict = "too narrow" if share < low else "too wide" if share > high else "keeps its promise"
    good = low <= share <= high
    return Tile(
        f"truths inside the {percent(q.promise(e))} interval", percent(share), verdict, good
    )


def _crowd_tile(results: Results) -> Tile | None:
    """The collective beside its best member, on the same held-out data."""
    e = results.evaluation
    row = q.member_row(e, results.best_index) if e is not None else None
    if row is None or e is None or len(e.members) < 2:
        return None
    if isinstance(e, Classification):
        gain = accuracy(e.probabilities, e.labels) - accuracy(e.members[row], e.labels)
        verdict = "the crowd is worth it" if gain > 0 else "the best member does as well"
        return Tile(
            "accuracy beside the best member", f"{100 * gain:+.1f}", verdict, gain >= 0, "points"
        )
    ratio = q.relative(q.pooled(q.rmse(e, e.mean)), q.pooled(q.rmse(e, e.members[row])))
    if not math.isfinite(ratio):
        return None
    text = f"{100 * (ratio - 1):+.0f} %".replace("-", "−")
    verdict = "the crowd beats its best member" if ratio < 0.995 else "the best member does as well"
    return Tile("error beside the best member", text, verdict, ratio <= 1.005)


def _member_tile(results: Results) -> Tile | None:
    if not results.members:
        return None
    lost, stopped = q.failed(results), [m for m in results.members if m.get("status") == "stopped"]
    good = len(results.members) - len(lost)
    bits = [f"{len(lost)} failed"] if lost else []
    bits += [f"{len(stopped)} stopped as hopeless"] if stopped else []
    verdict = listing(bits) if bits else "none failed"
    return Tile("members that count", f"{good}", verdict, not lost, f"of {len(results.members)}")
