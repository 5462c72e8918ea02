"""The `tune` section: what is searched, how, and by which figure trials are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from shoal.run.sections import Count, NonNegative, Positive, Section, Seed, Whole, Word

Bound = int | float
Constant = bool | int | float | str | None

METRICS = {  # those that `shoal.score` knows, what training tells, what members cost
    "loss": "minimize",
    "rmse": "minimize",
    "mae": "minimize",
    "crps": "minimize",
    "nll": "minimize",
    "accuracy": "maximize",
    "log_loss": "minimize",
    "brier": "minimize",
    "ece": "minimize",
    "parameters": "minimize",
}


class Dimension(Section):
    """What one path of the configuration may be: one of `choices`, or from `low` to `high`."""

    kind: Literal["categorical", "integer", "float"] | None = None
    choices: Annotated[list[Any], Field(min_length=1)] | None = None
    low: Bound | None = None
    high: Bound | None = None
    step: Annotated[Bound, Field(gt=0)] | None = None
    log: bool = False
    points: Count | None = Field(default=None, description="how many of them a grid has")
    when: dict[Word, Constant | list[Constant]] = Field(
        default_factory=dict, description="other paths, and the values at which this one counts"
    )


class GridMethod(Section):
    """Every combination."""

    kind: Literal["grid"]
    points: Annotated[int, Field(ge=2)] = 5


class RandomMethod(Section):
    """Every trial by itself."""

    kind: Literal["random"]


class TPEMethod(Section):
    """Optuna's tree-structured Parzen estimator, after so many random trials."""

    kind: Literal["tpe"] = "tpe"
    startup: Count = 10


class SwarmMethod(Section):
    """Trials are the particles of a swarm."""

    kind: Literal["swarm"]


class HalvingMethod(Section):
    """All trials start; at every rung one of `eta` goes on for `eta` times as long."""

    kind: Literal["halving"]
    eta: Annotated[int, Field(ge=2)] = 3
    min_epochs: Count | None = Field(default=None, description="epochs before the first rung")
    sampler: Literal["grid", "random", "tpe", "swarm"] = "random"


class ASHAMethod(Section):
    """Halving by what all trials so far had reached at the rung, whenever they ran."""

    kind: Literal["asha"]
    eta: Annotated[int, Field(ge=2)] = 3
    min_epochs: Count | None = Field(default=None, description="epochs before the first rung")
    sampler: Literal["grid", "random", "tpe", "swarm"] = "tpe"


class Objective(Section):
    """A figure that trials are compared by."""

    metric: Word
    direction: Literal["minimize", "maximize"] | None = None

    @property
    def to(self) -> str:
        """The direction, which known metrics have of their own."""
        return self.direction or METRICS.get(self.metric, "minimize")


class Folds(Section):
    """Cross-validation inside every trial."""

    folds: Annotated[int, Field(ge=2)] = 5
    order: Literal["shuffled", "time"] | None = None
    gap: NonNegative = 0.0
    seed: Seed = 0


class Crowd(Section):
    """The ensemble is chosen from the trials' own members; see `weighting: {kind: greedy}`."""

    rounds: Count = 50
    start: Count = 1
    bags: Whole = 0
    seed: Seed = 0


def _listed(value: Any) -> Any:
    return {"choices": value} if isinstance(value, list) else value


def _of_kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _of_metric(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


Method = GridMethod | RandomMethod | TPEMethod | SwarmMethod | HalvingMethod | ASHAMethod


class Tune(Section):
    """A search over paths of the configuration.

    >>> section = Tune(space={"training.learning_rate": {"low": 1e-4, "high": 0.1, "log": True}})
    >>> section.method.kind, section.objectives[0].metric
    ('tpe', 'loss')
    """

    space: dict[Word, Annotated[Dimension, BeforeValidator(_listed)]] = Field(
        description="paths of the configuration, and what they may be"
    )
    trials: Count | None = Field(default=None, description="how many; 32, or the whole grid")
    batch: Count | None = Field(default=None, description="trials that train side by side")
    method: Annotated[Annotated[Method, Field(discriminator="kind")], BeforeValidator(_of_kind)] = (
        TPEMethod()
    )
    objectives: Annotated[
        list[Annotated[Objective, BeforeValidator(_of_metric)]], Field(min_length=1)
    ] = [Objective(metric="loss")]  # noqa: RUF012 (pydantic copies it)
    members: Count = Field(default=1, description="members of each trial, of seeds in a row")
    folds: Folds | None = None
    crowd: Crowd | None = Field(default=None, description="choose an ensemble from all members")
    seed: Seed = Field(default=0, description="of the search")
    start: bool = Field(default=True, description="the configuration itself is the first trial")
    seconds: Positive | None = Field(default=None, description="no new trials after so long")
    executor: Word | None = Field(default=None, description="what runs the fits of a batch")
    storage: Word | None = Field(
        default=None, description="a journal file or database, where several workers share a study"
    )
    grace: Positive = Field(
        default=90.0, description="seconds without a sign before others take a worker's trials"
    )
    compare: bool | list[Word] = Field(
        default=False, description="score start and best on held-out data; other files beside"
    )


def faults(
    kind: str, low: Bound | None, high: Bound | None, step: Bound | None, log: bool
) -> str | None:
    """Why a range cannot be, or None.

    >>> faults("float", 1.0, 0.1, None, False)
    'low = 1 lies above high = 0.1; exchange them'
    """
    if low is None or high is None:
        return f"a range needs low and high, {'low' if low is None else 'high'} is missing; add it"
    if low > high:
        return f"low = {low:g} lies above high = {high:g}; exchange them"
    if low == high:
        return f"low and high are both {low:g}, so there is nothing to search; write a choice"
    if log and low <= 0:
        return f"a logarithmic range must begin above 0, found low = {low:g}; raise it"
    if log and step is not None and step != 1:
        return "a logarithmic range has no step; remove one of them"
    whole = all(float(value).is_integer() for value in (low, high, step or 1))
    if kind == "integer" and not whole:
        return f"integers need whole bounds and steps, found {low:g} to {high:g}; round them"
    if step is not None and step > high - low:
        return f"step = {step:g} is longer than the range; lower it"
    return None


def conditions(when: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Each path of a `when` with all values at which it holds."""
    return {path: tuple(v) if isinstance(v, list) else (v,) for path, v in when.items()}
