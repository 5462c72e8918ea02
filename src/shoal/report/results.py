"""What a report is made of: plain data that a training run, or anybody else, fills in.

Nothing here depends on JAX or on the objects of a run: arrays are NumPy, the rest is what JSON
knows. Every part but the name may be missing; the page leaves out what it has no data for.

Axes: n held-out windows (or rows), H horizons, D targets, m members, K classes, L levels,
W past observations, E epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from shoal.report.weights import Weights

Task = Literal["forecast", "regression", "classification"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Predictions of real numbers for data that training never saw, in the targets' own units.

    Args:
        y: the truth, (n, H, D); a regression's (n, D) is read as (n, 1, D). NaN where unknown.
        mean: the collective's prediction, as `y`.
        y_mask: bool as `y`, False where there is no truth; default: where `y` is finite.
        std: the collective's total standard deviation, as `y`.
        aleatoric, epistemic: its two parts, standard deviations as `y`.
        members: every member's prediction, (m, n, H, D).
        member_indices: (m,) which member each row of `members` is; default 0 … m−1.
        lower, upper: the interval at `level`, as `y`.
        level: what that interval promises; 0.9.
        levels: (L,) promised coverages, and
        coverage: (L,) or (L, H), the share of truths that fell inside.
        raw_coverage: (L,) the same of the members' own intervals, before anything was calibrated.
        pit: probability integral transforms as `y`; default: from `mean` and `std` as a normal.
        target_names: D names.
        target_units: D units, "" where unknown.
        horizons: (H,) lead times in `time_unit`; default 1 … H.
        time_unit: what one unit of lead time is called, as "week"; default "step".
        origins: (n,) time of the last observation, datetime64 or numbers.
        times: (n, H) time of each target.
        past_times: (n, W) and
        past_values: (n, W, D), the targets' recent history before each origin, NaN where missing.
        baselines: name → predictions as `y`, of simple methods on the same windows.
        metrics: rows for the table, as {"model": "collective", "horizon": 1, "target": "co2",
            "rmse": 0.3, ...}; leave "horizon" or "target" out (or None) for a pooled figure; any
            further numeric key becomes a column. Default: worked out from the arrays.

    Raises:
        ValueError: a shape does not fit `y`.

    >>> e = Evaluation(y=[[1.0], [2.0]], mean=[[1.1], [1.8]], target_names=["co2"])
    >>> e.y.shape, e.std is None
    ((2, 1, 1), True)
    """

    y: Any
    mean: Any
    target_names: Sequence[str] = ()
    target_units: Sequence[str] = ()
    y_mask: Any = None
    std: Any = None
    aleatoric: Any = None
    epistemic: Any = None
    members: Any = None
    member_indices: Any = None
    lower: Any = None
    upper: Any = None
    level: float = 0.9
    levels: Any = None
    coverage: Any = None
    raw_coverage: Any = None
    pit: Any = None
    horizons: Any = None
    time_unit: str = "step"
    origins: Any = None
    times: Any = None
    past_times: Any = None
    past_values: Any = None
    baselines: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self):
        put = partial(object.__setattr__, self)
        y = _cube("y", np.asarray(self.y, float), 3)
        put("y", y)
        n, h, d = y.shape
        for name in ("mean", "std", "aleatoric", "epistemic", "lower", "upper", "pit"):
            put(name, _like_y(name, getattr(self, name), y.shape))
        put("baselines", {k: _like_y(k, v, y.shape) for k, v in self.baselines.items()})
        mask = np.isfinite(y)
        if self.y_mask is not None:
            given = _like_y("y_mask", np.asarray(self.y_mask, float), y.shape)
            mask &= given.astype(bool)
        put("y_mask", mask)
        if self.members is not None:
            members = np.asarray(self.members, float)
            members = members[:, :, None] if members.ndim == 3 else members
            put("members", _fits("members", members, (len(members), n, h, d)))
            put("member_indices", _or_range(self.member_indices, len(members)))
        put("horizons", _or_range(self.horizons, h, 1))
        put("target_names", tuple(self.target_names) or tuple(f"target {i + 1}" for i in range(d)))
        put("target_units", tuple(self.target_units) or ("",) * d)
        for name, length in (("horizons", h), ("target_names", d), ("target_units", d)):
            _length(name, getattr(self, name), length)
        if self.times is not None:
            put("times", _fits("times", _cube("times", np.asarray(self.times), 2), (n, h)))
        if self.origins is not None:
            put("origins", _fits("origins", np.asarray(self.origins), (n,)))
        if self.past_values is not None and self.past_times is not None:
            past = np.asarray(self.past_times)
            put("past_times", _fits("past_times", past, (n, past.shape[-1])))
            values = np.asarray(self.past_values, float)
            values = values[..., None] if values.ndim == 2 else values
            put("past_values", _fits("past_values", values, (n, past.shape[-1], d)))
        if self.levels is not None and self.coverage is not None:
            put("levels", np.asarray(self.levels, float))
            coverage = np.asarray(self.coverage, float)
            coverage = coverage[:, None] if coverage.ndim == 1 else coverage
            _length("coverage", coverage, len(self.levels))
            put("coverage", coverage)
            if self.raw_coverage is not None:
                _length("raw_coverage", self.raw_coverage, len(self.levels))


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Predicted class probabilities for data that training never saw.

    Args:
        probabilities: (n, K), rows that sum to one.
        labels: (n,) the true class numbers, 0 … K−1.
        class_names: K names; default "0", "1", ...
        raw: (n, K) the probabilities before they were recalibrated.
        members: every member's probabilities, (m, n, K).
        member_indices: (m,) which member each row of `members` is; default 0 … m−1.
        metrics: rows for the table, as {"model": "collective", "accuracy": 0.97, ...}; default:
            worked out from the arrays.

    >>> Classification(probabilities=[[0.9, 0.1]], labels=[0]).class_names
    ('0', '1')
    """

    probabilities: Any
    labels: Any
    class_names: Sequence[str] = ()
    raw: Any = None
    members: Any = None
    member_indices: Any = None
    metrics: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self):
        put = partial(object.__setattr__, self)
        p = np.asarray(self.probabilities, float)
        if p.ndim != 2:
            raise ValueError(f"`probabilities` must be (rows, classes), got shape {p.shape}")
        put("probabilities", p)
        put("labels", _fits("labels", np.asarray(self.labels).astype(int), p.shape[:1]))
        if self.raw is not None:
            put("raw", _fits("raw", np.asarray(self.raw, float), p.shape))
        if self.members is not None:
            members = np.asarray(self.members, float)
            put("members", _fits("members", members, (len(members), *p.shape)))
            put("member_indices", _or_range(self.member_indices, len(members)))
        names = tuple(map(str, self.class_names)) or tuple(map(str, range(p.shape[1])))
        put("class_names", names)
        _length("class_names", names, p.shape[1])


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything a report can show.

    Args:
        name: the run's name.
        task: "forecast", "regression" or "classification".
        created: when the run ended; a datetime or ISO text.
        config: the resolved configuration (what YAML can hold).
        metadata: as in `ensemble_metadata.json`: seeds, losses, versions, data hash, git, ...
        history: columns of equal length: epoch, member, train_loss, valid_loss, ...
        members: one dict per member: index, seed, status ("finished", "early", "stopped",
            "diverged", "interrupted"), best_epoch, best_loss, final_loss, reason; a dict may have
            "kind" (and whatever else) besides.
        best_index: index of the member with the lowest validation loss, None if no loss is finite.
        loss_name: what the loss measures, as "normal negative log-likelihood".
        data: facts about the data, name → number or text (rows, windows per split, median gap...).
        evaluation: an `Evaluation` or a `Classification` of held-out data.
        wiring: a `shoal.wirings.Wiring`, its `to_dict()`, or a dict with `adjacency` (N, N) and
            `sensory_adjacency` (I, N) of −1, 0, 1 and `types`, N of "motor", "command", "inter".
        time_constants: name → (N,) or (m, N) time constants of neurons, in `time_unit`.
        time_unit: the unit of elapsed time, as "day"; "" where unknown.
        calibration_note: what the promised intervals rest on, in words.
        calibration_stages: rows {"stage": text, "nll": ..., "coverage": ..., "level": 0.9, ...} of
            the crowd as trained, recalibrated, calibrated.
        recalibration: what was fitted, as of `Temperature.to_dict` or `VarianceScale.to_dict`.
        diversity: as `shoal.score.evaluate` gives it.
        weights: how much each member counts, a `Weights`.
        notes: further sentences for the top of the page, such as warnings of the run.

    >>> Results(name="co2").task
    'forecast'
    """

    name: str
    task: Task = "forecast"
    created: str | datetime = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)
    members: Sequence[Mapping[str, Any]] = ()
    best_index: int | None = None
    loss_name: str = "loss"
    data: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | Classification | None = None
    wiring: Any = None
    time_constants: Mapping[str, Any] = field(default_factory=dict)
    time_unit: str = ""
    calibration_note: str = ""
    calibration_stages: Sequence[Mapping[str, Any]] = ()
    recalibration: Mapping[str, Any] | None = None
    diversity: Mapping[str, Any] | None = None
    weights: Weights | None = None
    notes: Sequence[str] = ()


def _cube(name: str, a: np.ndarray, ndim: int) -> np.ndarray:
    """(n, D) → (n, 1, D), the one horizon of a regression; (n,) → (n, 1)."""
    a = a[:, None] if a.ndim == ndim - 1 else a
    if a.ndim != ndim:
        raise ValueError(f"`{name}` must have {ndim} axes (or {ndim - 1}), got shape {a.shape}")
    return a


def _like_y(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    return None if value is None else _fits(name, _cube(name, np.asarray(value, float), 3), shape)


def _fits(name: str, a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if a.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape} to fit the truth, got {a.shape}")
    return a


def _length(name: str, a: Any, length: int) -> None:
    if len(a) != length:
        raise ValueError(f"`{name}` must have {length} entries, got {len(a)}")


def _or_range(value: Any, length: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + length) if value is None else np.asarray(value)
