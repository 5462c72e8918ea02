"""Crowds of modules of another framework: what `shoal.torch` and `shoal.mlx` have in common.

    y = Σ_i w_i(x, Δt) · f_i(x, Δt)

Asking, checking and weighting are the very code that bundles without JAX are asked by; fitting a
rule is that of `shoal.weighting`. A framework adds how one module is called.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from shoal.bundle.crowd import Crowd
from shoal.equations.conformal import Calibration, Score, fit_calibration
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.population.samples import as_samples
from shoal.weighting import Evidence, Weighting, resolve
from shoal.weighting.evidence import needed, row_losses


class CrowdOfModules:
    """What is asked of the modules of a crowd, whatever their framework.

    A subclass holds `seeds` and `likelihood`, and says how one of its `members` is asked, what its
    `weighting` is, and how a crowd of other members or another rule is made.
    """

    members: Any
    seeds: tuple[int, ...]
    likelihood: str | None
    _calibration: Calibration | None = None

    @property
    @abstractmethod
    def weighting(self) -> Weighting:
        """How much each member counts, with what was learned so far."""

    @abstractmethod
    def _ask(self, member: Any, x: np.ndarray, timespans: Any, mask: Any) -> Any:
        """What a member answers, in NumPy; without dropout or gradients."""

    @abstractmethod
    def _anew(self, members: Sequence[Any], weighting: Weighting, seeds: Sequence[int]) -> Any:
        """A crowd of the same kind."""

    @abstractmethod
    def _dtype(self) -> Any:
        """NumPy's name of the floats that the members take."""

    @abstractmethod
    def _in_numpy(self, array: Any) -> Any:
        """Arrays of the framework as NumPy's; others as they are."""

    @property
    def n_models(self) -> int:
        return len(self.members)

    def predict(self, x: Any, timespans: Any = None, mask: Any = None) -> Prediction:
        """What the members say, and what it comes to; without dropout or gradients.

        Args:
            x: (batch, time, features) or (batch, features), of NumPy or the framework; or an object
                with `x`, `timespans` and `mask`.
            timespans: (batch, time), the time elapsed before each observation.
            mask: (batch, time), False in the padding; for members that take a `mask`.

        Returns:
            A `Prediction` of NumPy arrays with `.mean .std .aleatoric .epistemic .members
            .probabilities` and `.interval(level)`, as `shoal.Collective` gives it.

        Raises:
            ValueError: inputs do not fit, members answer in unlike shapes, or one answers NaN: it
                is refused by number, never averaged in.
        """
        given = map(self._in_numpy, (x, timespans, mask))
        return self._crowd().predict(*given)

    def weigh(self, weighting: Any, valid: Any) -> Any:
        """The crowd, of the same members, with a rule that was fitted to validation samples.

        Args:
            weighting: a rule of `shoal.weighting`, its name, or its dict.
            valid: samples that the members were not trained on: (x, y), (x, timespans, y), or an
                object with x, timespans, mask, y and y_mask.

        Raises:
            ValueError: the rule cannot learn from such answers.
        """
        rule = resolve(weighting)
        samples = as_samples(_numbers(self._in_numpy, valid), "valid")
        outputs = self.predict(samples.x, samples.timespans, samples.mask).outputs
        given = {"x": samples.x, "timespans": samples.timespans, "mask": samples.mask}
        unknown = Evidence(np.zeros(self.n_models), outputs, samples.y, samples.y_mask, **given)
        _, y, known = needed(rule.kind, unknown)
        losses = row_losses(outputs, y, known)
        counts = known.reshape(len(y), -1).sum(1)
        means = (losses * counts).sum(1) / max(counts.sum(), 1.0)
        return self.with_weighting(rule.fit(unknown._replace(losses=means)))

    def calibrate(self, rows: Any, *, score: Score | Literal["auto"] = "auto") -> Any:
        """The crowd, of the same members, with conformal intervals, per horizon and target.

        The rows must be used for nothing else: not for training, early stopping, or weights; and
        the members must not be trained on afterwards. What is promised, and that it is not for
        series, is in `shoal.equations.conformal`.

        Args:
            rows: samples, as of `weigh`.
            score: "absolute" |e|, "scaled" |e|/σ, or "auto": scaled where every σ is positive.

        Raises:
            ValueError: the members answer classes.
        """
        samples = as_samples(_numbers(self._in_numpy, rows), "rows")
        crowd = self.with_weighting(self.weighting)
        raw = crowd.predict(samples.x, samples.timespans, samples.mask)
        if isinstance(raw.outputs, Categorical):
            raise ValueError("classes have no intervals to calibrate")
        crowd._calibration = fit_calibration(raw.mean, raw.std, samples.y, samples.y_mask, score)
        return crowd

    def with_weighting(self, weighting: Any) -> Any:
        """The crowd, of the same members, with another rule, and without a calibration."""
        return self._anew(list(self.members), resolve(weighting), self.seeds)

    def select(self, indices: Sequence[int]) -> Any:
        """The crowd of some members, which it shares with this one.

        Raises:
            ValueError: no member is named.
        """
        places = [range(self.n_models)[int(i)] for i in indices]
        members, seeds = list(self.members), self.seeds
        rule = self.weighting.select(places)
        return self._anew([members[i] for i in places], rule, [seeds[i] for i in places])

    def _crowd(self) -> Crowd:
        """The crowd as bundles have it."""
        return Crowd(
            members=list(self.members),
            seeds=self.seeds,
            weighting=self.weighting,
            scaling=None,
            schema=None,
            calibration=self._calibration,
            descriptions=({},) * self.n_models,
            ask=self._ask,
            dtype=self._dtype(),
        )


def check_members(members: Any, kind: type, name: str) -> list[Any]:
    """The members as a list, refused where there is none or one is no module."""
    members = list(members)
    if not members:
        raise ValueError("`members` must hold at least one module, got none")
    for index, member in enumerate(members):
        if not isinstance(member, kind):
            raise ValueError(
                f"`members` must be {name} objects; member {index} is a {type(member).__name__}. "
                "`shoal.Collective.of` takes members of any library"
            )
    return members


def check_seeds(seeds: Sequence[int] | None, count: int) -> tuple[int, ...]:
    """One whole number per member; 0, 1, … where none are given."""
    found = tuple(range(count) if seeds is None else map(int, seeds))
    if len(found) != count:
        raise ValueError(f"`seeds` must have one number per member, {count}, got {len(found)}")
    return found


def trainable_logits(rule: Any, count: int) -> np.ndarray | None:
    """θ of a rule whose weights are a softmax of it, zeros at the start; None where there is none.

    >>> trainable_logits(resolve("learned"), 2), trainable_logits(resolve("uniform"), 2)
    (array([0., 0.]), None)
    """
    logits = getattr(rule, "logits", None)
    if logits is None:
        return np.zeros(count) if rule.kind == "learned" else None
    found = np.asarray(logits, float)
    if found.shape[-1] != count:
        raise ValueError(
            f"weighting {rule.kind!r} has {found.shape[-1]} weights, but there are {count} members"
        )
    return found


def with_logits(rule: Any, logits: Any) -> Any:
    """The rule with other θ: an array of the framework, or nested lists of numbers."""
    return replace(rule, logits=_tuples(logits) if isinstance(logits, list) else logits)


def in_double(answer: Any, function: Callable) -> Any:
    """An answer in NumPy, by the function that brings one array there."""
    if isinstance(answer, Normal | Categorical):
        return type(answer)(*map(function, answer))
    return function(answer)


def _numbers(in_numpy: Callable, data: Any) -> Any:
    """Samples whose arrays are NumPy's."""
    if isinstance(data, tuple | list) and not hasattr(data, "_fields"):
        return tuple(map(in_numpy, data))
    return data


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
