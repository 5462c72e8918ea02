"""What became of trials: read from what a training left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoal.population import Fitted
from shoal.tune.crossing import Crossed
from shoal.tune.halving import trial_scores
from shoal.tune.scoring import Rows, score

COMPLETE, PRUNED, FAILED, INTERRUPTED = "complete", "pruned", "failed", "interrupted"


@dataclass(frozen=True)
class Result:
    """What became of a trial; plain data, so that it can come from another process.

    Attributes:
        state: "complete", "pruned", "failed" or "interrupted".
        values: one per metric, where it is complete.
        reason: why it ended before its time, or failed.
        curve: epoch (counted from 1) → the score then, at some epochs.
        epochs: how many each member trained, all of them added.
        best_epoch: of its best member, counted from 1.
        seconds: its share of the training's time, compilation included.
        losses: each member's best validation loss.
        members: each one's arrays by path, where they are to be kept.
    """

    state: str
    values: tuple[float, ...] | None = None
    reason: str = ""
    curve: Mapping[int, float] = field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    seconds: float = 0.0
    losses: tuple[float | None, ...] = ()
    members: tuple[Any, ...] = ()


def results_of(
    fitted: Fitted,
    owner: tuple[int, ...],
    rows: Rows,
    metrics: Sequence[Any],
    crossed: Crossed | None,
    marks: Sequence[int],
) -> list[Result]:
    states = [_state(fitted, members) for members in members_of(owner)]
    done = [trial for trial, (state, _) in enumerate(states) if state == COMPLETE]
    values = score(fitted, owner, done, rows, metrics, crossed)
    seconds = _seconds(fitted)
    curves = _curves(fitted, owner, marks)
    found = []
    for trial, members in enumerate(members_of(owner)):
        state, reason = states[trial]
        own, value = [fitted.status[i] for i in members], values.get(trial)
        if isinstance(value, str):
            state, reason, value = FAILED, value, None
        best = min((s for s in own if s["usable"]), key=lambda s: s["best_loss"], default=None)
        found.append(
            Result(
                state=state,
                values=value,
                reason=reason,
                curve=curves[trial],
                epochs=sum(one["epochs"] for one in own),
                best_epoch=None if best is None else best["best_epoch"] + 1,
                seconds=float(seconds[members].sum()),
                losses=tuple(one["best_loss"] for one in own),
            )
        )
    return found


def members_of(owner: Sequence[int]) -> list[list[int]]:
    """The members of each trial."""
    found: list[list[int]] = [[] for _ in range(max(owner) + 1)]
    for member, trial in enumerate(owner):
        found[trial].append(member)
    return found


def _state(fitted: Fitted, members: Sequence[int]) -> tuple[str, str]:
    """A trial is what the worst of its members came to."""
    own = [fitted.status[i] for i in members]
    for one in own:
        if not one["usable"] and one["status"] != "stopped":
            return FAILED, f"member of seed {one['seed']}: {one['reason'] or 'no finite loss'}"
    for status, state in (("stopped", PRUNED), ("interrupted", INTERRUPTED)):
        for one in own:
            if one["status"] == status:
                return state, one["reason"]
    return COMPLETE, ""


def _seconds(fitted: Fitted) -> np.ndarray:
    """(members,) each epoch's time, shared by those that trained in it."""
    worked = fitted.history.matrix("worked").astype(bool)
    each = np.array(fitted.history.seconds) / np.maximum(worked.sum(1), 1)
    return (worked * each[:, None]).sum(0)


def _curves(fitted: Fitted, owner: tuple[int, ...], marks: Sequence[int]) -> list[dict[int, float]]:
    """Each trial's best score so far, as halving sees it, at the marks it lived to see."""
    history, whose = fitted.history, np.array(owner)
    count = max(owner) + 1
    if not history.epochs:
        return [{} for _ in range(count)]
    valid, train = history.matrix("valid_loss"), history.matrix("train_loss")
    told = valid if np.isfinite(valid).any() else train
    best = np.fmin.accumulate(np.where(np.isfinite(told), told, np.inf), axis=0)
    worked = history.matrix("worked").astype(bool)
    curves: list[dict[int, float]] = [{} for _ in range(count)]
    for mark in (m for m in marks if m <= history.epochs):
        scores = trial_scores(best[mark - 1], whose)
        for trial in np.unique(whose[worked[mark - 1]]):
            if np.isfinite(scores[trial]):
                curves[trial][mark] = float(scores[trial])
    return curves
