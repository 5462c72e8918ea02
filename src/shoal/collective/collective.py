"""The collective: a population with a weighting, asked as one.

    y = Σ_i w_i(x, Δt) · f_i(x, Δt)

Members see encoded inputs and answer in scaled units; with a `scaling` the collective takes raw
inputs, with NaN where a feature is missing, and answers in the targets' own units. Encoding and the
way back are done in double precision. Checks of values are out here, so that members stay pure.

What makes the answer honest is kept beside the members: a `recalibration` of what they say of their
own uncertainty, then the `calibration` of the intervals, both immutable and fitted on rows that
training did not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np

from shoal.collective.batches import in_batches
from shoal.collective.foreign import ForeignPopulation, is_foreign
from shoal.collective.trained import trained
from shoal.data.asking import Inputs, checked, decoded, encoded, refuse_nan
from shoal.equations.conformal import Calibration, Score, fit_calibration
from shoal.equations.conformal_quantile import QuantileCalibrations, fit_quantile_calibrations
from shoal.equations.outputs import Categorical
from shoal.equations.prediction import Prediction
from shoal.equations.recalibration import Recalibration, fit_recalibration, recalibrated
from shoal.population import Fitted, Population
from shoal.score.enbpi import out_of_bag
from shoal.score.novelty import Measure, Novelty, fit_novelty
from shoal.weighting import Weighting, combined, resolve, suited

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Collective:
    """Many members, one answer.

    Args:
        population: the members, a `Population`; or what `shoal.fit` left, of which those members
            are taken that may be used, with a warning that names the others.
        weighting: how much each counts: a rule of `shoal.weighting`, its name, its dict, one number
            per member, or a function that selects. None for what the training asks for, or else
            uniform.
        scaling: a `shoal.data.Scaling`, where members were trained on encoded data.
        calibration: of `calibrate` or `calibrate_out_of_bag`; makes the intervals conformal.
        recalibration: of `recalibrate`; makes the members' own uncertainty honest.
        novelty: of `with_novelty`; tells rows unlike those that were validated on.
        schema: what the columns are; kept for saving and for tables, not used to predict.

    >>> import equinox as eqx, jax, jax.numpy as jnp
    >>> from shoal.collective import Collective
    >>> class Constant(eqx.Module):
    ...     value: jax.Array
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return jnp.full((len(x), 1), self.value)
    >>> crowd = Collective.of([Constant(jnp.array(1.0)), Constant(jnp.array(3.0))])
    >>> p = crowd.predict([[0.0], [0.0]])
    >>> p.mean[:, 0].tolist(), p.std[:, 0].tolist()
    ([2.0, 2.0], [1.0, 1.0])
    """

    population: Any
    weighting: Weighting = None  # pyright: ignore[reportAssignmentType]  a rule, once it is made
    scaling: Any = field(default=None, kw_only=True)
    calibration: Calibration | QuantileCalibrations | None = field(default=None, kw_only=True)
    recalibration: Recalibration | None = field(default=None, kw_only=True)
    novelty: Novelty | None = field(default=None, kw_only=True)
    schema: Any = field(default=None, kw_only=True)

    def __post_init__(self):
        population = self.population
        if isinstance(population, Fitted):
            population, _, rule = trained(population, self.weighting, stacklevel=4)
        else:
            rule = resolve("uniform" if self.weighting is None else self.weighting)
        object.__setattr__(self, "population", population)
        object.__setattr__(self, "weighting", suited(rule, population.n_models, self.schema))

    @classmethod
    def of(
        cls,
        members: Sequence[Any],
        weighting: Any = "uniform",
        *,
        seeds: Sequence[int] | None = None,
        likelihood: str | None = None,
        **parts: Any,
    ):
        """The collective of members that exist already, of whatever structure or library.

        Args:
            members: models called as `member(x, timespans)`: modules of Equinox, PyTorch and MLX,
                functions; and predictors of scikit-learn and XGBoost, asked by x alone. Libraries
                may be mixed.
            weighting: as of `Collective`; `parts` too.
            seeds: one per member, for the record.
            likelihood: what a plain array of a function, or of a module of PyTorch or MLX, means:
                "point", "normal" or "categorical" (see `shoal.equations.answers`).
        """
        if any(map(is_foreign, members)):
            return cls(ForeignPopulation(members, seeds, likelihood), weighting, **parts)
        if likelihood is not None:
            raise ValueError(
                "`likelihood` says what plain arrays of other libraries' modules mean; members in "
                "JAX answer an array, a Normal or a Categorical themselves"
            )
        return cls(Population.of(members, seeds), weighting, **parts)

    @property
    def n_models(self) -> int:
        return self.population.n_models

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.population.seeds)

    def predict(self, x: Any, timespans: Any = None, mask: Any = None) -> Prediction:
        """What the members say, and what it comes to.

        Compiled once per length in time and per power of two of the batch.

        Args:
            x: (batch, time, features), or a `Sequences`. With a scaling: raw, NaN where missing.
            timespans: (batch, time), the time elapsed before each observation; 1 by default.
            mask: (batch, time), False in the padding.

        Returns:
            A `Prediction` with `.mean .std .aleatoric .epistemic .members .probabilities` and
            `.interval(level)`, in the targets' units.

        Raises:
            ValueError: inputs do not fit, or a member answers NaN: it is refused by number, never
                averaged in.
        """
        asked = checked(x, timespans, mask, gaps=self.scaling is not None)
        outputs = in_batches(self._ask, encoded(asked, self.scaling, _precision()))
        outputs = decoded(outputs, self.scaling, asked)
        refuse_nan(outputs, self.seeds)
        said = combined(self.weighting, outputs, asked, self.calibration)
        return recalibrated(said, self.recalibration)

    def recalibrate(
        self,
        sequences: Any,
        kind: Literal["auto", "temperature", "variance"] = "auto",
        by: Literal["crowd", "member"] = "crowd",
    ) -> Collective:
        """The collective with class probabilities, or predicted stds, made honest.

        Softens or sharpens what members say of their own uncertainty; see
        `shoal.equations.recalibration`. A calibration and a novelty reference are dropped: they
        belong to the answers as they were. Calibrate afterwards.

        Args:
            sequences: validation rows, which training did not see; as of `calibrate`.
            kind: "temperature" of classes, "variance" of normal members, or what fits them.
            by: "crowd", one number for which the crowd is honest; "member", one for each.

        Raises:
            ValueError: members are points, or answer something else than the kind is for.
        """
        raw = replace(self, recalibration=None, calibration=None).predict(sequences)
        y_mask = getattr(sequences, "y_mask", None)
        fitted = fit_recalibration(
            raw.outputs, raw.weights, sequences.y, y_mask, by, raw.pool, kind
        )
        return replace(self, recalibration=fitted, calibration=None, novelty=None)

    def calibrate(
        self,
        sequences: Any,
        *,
        score: Score | Literal["auto"] = "auto",
        method: Literal["conformal", "cqr"] = "conformal",
        levels: Sequence[float] = LEVELS,
    ) -> Collective:
        """The collective with conformal intervals, per horizon and target.

        The rows must be used for nothing else: not for training, early stopping, or weights. What
        is promised, and that it is not for series, is in `shoal.equations.conformal`.

        Args:
            sequences: with `x`, `timespans`, `mask`, `y`, `y_mask`, as `Sequences`; y in the units
                of the predictions.
            score: "absolute" |e|, "scaled" |e|/σ, or "auto": scaled where every σ is positive.
            method: "conformal", around the mean; or "cqr", the crowd's own interval moved at both
                ends, for intervals of the `levels` and no others.
        """
        if method not in ("conformal", "cqr"):
            raise ValueError(f'`method` must be "conformal" or "cqr", got {method!r}')
        raw, y_mask = self._uncalibrated(sequences), getattr(sequences, "y_mask", None)
        if method == "cqr":
            moved = fit_quantile_calibrations(raw, sequences.y, levels, y_mask)
            return replace(self, calibration=moved)
        fitted = fit_calibration(raw.mean, raw.std, sequences.y, y_mask, score)
        return replace(self, calibration=fitted)

    def calibrate_out_of_bag(self, sequences: Any, in_bag: Any) -> Collective:
        """The collective with intervals from its own training rows, each answered by the members
        that did not see it: no rows need to be set aside, where members were bagged.

        These are the first intervals of `shoal.score.EnbPI`, mean ∓ q; what they promise stands
        there. With `EnbPI` itself the window then follows the truths as they come.

        Args:
            sequences: the rows that the members were trained on; as of `calibrate`.
            in_bag: (members, rows), how often each row was drawn for each member.

        Raises:
            ValueError: members answer classes or are not averaged, or every member saw every row.
        """
        raw = self._uncalibrated(sequences)
        if raw.pool.kind != "mixture":
            raise ValueError(
                f"members are pooled by {raw.pool.kind!r}; those that did not see a row can only "
                "be averaged: use a weighting whose weights are shares"
            )
        mean, y = out_of_bag(raw.members, in_bag, raw.weights), np.asarray(sequences.y, float)
        if not np.isfinite(mean).any():
            raise ValueError("every member saw every row of `in_bag`; there is nothing to learn of")
        y_mask = getattr(sequences, "y_mask", None)
        seen = np.isfinite(mean) if y_mask is None else np.isfinite(mean) & y_mask
        fitted = fit_calibration(np.nan_to_num(mean), np.zeros_like(y), y, seen, "absolute")
        return replace(self, calibration=replace(fitted, method="enbpi"))

    def with_novelty(self, sequences: Any, measure: Measure = "epistemic") -> Collective:
        """The collective that knows which rows are unlike those it was validated on.

        `crowd.novelty.score(p)` and `.p_value(p)` then say so of each row of a prediction.

        Args:
            sequences: validation rows, which training did not see.
            measure: as of `shoal.score.novelty`.
        """
        return replace(self, novelty=fit_novelty(self.predict(sequences), measure))

    def select(self, indices: Sequence[int]) -> Collective:
        """The collective of some members.

        Recalibration, calibration and novelty are dropped: they were the whole crowd's.
        """
        return replace(
            self,
            population=self.population.select(indices),
            weighting=self.weighting.select(indices),
            calibration=None,
            recalibration=None,
            novelty=None,
        )

    def _uncalibrated(self, sequences: Any) -> Prediction:
        """What numbers the crowd predicts, with its own intervals."""
        raw = replace(self, calibration=None).predict(sequences)
        if isinstance(raw.outputs, Categorical):
            raise ValueError("classes have no intervals to calibrate")
        return raw

    def _ask(self, inputs: Inputs):
        return self.population(inputs.x, inputs.timespans, mask=inputs.mask)


def _precision() -> type:
    """What JAX works in."""
    return np.float64 if jax.config.jax_enable_x64 else np.float32  # pyright: ignore
