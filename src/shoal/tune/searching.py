"""The search for Python users: `make(params) -> member`, arrays, and a space.

    found = search(make, train, valid, space={"learning_rate": Float(1e-4, 1e-1, log=True)})

A parameter that training knows goes to training, `seed` to the members' seeds, others to `make`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shoal.run.tune_section import METRICS
from shoal.tune.candidates import Candidate, Nursery
from shoal.tune.engine import compete
from shoal.tune.methods import STUDY, batch_size, halving, sampler_kind, settled, trials_of
from shoal.tune.outcome import Outcome
from shoal.tune.pruning import begun, running
from shoal.tune.results import FAILED, Result
from shoal.tune.scoring import Rows
from shoal.tune.space import Point, Space
from shoal.tune.storage import in_memory
from shoal.tune.study import Before, Search

_OWN = ("learning_rate", "weight_decay", "dropout", "seed")
_COMMON = ("epochs", "batch_size", "optimizer", "schedule", "warmup_epochs", "clip_norm", "loss")
_COMMON += ("data_seed", "patience", "strategy")


def search(
    make: Callable[..., Any],
    train: Any,
    valid: Any = None,
    *,
    space: Mapping[str, Any] | Space,
    trials: int | None = None,
    method: str | Mapping[str, Any] = "tpe",
    metrics: Sequence[Any] = ("loss",),
    directions: Sequence[str] | None = None,
    members: int = 1,
    base_seed: int = 42,
    folds: Mapping[str, Any] | int | None = None,
    batch: int | None = None,
    seed: int = 0,
    study: Any = None,
    scaling: Any = None,
    **training: Any,
) -> Outcome:
    """Searches hyper-parameters of members that a function makes, trials side by side.

    Args:
        make: `make(key, **parameters) -> member`, with those parameters of the space that training
            does not know. Trials that differ in them are trained as groups of one population.
        train, valid: samples as `shoal.fit` takes them; with a `scaling` raw.
        space: name → `Choice`, `Integer`, `Float`, or a list of values. `learning_rate`,
            `weight_decay`, `dropout` and `seed` are data of a member; `epochs`, `batch_size`,
            `optimizer` and what else `shoal.fit` takes ask for a fit of their own.
        trials: how many; 32, or the whole grid.
        method: "grid", "random", "tpe", "swarm", "halving" or "asha", or a dict with its `kind`;
            "study" for the sampler and the pruner that the given `study` has.
        metrics, directions: see `shoal.tune.scoring`; the first one decides on the best.
        members: of each trial, of seeds in a row from `base_seed`, or from the trial's `seed`.
        folds: cross-validation: how many, or the arguments of `shoal.data.folds.make_folds`.
        batch: trials that train side by side; by default all, a quarter where the method learns.
        seed: of the search.
        study: an Optuna study to go on with; one in memory by default.
        training: arguments of `shoal.fit` for all trials.

    Raises:
        ValueError: for spaces, methods and metrics that cannot be.

    >>> import equinox as eqx, jax, numpy as np
    >>> class Line(eqx.Module):
    ...     w: jax.Array
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return x @ self.w
    >>> x = np.ones((8, 2), np.float32)
    >>> found = search(
    ...     lambda key: Line(jax.random.normal(key, (2, 1))),
    ...     (x, x[:, :1]),
    ...     (x, x[:, :1]),
    ...     space={"learning_rate": [0.0, 0.1]},
    ...     method="grid",
    ...     epochs=3,
    ... )
    >>> found.best.point, len(found.trials)
    ({'learning_rate': 0.1}, 2)
    """
    space = space if isinstance(space, Space) else Space(space)
    chosen = settled(method)
    if chosen["kind"] == STUDY and study is None:
        raise ValueError(
            "method 'study' takes the sampler and the pruner of a study, and none is given; set "
            "`study=optuna.create_study(sampler=..., pruner=...)`"
        )
    names = tuple(m if isinstance(m, str) else getattr(m, "__name__", repr(m)) for m in metrics)
    ways = tuple(directions or [METRICS.get(name, "minimize") for name in names])
    trials = trials or trials_of(chosen, space)
    study = study or in_memory(names, ways)
    rows = Rows(train, valid, scaling)
    if valid is None and folds is None and any(name != "parameters" for name in names):
        raise ValueError("there is nothing to compare trials by; give `valid`, or `folds`")
    if isinstance(folds, int):
        folds = {"folds": folds}
    nursery: Nursery = {}
    strangers = {trial.number for trial in running(study)}  # somebody else's
    seeds = {"base_seed": base_seed, "members": members}

    def evaluate(points: Sequence[Point], before: Before) -> Iterator[tuple[int, Result]]:
        pruning = begun(study, strangers) if chosen["kind"] == STUDY else None
        for places, common in _fits(points):
            own = [_candidate(make, points[i], training, **seeds) for i in places]
            options = {n: v for n, v in {**training, **common}.items() if n not in _OWN}
            rule: Any = halving(chosen, options.get("epochs", 100), before)
            rule = pruning.part(places) if pruning else rule
            more = {"folds": folds, "nursery": nursery, **options}
            results = _survived(own, rows, rule, metrics=metrics, **more)
            yield from zip(places, results, strict=True)

    asked = Search(study, space, chosen, trials, batch or batch_size(chosen, trials), seed)
    if sampler_kind(chosen) == "grid" and not study.get_trials(deepcopy=False):
        asked.enqueue()
    asked.run(evaluate)
    return Outcome(study, space, names, ways)


def _fits(points: Sequence[Point]) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Points that can train in one fit, and what that fit is told; the longest first."""
    together: dict[str, tuple[list[int], dict[str, Any]]] = {}
    for place, point in enumerate(points):
        common = {name: value for name, value in point.items() if name in _COMMON}
        together.setdefault(json.dumps(common, default=str), ([], common))[0].append(place)
    return iter(sorted(together.values(), key=lambda one: -len(one[0]) * one[1].get("epochs", 1)))


def _candidate(
    make: Callable[..., Any],
    point: Point,
    training: Mapping[str, Any],
    base_seed: int,
    members: int,
) -> Candidate:
    made = {n: v for n, v in point.items() if n not in (*_OWN, *_COMMON)}
    told = {n: v for n, v in {**training, **point}.items() if n in _OWN[:3] and v is not None}
    first = int(point.get("seed", base_seed))
    return Candidate(
        key=json.dumps(made, sort_keys=True, default=repr),
        make=lambda key: make(key, **made),
        seeds=tuple(range(first, first + members)),
        **told,
    )


def _survived(own: Sequence[Candidate], rows: Rows, rule: Any, **options: Any) -> list[Result]:
    """The results; where training fails as a whole, of ever smaller parts of it."""
    try:
        return compete(own, rows, halving=rule, **options).results
    except Exception as error:  # whatever a user's `make` or loss can do
        if len(own) == 1:
            text = str(error).strip().splitlines() or [""]
            return [Result(FAILED, reason=f"{type(error).__name__}: {text[0]}")]
        half, found = len(own) // 2, []
        for places in (range(half), range(half, len(own))):
            part = None if rule is None else rule.part(places)
            found += _survived([own[place] for place in places], rows, part, **options)
        return found
