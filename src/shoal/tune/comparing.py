"""The best configuration beside the one that the search began with, on held-out data.

All are trained as the crowds that they describe, and asked about the held-out block, which no trial
has seen: about the origins and steps ahead that they have in common. The difference is given with
its standard error over the rows (of forecasts: the origins):

    d_i = e_i(best) − e_i(start),    mean(d) ± std(d)/√n

with e_i the root mean squared error of row i, or the log loss of classes. Forecasts of one series
that overlap are not independent, which makes the error too small; `data.split.test_every` sets the
origins apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.run.closing import aligned, chosen, number
from shoal.run.errors import Refused, refusing
from shoal.run.figures import baselines, held_out
from shoal.run.members import fit_options, new_population, prepare_data
from shoal.run.progress import Progress, Silent
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared

_SHOWN = ("rmse", "mae", "crps", "nll", "accuracy", "log_loss", "brier")


@dataclass(frozen=True)
class Contestant:
    """A crowd, or a simple method, and what it says of the held-out block.

    Attributes:
        name: how tables call it.
        prediction: of the rows, in the targets' units.
        y: the truth, NaN where there is none.
        rows: what tells rows apart: series and origin, or the row's number.
        steps: ahead, for each of the prediction's horizons; None where it has none.
        valid_loss: the mean of the members' best validation losses.
        epochs: that its members were trained for, all of them added.
    """

    name: str
    prediction: Prediction
    y: np.ndarray
    rows: tuple[Any, ...]
    steps: tuple[int, ...] | None = None
    valid_loss: float | None = None
    epochs: int | None = None

    def part(self, rows: Sequence[Any], steps: Sequence[int] | None) -> Contestant:
        """The same of some rows and steps."""
        numbers = {row: place for place, row in enumerate(self.rows)}
        places = [numbers[row] for row in rows]
        ahead = slice(None) if steps is None else [(self.steps or ()).index(s) for s in steps]

        def take(values: np.ndarray) -> np.ndarray:
            own = values[places]
            return own if steps is None else own[:, ahead]

        said = self.prediction
        outputs = _each(lambda a: np.stack([take(member) for member in a]), said.outputs)
        weights = said.weights if said.weights.ndim == 1 else said.weights[:, places]
        kept = Prediction(outputs, weights, pool=said.pool)
        own_steps = None if steps is None else tuple(steps)
        told = (self.valid_loss, self.epochs)
        return Contestant(self.name, kept, take(self.y), tuple(rows), own_steps, *told)

    def errors(self) -> np.ndarray:
        """(rows,) root mean squared errors, or the log loss of classes; NaN without truth."""
        if self.y.ndim == 1 and self.y.dtype.kind in "iu":
            p = self.prediction.probabilities[np.arange(len(self.y)), self.y]
            return -np.log(np.maximum(p, 1e-300))
        squared = ((self.prediction.mean - self.y) ** 2).reshape(len(self.y), -1)
        count = np.isfinite(squared).sum(1)
        mean = np.nansum(squared, 1) / np.maximum(count, 1)
        return np.sqrt(np.where(count > 0, mean, np.nan))

    def figures(self) -> dict[str, Any]:
        """The scores, overall and for a few steps ahead."""
        from shoal.score import evaluate

        found = evaluate(self.prediction, self.y)
        overall = {name: found["overall"].get(name) for name in _SHOWN}
        steps, each = self.steps or (), found.get("per_horizon", ())
        at = chosen(len(steps), 3) if len(steps) > 1 else ()
        return {**overall, **{f"rmse at {steps[i]}": each[i]["rmse"] for i in at}}


@dataclass(frozen=True)
class Comparison:
    """Contestants on the rows of one block; the second is compared with the first."""

    block: str
    contestants: tuple[Contestant, ...]

    def difference(self) -> tuple[float, float]:
        """The best's mean error less the start's, and its standard error over the rows."""
        start, best = (one.errors() for one in self.contestants[:2])
        d = (best - start)[np.isfinite(best - start)]
        return float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d))) if len(d) > 1 else np.inf

    def facts(self) -> dict[str, Any]:
        """All of it as JSON."""
        rows = [
            {"name": c.name, "epochs": c.epochs, "valid_loss": c.valid_loss, **c.figures()}
            for c in self.contestants
        ]
        mean, error = self.difference()
        count = len(self.contestants[0].rows)
        told = {"difference": mean, "standard_error": error, "no_worse": mean <= error}
        return {"block": self.block, "count": count, "rows": rows, **told}

    def __str__(self) -> str:
        facts = self.facts()
        shown = [n for n in facts["rows"][0] if any(row[n] is not None for row in facts["rows"])]
        cells = [(r["name"], *(number(r[n]) for n in shown if n != "name")) for r in facts["rows"]]
        header = ("", *(name.replace("_", " ") for name in shown if name != "name"))
        mean, error = facts["difference"], facts["standard_error"]
        return (
            f"held-out data: {facts['count']} rows of the {self.block} block\n"
            f"{aligned(header, cells)}\n"
            f"best less start, the mean over rows of their errors: {mean:+.4g} ± {error:.4g}, "
            f"{'no worse' if mean <= error else 'worse'} within one standard error"
        )


def compare(
    configs: Mapping[str, Config],
    progress: Callable[[], Progress] = Silent,
    crowds: Mapping[str, Collective] | None = None,
) -> Comparison:
    """Trains configurations as their crowds, and asks them about the held-out block.

    Args:
        configs: by name, the start first, then the best, then any others.
        progress: makes what is told of every training.
        crowds: by name, those that are trained already, of the start's data.

    Raises:
        Refused: they have no held-out rows in common, or no member that can be used.
    """
    found, simple, block = [], [], ""
    for name, config in configs.items():
        prepared = prepare_data(config)
        block, rows = held_out(prepared)
        crowd, loss, epochs = trained(name, config, prepared, progress)
        form = _form(config, prepared, rows)
        found.append(Contestant(name, crowd.predict(rows), *form, loss, epochs))
        if len(found) == 1:
            made = (crowds or {}).items()
            simple = [Contestant(own, one.predict(rows), *form) for own, one in made]
            simple += [
                Contestant(method, Prediction(values[None], np.ones(1)), *form)
                for method, values in baselines(prepared, rows).items()
                if np.isfinite(values).all()
            ]
    return Comparison(block, _in_common([*found, *simple]))


def trained(
    name: str, config: Config, prepared: Prepared, progress: Callable[[], Progress] = Silent
) -> tuple[Collective, float, int]:
    """The crowd of a configuration, the mean of its members' losses, and all their epochs."""
    from shoal.population import fit
    from shoal.run.crowd import collective

    options: dict[str, Any] = fit_options(config, Path(), "", False) | {"checkpoint": None}
    encode, shown = prepared.scaling.encode_sequences, progress()
    shown.say(f"training {name} for held-out figures")
    valid = None if prepared.valid is None else encode(prepared.valid)
    population = new_population(config, prepared)
    try:
        fitted = fit(population, encode(prepared.train), valid, on_epoch=shown.epoch, **options)
    finally:
        shown.close()
    if not fitted.usable:
        raise Refused(f"tune.compare: {name}: no member has a finite loss")
    with refusing(f"tune.compare: {name}"):
        crowd = collective(config, prepared, fitted)
    losses = [one["best_loss"] for one in fitted.status if one["usable"]]
    return crowd, float(np.mean(losses)), sum(one["epochs"] for one in fitted.status)


def _form(config: Config, prepared: Prepared, rows: Any) -> tuple[np.ndarray, tuple, Any]:
    """The truth, what tells rows apart, and the steps ahead."""
    y = rows.y
    if y.dtype.kind == "f" and rows.y_mask is not None:
        y = np.where(rows.y_mask, y, np.nan)
    if config.data.task != "forecast" or rows.origin is None:
        return y, tuple(range(len(rows))), None
    series = rows.series if rows.series is not None else [None] * len(rows)
    keys = tuple(zip(series, np.round(rows.origin, 6).tolist(), strict=True))
    return y, keys, tuple(prepared.schema.horizons)


def _in_common(every: Sequence[Contestant]) -> tuple[Contestant, ...]:
    """All of them, about the rows and steps that all can be asked about."""
    sets = [set(one.rows) for one in every]
    rows = [row for row in every[0].rows if all(row in own for own in sets)]
    steps = every[0].steps
    if steps is not None:
        steps = tuple(s for s in steps if all(s in (one.steps or ()) for one in every))
    if not rows or steps == ():
        raise Refused("tune.compare: the configurations have no held-out rows in common")
    return tuple(one.part(rows, steps) for one in every)


def _each(function: Callable[[Any], Any], answers: Any) -> Any:
    if isinstance(answers, Normal | Categorical):
        return type(answers)(*map(function, answers))
    return function(answers)
