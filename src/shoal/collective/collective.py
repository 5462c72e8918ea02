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
from shoal.data.asking import Inputs, checked, decoded, encoded, refuse_nan
from shoal.equations.conformal import Calibration, Score, fit_calibration
from shoal.equations.outputs import Categorical
from shoal.equations.prediction import Prediction
from shoal.population import Population
from shoal.weighting import Uniform, Weighting, combined, resolve


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
        outputs = in_batches(self._ask, encoded(asked, self.scaling, _precision()))
        outputs = decoded(outputs, self.scaling, asked)
        refuse_nan(outputs, self.seeds)
        return combined(self.weighting, outputs, asked, self.calibration)

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

    def _ask(self, inputs: Inputs):
        return self.population(inputs.x, inputs.timespans, mask=inputs.mask)


def _precision() -> type:
    """What JAX works in."""
    return np.float64 if jax.config.jax_enable_x64 else np.float32  # pyright: ignore
