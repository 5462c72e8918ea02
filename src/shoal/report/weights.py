"""How much each member counts: on average and row by row, by elapsed time, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Figure
from shoal.report.measures import percent, short

if TYPE_CHECKING:
    from shoal.report.results import Results

MOST = 64  # members in one picture
FREE = ("sum", "linear")  # pools whose weights are coefficients, of either sign
WORDS = {
    "mixture": "The answer is the weighted mean of what the members say",
    "linear": "The answer is a linear combination of what the members say, learned from "
    "predictions of validation data",
    "sum": "The members are parts of one answer, which is their weighted sum: each was trained on "
    "what the stages before it left over",
    "median": "The answer is the weighted median of what the members say",
    "vote": "Every member votes for a class, and the weighted votes are counted",
    "geometric": "The answer is the weighted geometric mean of the members' probabilities",
    "model": "The answer is what a model, learned from predictions of validation data, makes of "
    "what the members say; the weights here only share out the uncertainty",
}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What the members' weights were on held-out data.

    Args:
        kind: the name of the rule.
        values: (m,), or (m, n, ...) where they differ from row to row.
        pool: how the weighted answers become one, as of `shoal.equations.pooling`.
        intercept: what is added to them.
        member_indices: (m,) which member each is; default 0 … m−1.
        elapsed: (t,) elapsed times, and
        by_elapsed: (m, t) the weights there, of rules that go by elapsed time.
        time_unit: of `elapsed`.
        steps: (h,) the steps ahead that are forecast, for weights that differ by step.

    >>> Weights(kind="fixed", values=[0.25, 0.75]).mean
    array([0.25, 0.75])
    """

    kind: str
    values: Any
    pool: str = "mixture"
    intercept: Any = 0.0
    member_indices: Any = None
    elapsed: Any = None
    by_elapsed: Any = None
    time_unit: str = ""
    steps: Any = None
    by_step: Any = None  # (m, h), of `values`

    def __post_init__(self):
        values = np.asarray(self.values, float)
        if values.ndim > 2:
            steps = values.mean(1).reshape(len(values), values.shape[2], -1).mean(-1)
            object.__setattr__(self, "by_step", steps)
            values = values.reshape(*values.shape[:2], -1).mean(-1)
        object.__setattr__(self, "values", values)
        indices = range(len(values)) if self.member_indices is None else self.member_indices
        if len(indices) != len(values):
            raise ValueError(
                f"`member_indices` must have {len(values)} entries, got {len(indices)}"
            )
        object.__setattr__(self, "member_indices", np.asarray(indices))

    @property
    def mean(self) -> np.ndarray:
        """(m,) over the rows."""
        return self.values if self.values.ndim == 1 else self.values.mean(1)

    @property
    def varies(self) -> bool:
        """Whether they differ from row to row."""
        return self.values.ndim == 2 and bool(np.ptp(self.values, axis=1).max() > 1e-12)


def weight_figures(w: Weights | None) -> Iterator[Figure]:
    """The weights, and how they go with elapsed time."""
    if w is None or len(w.mean) < 2:
        return
    yield _bars(w)
    if w.by_elapsed is not None and w.elapsed is not None:
        yield _by_elapsed(w)
    if w.by_step is not None:
        yield _by_step(w)


def stage_losses(results: Results) -> Figure | None:
    """The validation loss of the sum so far, stage after stage; None of crowds that are no sum."""
    w = results.weights
    known = {m.get("index"): m.get("best_loss") for m in results.members}
    if w is None or w.pool != "sum" or len(w.mean) < 2:
        return None
    pairs = [(i, known.get(int(i))) for i in w.member_indices]
    rows = [(f"{i}", float(loss)) for i, loss in pairs if loss is not None and np.isfinite(loss)]
    if len(rows) < 2:
        return None
    names, losses = zip(*rows, strict=True)
    gain = losses[0] - losses[-1]
    said = f"from {short(losses[0])} after the first stage to {short(losses[-1])} after the last"
    return Figure(
        name="stages",
        title="Loss after each stage",
        summary=f"Validation loss of the sum so far, at each stage's best epoch: {said}"
        + (
            ": later stages took something off." if gain > 0 else ": later stages took nothing off."
        ),
        traces=[f.line(np.array(names), losses, "sum so far", f.BLUE, symbol="circle")],
        layout=f.titles("stage (member)", results.loss_name, xaxis_type="category"),
        height=340,
        half=True,
    )


def effective_number(shares: np.ndarray) -> np.ndarray:
    """1/Σ w²: as how many members that count alike, (m, ...) → (...).

    >>> float(effective_number(np.array([0.5, 0.5, 0.0])))
    2.0
    """
    shares = np.abs(shares)
    whole = shares.sum(0)
    return whole**2 / np.maximum((shares**2).sum(0), 1e-300)


def _bars(w: Weights) -> Figure:
    names = [f"{i}" for i in w.member_indices[:MOST]]
    stages = w.pool == "sum"
    bars: dict[str, Any] = {"type": "bar", "x": names, "y": f.axis(w.mean[:MOST])}
    bars |= {"marker": {"color": f.BLUE}, "name": "on average"}
    bars |= {"hovertemplate": "member %{x}: %{y:.3g}<extra></extra>"}
    if w.varies:
        low, high = np.quantile(w.values[:MOST], [0.1, 0.9], axis=1)
        up, down = np.maximum(high - w.mean[:MOST], 0), np.maximum(w.mean[:MOST] - low, 0)
        bars["error_y"] = {"type": "data", "symmetric": False, "color": f.INK, "thickness": 1.4}
        bars["error_y"] |= {"array": f.axis(up), "arrayminus": f.axis(down)}
    level = 1 / len(w.mean)
    ends = [names[0], names[-1]]
    traces = [bars]
    if w.pool not in FREE:
        traces.append(f.line(ends, [level] * 2, "all alike", f.INK, dash="dash", width=1.4))
    axis = "coefficient" if w.pool in FREE else "weight"
    layout = f.titles("stage (member)" if stages else "member", axis, xaxis_type="category")
    return Figure(
        name="weights",
        title="What each stage adds" if stages else "How much each member counts",
        summary=_words(w),
        traces=traces,
        layout=layout | {"bargap": 0.35},
        height=340,
        half=True,
    )


def _words(w: Weights) -> str:
    kind = w.kind.replace("_", " ").replace("pooled", "as the regime left it")
    said = f"Weighting: {kind}. {WORDS.get(w.pool, w.pool)}. "
    if w.pool in FREE:
        total = short(float(w.mean.sum()))
        said += f"The coefficients sum to {total}; {_intercept(w.intercept)} "
        negative = [str(i) for i, c in zip(w.member_indices, w.mean, strict=True) if c < 0]
        noun = "member" if len(negative) == 1 else "members"
        return said + (f"Negative: {noun} {', '.join(negative)}." if negative else "")
    if w.by_step is not None:
        return (
            said + "They differ from step to step of the forecast; bars are means over the steps."
        )
    if not w.varies and np.ptp(w.mean) < 1e-9:
        return said + f"All {len(w.mean)} members count alike."
    silent = int((np.abs(w.mean) < 1e-9).sum())
    each = effective_number(w.values)
    said += f"They amount to {short(float(np.mean(each)))} of {len(w.mean)} members counting alike"
    said += " (1/Σw²)" + (f"; {silent} count nothing." if silent else ".")
    if w.varies:
        shares = np.abs(w.values) / np.abs(w.values).sum(0)
        one = float((shares.max(0) > 0.5).mean())
        said += " Weights differ from row to row: bars are means, whiskers hold the middle 80 % of "
        said += f"the rows; one member has more than half the weight in {percent(one)} of them."
    return said


def _intercept(value: Any) -> str:
    b = np.asarray(value, float).ravel()
    if not b.any():
        return "nothing is added."
    if len(b) == 1:
        return f"{short(float(b[0]))} is added."
    return f"between {short(float(b.min()))} and {short(float(b.max()))} is added to each output."


def _by_step(w: Weights) -> Figure:
    table = np.asarray(w.by_step, float)
    steps = np.arange(1, table.shape[1] + 1) if w.steps is None else np.asarray(w.steps, float)
    styles = [(f.BLUE, "solid", ""), *f.SERIES]
    text = {"hovertemplate": "step %{x:.3g}: %{y:.3g}<extra></extra>"}
    traces = [
        f.line(steps, row, f"member {i}", color, dash=dash, **text)
        for row, i, (color, dash, _) in zip(table, w.member_indices, styles, strict=False)
    ]
    near, far = (int(w.member_indices[table[:, at].argmax()]) for at in (0, -1))
    return Figure(
        name="weights-by-step",
        title="Weights over the horizon",
        summary=f"Of the nearest step member {near} says most, of the farthest member {far}.",
        traces=traces,
        layout=f.titles("steps ahead", "weight")
        | {"yaxis": {"title": {"text": "weight"}, "range": [-0.02, 1.02]}},
        height=340,
        half=True,
    )


def _by_elapsed(w: Weights) -> Figure:
    elapsed, table = np.asarray(w.elapsed, float), np.asarray(w.by_elapsed, float)
    styles = [(f.BLUE, "solid", ""), *f.SERIES]
    text = {"hovertemplate": "after %{x:.3g}: %{y:.3g}<extra></extra>"}
    traces = [
        f.line(elapsed, row, f"member {i}", color, dash=dash, **text)
        for row, i, (color, dash, _) in zip(table, w.member_indices, styles, strict=False)
    ]
    first, last = (int(w.member_indices[table[:, at].argmax()]) for at in (0, -1))
    unit = f" [{w.time_unit}s]" if w.time_unit else ""
    lead = f"Shortly after an observation member {first} counts most"
    lead += f", long after it member {last}." if first != last else ", and long after it too."
    if len(table) > len(traces):
        lead += f" The first {len(traces)} of {len(table)} members are drawn."
    return Figure(
        name="weights-by-elapsed-time",
        title="Weights over elapsed time",
        summary=lead,
        traces=traces,
        layout=f.titles(f"time since the observation before{unit}", "weight")
        | {"yaxis": {"title": {"text": "weight"}, "range": [-0.02, 1.02]}},
        height=340,
        half=True,
    )
