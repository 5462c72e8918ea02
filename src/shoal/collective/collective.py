"""The collective: a population with a weighting, asked as one.

    y = Σ_i w_i(x, Δt) · f_i(x, Δt)

Members see encoded inputs and answer in scaled units; with a `scaling` the collective takes raw
inputs, with NaN where a feature is missing, and answers in the targets' own units. Encoding and the
way back are done in double precision. Checks of values are out here, so that members stay pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np

from shoal.collective.batches import in_batches
from shoal.collective.foreign import ForeignPopulation, is_foreign
from shoal.collective.inputs import Inputs, checked
from shoal.equations.conformal import Calibration, Score, fit_calibration
from shoal.equations.outputs import Categorical
from shoal.equations.prediction import Prediction
from shoal.population import Population
from shoal.weighting import Uniform, Weighting, resolve


@dataclass(frozen=True)
class Collective:
    """Many members, one answer.

    Args:
        population: the members, a `Population`.
        weighting: how much each counts: a rule of `shoal.weighting`, its name, or its dict.
        scaling: a `shoal.data.Scaling`, where members were trained on encoded data.
        calibration: of `calibrate`; makes the intervals conformal.
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
    weighting: Weighting = field(default_factory=Uniform)
    scaling: Any = field(default=None, kw_only=True)
    calibration: Calibration | None = field(default=None, kw_only=True)
    schema: Any = field(default=None, kw_only=True)

    def __post_init__(self):
        object.__setattr__(self, "weighting", resolve(self.weighting))

    @classmethod
    def of(cls, members: Sequence[Any], weighting: Any = "uniform", *, seeds=None, **parts: Any):
        """The collective of members that exist already, of whatever structure or library.

        Args:
            members: models called as `member(x, timespans)`: Equinox modules, functions,
                PyTorch modules, scikit-learn and XGBoost predictors.
            weighting: as of `Collective`; `parts` too.
            seeds: one per member, for the record.
        """
        kind = ForeignPopulation if any(map(is_foreign, members)) else Population.of
        return cls(kind(members, seeds), weighting, **parts)

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
        outputs = in_batches(self._ask, self._encoded(asked))
        if self.scaling is not None:
            outputs = _decoded(self.scaling, outputs, asked)
        _refuse_nan(outputs, self.seeds)
        weights = self.weighting.weights(self.n_models, asked.x, asked.timespans)
        return Prediction(outputs, weights, self.calibration)

    def calibrate(self, sequences: Any, *, score: Score | Literal["auto"] = "auto") -> Collective:
        """The collective with conformal intervals, per horizon and target.

        The rows must be used for nothing else: not for training, early stopping, or weights. What
        is promised, and that it is not for series, is in `shoal.equations.conformal`.

        Args:
            sequences: with `x`, `timespans`, `mask`, `y`, `y_mask`, as `Sequences`; y in the units
                of the predictions.
            score: "absolute" |e|, "scaled" |e|/σ, or "auto": scaled where every σ is positive.
        """
        raw = replace(self, calibration=None).predict(sequences)
        if isinstance(raw.outputs, Categorical):
            raise ValueError("classes have no intervals to calibrate")
        y_mask = getattr(sequences, "y_mask", None)
        fitted = fit_calibration(raw.mean, raw.std, sequences.y, y_mask, score)
        return replace(self, calibration=fitted)

    def select(self, indices: Sequence[int]) -> Collective:
        """The collective of some members. A calibration is dropped: it was the whole crowd's."""
        return replace(
            self,
            population=self.population.select(indices),
            weighting=self.weighting.select(indices),
            calibration=None,
        )

    def _encoded(self, asked: Inputs) -> Inputs:
        x, timespans = asked.x, asked.timespans
        if self.scaling is not None:
            _check_features(x, self.scaling)
            if timespans is None:
                timespans = np.ones(x.shape[:2])
            x = self.scaling.encode(np, x.astype(np.float64), timespans, asked.mask)
        elif asked.mask is not None and np.issubdtype(x.dtype, np.floating):
            x = np.where(asked.mask[..., None], x, 0.0)  # padding may hold NaN
        return Inputs(_floats(x), None if timespans is None else _floats(timespans), asked.mask)

    def _ask(self, inputs: Inputs):
        return self.population(inputs.x, inputs.timespans, mask=inputs.mask)


def _check_features(x: np.ndarray, scaling: Any) -> None:
    names = scaling.names
    if x.ndim != 3 or x.shape[-1] != len(names):
        raise ValueError(
            f"`x` must be (batch, time, features) with the {len(names)} features "
            f"{', '.join(names)}; got {x.shape}"
        )


def _floats(a: np.ndarray) -> np.ndarray:
    """Floats in the precision that JAX works in; integers as they are."""
    if not np.issubdtype(a.dtype, np.floating):
        return a
    return a.astype(np.float64 if jax.config.jax_enable_x64 else np.float32)  # pyright: ignore


def _decoded(scaling: Any, outputs: Any, asked: Inputs):
    if isinstance(outputs, Categorical):
        return outputs
    return scaling.decode(np, outputs, asked.x, asked.mask)


def _refuse_nan(outputs: Any, seeds: Sequence[int]) -> None:
    if isinstance(outputs, Categorical):  # a logit may be −inf, but not all of them
        fine = ~np.isnan(outputs.logits).any(-1) & (outputs.logits.max(-1) < np.inf)
        fine &= outputs.logits.max(-1) > -np.inf
    else:
        fine = np.all([np.isfinite(part) for part in jax.tree.leaves(outputs)], axis=0)
    fine = fine.reshape(*fine.shape[:2], -1).all(-1)
    if fine.all():
        return
    nobody = np.flatnonzero(~fine.any(0))
    if len(nobody):
        raise ValueError(
            f"no member has a finite prediction for row {nobody[0]} (of {len(nobody)} such rows); "
            "where targets are changes, x must hold at least one value of each target"
        )
    bad = np.flatnonzero(~fine.all(1))
    named = ", ".join(f"{i} (seed {seeds[int(i)]})" for i in bad)
    good = np.flatnonzero(fine.all(1)).tolist()
    raise ValueError(
        f"members {named} predict values that are not finite; "
        f"leave them out with `crowd.select({good})`"
    )
