"""What is wrong with a search before it begins: its space, and the figures it goes by."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shoal.run.errors import nearest, suggestion
from shoal.run.reading import Key
from shoal.run.tune_section import METRICS, Dimension, Tune, conditions, faults

if TYPE_CHECKING:
    from shoal.run.schema import Config

FIXED = {  # what no trial can differ in, and why
    "tune": "the search does not search itself",
    "export": "trials export nothing",
    "report": "trials write no report",
    "calibration": "trials are compared before the crowd is calibrated",
    "training.checkpoint": "trials write no checkpoints",
    "training.devices": "it is decided before the first trial",
    "data.path": "trials are compared on the same data",
    "data.split": "trials are compared on the same rows",
    "data.task": "trials are compared on the same task",
    "data.targets": "trials are compared on the same targets",
    "data.horizon": "trials are compared on the same targets",
    "data.step": "trials are compared on the same targets",
}
_SCALES = ("training.loss", "model.likelihood", "data.target_transform")  # that change the loss
_CLASSES = ("accuracy", "log_loss", "brier", "ece")
_NUMBERS = ("rmse", "mae", "crps", "nll")


def tune_rules(config: Config) -> Iterator[tuple[Key, str]]:
    """What the section asks for that cannot be."""
    tune = config.tune
    if tune is None:
        return
    if not tune.space:
        yield ("tune", "space"), "must name at least one path, found none; add one"
    for path, dimension in tune.space.items():
        key = ("tune", "space", path)
        fault = path_fault(path, config) or dimension_fault(path, dimension)
        if fault:
            yield key, fault
            continue
        for other in dimension.when:
            fault = _condition_fault(path, other, tune)
            if fault:
                yield (*key, "when"), fault
    yield from _crowd_rules(tune)
    yield from _cycles(tune)
    yield from _overlaps(tune)
    yield from _objective_rules(config, tune)


def path_fault(path: str, config: Config | None = None) -> str | None:
    """Why a path cannot be searched, or None."""
    from shoal.run.paths import all_paths

    known = [".".join(map(str, key)) for key in all_paths()]
    reason = next((why for key, why in FIXED.items() if _within(path, key)), None)
    if reason is not None:
        return f"cannot be searched: {reason}; remove it"
    if path not in known:
        same = [name for name in known if name.rsplit(".", 1)[-1] == path.rsplit(".", 1)[-1]]
        best = same[0] if same else nearest(path, known)
        hint = f"did you mean `{best}`?" if best else "`shoal init` writes a file with all paths"
        return f"there is no `{path}` in a configuration; {hint}"
    if path.startswith("ensemble") and path != "ensemble.base_seed":
        return "cannot be searched: trials train single members, not crowds; remove it"
    if config is not None and path in ("seed", "ensemble.base_seed"):
        used = "ensemble.base_seed" if config.ensemble.enabled else "seed"
        if path != used:
            return f"has no effect, since ensemble.enabled says otherwise; use `{used}`"
    return None


def dimension_fault(path: str, dimension: Dimension) -> str | None:
    """Why a dimension cannot be, or None."""
    kind = kind_of(path, dimension)
    ranged = [n for n in ("low", "high", "step", "points") if getattr(dimension, n) is not None]
    ranged += ["log"] if dimension.log else []
    if kind == "categorical":
        if dimension.choices is None:
            return "categorical needs `choices`, or `low` and `high` of a range; add them"
        if ranged:
            return f"has choices and {' and '.join(ranged)}; keep one or the other"
        twice = [v for i, v in enumerate(dimension.choices) if v in dimension.choices[:i]]
        same = [v for v in twice if any(v is w or type(v) is type(w) for w in dimension.choices)]
        return f"the choice {same[0]!r} stands twice; keep one" if same else None
    if dimension.choices is not None:
        return f"has choices, and is said to be {kind}; remove one"
    return faults(kind, dimension.low, dimension.high, dimension.step, dimension.log)


def kind_of(path: str, dimension: Dimension) -> str:
    """The kind that is written, or that the bounds and the path's own type say."""
    if dimension.kind is not None:
        return dimension.kind
    if dimension.choices is not None or (dimension.low is None and dimension.high is None):
        return "categorical"
    bounds = (dimension.low, dimension.high, dimension.step or 1)
    whole = all(isinstance(value, int) for value in bounds)
    return "integer" if whole and not takes_fractions(path) else "float"


def takes_fractions(path: str) -> bool:
    """Whether a path of the configuration may be a number with a fraction.

    >>> takes_fractions("training.learning_rate"), takes_fractions("model.units")
    (True, False)
    """
    from shoal.run.paths import models_at

    key = tuple(path.split("."))
    fields = [m.model_fields[key[-1]] for m in models_at(key[:-1]) if key[-1] in m.model_fields]
    return any(float in _types(field.annotation) for field in fields)


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _types(part)


def _within(path: str, section: str) -> bool:
    return path == section or path.startswith(section + ".")


def _condition_fault(path: str, other: str, tune: Tune) -> str | None:
    wanted = conditions(tune.space[path].when)[other]
    if other == path:
        return "a path cannot depend on itself; name another"
    if other not in tune.space:
        from shoal.run.paths import all_paths

        known = [".".join(map(str, key)) for key in all_paths()]
        if other not in known:
            best = nearest(other, known)
            hint = f"did you mean `{best}`?" if best else "name a path of the configuration"
            return f"there is no `{other}`; {hint}"
        return None
    parent = tune.space[other]
    if parent.choices is not None and not any(value in parent.choices for value in wanted):
        shown = ", ".join(map(repr, wanted))
        return f"`{other}` is never {shown}; take one of its choices"
    return None


def _crowd_rules(tune: Tune) -> Iterator[tuple[Key, str]]:
    if tune.crowd is None:
        return
    if tune.folds is not None:
        yield ("tune", "crowd"), "is chosen on the validation block; remove tune.folds"
    for path in tune.space:
        if path.startswith("data.") or path == "model.likelihood":
            yield (
                ("tune", "space", path),
                "members of one crowd read the same windows and answer alike; remove it, or "
                "tune.crowd",
            )


def _cycles(tune: Tune) -> Iterator[tuple[Key, str]]:
    def above(path: str, seen: tuple[str, ...]) -> bool:
        parents = [other for other in tune.space[path].when if other in tune.space]
        return any(p == seen[0] or (p not in seen and above(p, (*seen, p))) for p in parents)

    for path in tune.space:
        if above(path, (path,)):
            yield ("tune", "space", path, "when"), "depends on itself in a circle; break it"
            return


def _overlaps(tune: Tune) -> Iterator[tuple[Key, str]]:
    """A section as a whole and a path inside it cannot both be searched."""
    for path in tune.space:
        for other in tune.space:
            if path != other and _within(path, other):
                yield (
                    ("tune", "space", path),
                    f"lies within `{other}`, which is searched as a whole; keep one of them",
                )


def _objective_rules(config: Config, tune: Tune) -> Iterator[tuple[Key, str]]:
    classes = config.data.task == "classification"
    names = [one.metric for one in tune.objectives]
    for index, one in enumerate(tune.objectives):
        key = ("tune", "objectives", index)
        if ":" not in one.metric and one.metric not in METRICS:
            hint = suggestion(one.metric, list(METRICS))
            yield key, f"there is no {one.metric!r} (your own: `module:function`); {hint}"
        elif one.metric in (_NUMBERS if classes else _CLASSES):
            yield key, f"{one.metric!r} does not fit task {config.data.task!r}; take another"
        elif one.metric in names[:index]:
            yield key, f"{one.metric!r} stands twice; keep one"
        elif one.metric == "nll" and config.model.likelihood != "normal":
            yield key, "'nll' needs members that predict their spread; set model.likelihood: normal"
    scale = next((path for path in _SCALES if path in tune.space), None)
    if scale is not None and ("loss" in names or tune.method.kind in ("halving", "asha")):
        yield (
            ("tune", "space", scale),
            "changes what the loss means, so trials cannot be compared by it; compare them by "
            f"tune.objectives: [{'accuracy' if classes else 'rmse'}], without halving",
        )
    if all(name == "parameters" for name in names):
        yield ("tune", "objectives"), "parameters alone say nothing of the fit; add a metric"
