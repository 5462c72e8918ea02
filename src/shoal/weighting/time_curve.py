"""Time curve: how much each member counts is a smooth function of elapsed time, learned.

    w(Δt) = softmax(θ(u)),   u = ln(1 + Δt/τ),   θ piecewise linear between knots, constant beyond

The knots are quantiles of the elapsed times seen, τ is their median. The θ of the knots make the
crowd's own loss on validation predictions small, pulled to uniform weights and to a curve that is
level: the loss plus `strength`·(mean of |θ − mean θ|² + mean of |steps between knots|²). Where
elapsed time says nothing, what comes out is `learned`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations import coupling, losses
from shoal.equations.combine import softmax
from shoal.equations.namespaces import alike, flags, floats, namespace
from shoal.equations.weights import ELAPSED, elapsed_of, of_curve
from shoal.weighting.evidence import Evidence, needed, not_fitted

_STEP = 1e-4  # of the differences that slopes are taken from


@dataclass(frozen=True)
class TimeCurve:
    """w(Δt) from a curve.

    Args:
        knots: how many at most, at least 2; fewer where elapsed times repeat.
        of: which elapsed time of a sample: its "last", their "sum" or "mean".
        per_batch: one weight for the whole batch, by its mean elapsed time.
        strength: of the pull to uniform and level, in units of the uniform crowd's loss.
        scale, places, logits: filled in by `fit`: τ, (knots,) on the scale of u, (knots, members).

    >>> rng = np.random.default_rng(0)
    >>> elapsed, y = rng.choice([1.0, 50.0], (200, 1)), np.zeros((200, 1))
    >>> predictions = np.stack([(elapsed > 9) * 1.0, (elapsed < 9) * 1.0])
    >>> rule = TimeCurve(strength=1e-4).fit(Evidence(np.ones(2), predictions, y, timespans=elapsed))
    >>> rule.weights(2, timespans=np.array([[1.0], [50.0]])).round(1).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    knots: int = 6
    of: str = "last"
    per_batch: bool = False
    strength: float = 0.01
    scale: float = 1.0
    places: tuple[float, ...] | None = None
    logits: tuple[tuple[float, ...], ...] | None = None
    kind: ClassVar[str] = "time_curve"
    learns: ClassVar[str] = "predictions"

    def __post_init__(self):
        if self.knots < 2:
            raise ValueError(f"`knots` must be at least 2, got {self.knots}")
        if self.of not in ELAPSED:
            raise ValueError(f"`of` must be one of {', '.join(ELAPSED)}, got {self.of!r}")
        if not 0 <= self.strength < float("inf"):
            raise ValueError(f"`strength` must be at least 0, got {self.strength!r}")

    def fit(self, evidence: Evidence) -> TimeCurve:
        from scipy.optimize import minimize

        predictions, y, known = needed(self.kind, evidence)
        elapsed = self._elapsed(evidence.timespans, evidence.mask)
        scale = float(np.median(elapsed)) or float(elapsed.mean()) or 1.0
        u = np.log1p(elapsed / scale)
        places = np.unique(np.quantile(u, np.linspace(0, 1, self.knots)))
        hats = np.stack([np.interp(u, places, row) for row in np.eye(len(places))])
        n = len(evidence.losses)
        loss = _Loss(predictions, y, known, hats, self.strength)
        start = np.zeros(len(places) * n)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-30, 30)] * len(start))
        logits = found.x.reshape(len(places), n)
        logits = logits - logits.max(1, keepdims=True)
        return replace(
            self,
            scale=scale,
            places=tuple(places.tolist()),
            logits=tuple(tuple(row) for row in logits.tolist()),
        )

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> Any:
        if self.logits is None or self.places is None:
            raise not_fitted(self.kind)
        if len(self.logits[0]) != n_models:
            raise ValueError(
                f"weighting {self.kind!r} has {len(self.logits[0])} weights, but there are "
                f"{n_models} members"
            )
        elapsed = self._elapsed(timespans, mask)
        if self.per_batch:
            elapsed = elapsed.mean() + 0.0 * elapsed
        xp = namespace(elapsed)
        return of_curve(
            xp, xp.log1p(elapsed / self.scale), self.places, alike(self.logits, elapsed)
        )

    def _elapsed(self, timespans: Any, mask: Any) -> Any:
        if timespans is None:
            raise ValueError(f"weighting {self.kind!r} depends on elapsed time; give `timespans`")
        timespans = floats(timespans)
        return elapsed_of(namespace(timespans), timespans, flags(mask, timespans), self.of)

    def select(self, indices: Sequence[int]) -> TimeCurve:
        if self.logits is None:
            return self
        return replace(self, logits=tuple(tuple(row[i] for i in indices) for row in self.logits))

    def to_dict(self) -> dict[str, Any]:
        names = ("knots", "of", "per_batch", "strength", "scale")
        return {
            "kind": self.kind,
            **{name: getattr(self, name) for name in names},
            "places": None if self.places is None else list(self.places),
            "logits": None if self.logits is None else [list(row) for row in self.logits],
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> TimeCurve:
        options = {name: value for name, value in given.items() if name != "kind"}
        if options.get("places") is not None:
            options["places"] = tuple(options["places"])
        if options.get("logits") is not None:
            options["logits"] = tuple(tuple(row) for row in options["logits"])
        return cls(**options)


class _Loss:
    """The crowd's loss by the knots' θ, and its slope.

    A row's loss depends on its own weights alone, so that its slope by them is had for all rows at
    once from two losses for each member; hats (knots, rows) take it on to the knots.
    """

    def __init__(self, predictions, y, known, hats, strength):
        self.predictions, self.y, self.known = predictions, y, known
        self.hats, self.strength = hats, strength
        self.name = losses.default_loss(predictions)
        self.unit = max(abs(self._rows(np.zeros((hats.shape[1], 1))).sum()), 1e-12)

    def _rows(self, logits: np.ndarray) -> np.ndarray:
        """The share of every row in the crowd's mean loss; logits (rows, members or 1)."""
        first = self.predictions[0] if isinstance(self.predictions, tuple) else self.predictions
        weights = softmax(np, logits + np.zeros(len(first))).T
        weights = weights.reshape(*weights.shape, *[1] * (self.y.ndim - 1))
        values = coupling.crowd_loss(np, self.name, self.predictions, weights, self.y)
        return (values * self.known).reshape(len(self.y), -1).sum(1) / max(self.known.sum(), 1.0)

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = theta.reshape(len(self.hats), -1)
        logits = self.hats.T @ theta
        each = np.eye(theta.shape[1]) * _STEP
        slopes = [self._rows(logits + one) - self._rows(logits - one) for one in each]
        slope = self.hats @ np.stack(slopes, 1) / (2 * _STEP * self.unit)
        apart = theta - theta.mean(1, keepdims=True)
        steps = np.diff(theta, axis=0)
        pull = (apart**2).mean() + (steps**2).mean() if len(steps) else (apart**2).mean()
        bent = 2 * apart / apart.size
        if len(steps):
            bent[1:] += 2 * steps / steps.size
            bent[:-1] -= 2 * steps / steps.size
        value = self._rows(logits).sum() / self.unit + self.strength * pull
        return float(value), (slope + self.strength * bent).ravel()
