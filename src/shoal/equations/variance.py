"""Variance recalibration: one factor that makes predicted standard deviations honest.

    σ → s·σ,     s² = mean ((y − μ)/σ)²                    over validation rows,

which is where −mean log N(y; μ, s²σ²) is lowest. s > 1 says that the stds were too small. Means
stay what they were. Source: Laves et al. 2020, "Well-calibrated regression uncertainty in medical
imaging with deep learning"; Levi et al. 2022, "Evaluating and calibrating uncertainty prediction in
regression tasks".

A crowd has two ways. Each member its own s ("member") makes the *members* honest, in closed form;
the crowd is then too cautious, since the errors that its mean averages away are still counted. One
s for all σ_i ("crowd"), for which the mixture Σ_i w_i N(μ_i, s²σ_i²) fits best, makes the crowd
honest, and is the default; it has no closed form and is searched along log s. It moves the
aleatoric part only: what members disagree about is theirs. Where the crowd pools otherwise than by
the mixture, its distribution is the normal with its mean and std, as its intervals have it.

Rows must be validation rows, on which nothing was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any, ClassVar, Literal

import numpy as np

from shoal.equations.combine import expand
from shoal.equations.intervals import mixture_log_density
from shoal.equations.members import check_members
from shoal.equations.minimum import minimise
from shoal.equations.outputs import Normal
from shoal.equations.pooling import MIXTURE, Pool, pooled

LIMITS = (0.01, 100.0)  # of s


@dataclass(frozen=True)
class VarianceScale:
    """Factors of the standard deviations, and what they were fitted on: plain facts for JSON.

    Attributes:
        values: nested lists that broadcast against the stds without their rows: (1 or members,
            *outputs or ones).
        rows: how many observed truths it was fitted on.
        before, after: mean negative log-likelihood of the crowd's mixture on them, in nats.
        at_limit: whether a factor stands at the end of the range that is allowed.

    >>> import numpy as np
    >>> scale = VarianceScale([[2.0]])  # one for all members and targets
    >>> scale.apply(np, Normal(np.zeros((3, 5, 1)), np.ones((3, 5, 1)))).std.max()
    np.float64(2.0)
    """

    values: list
    rows: int = 0
    before: float | None = None
    after: float | None = None
    at_limit: bool = False
    kind: ClassVar[str] = "variance"

    def __post_init__(self):
        values = np.asarray(self.values, float)
        if values.ndim < 1 or not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"factors of the stds must be positive numbers, got {self.values!r}")
        object.__setattr__(self, "values", values.tolist())

    def apply(self, xp: Any, outputs: Normal) -> Normal:
        """The members' normals, (members, batch, *outputs), with their stds scaled."""
        factors = np.asarray(self.values, float)
        if factors.size == 1:
            return Normal(outputs.mean, outputs.std * float(factors.reshape(())))
        shape = (outputs.std.shape[0], *outputs.std.shape[2:])
        if factors.ndim != len(shape) or any(
            f not in (1, n) for f, n in zip(factors.shape, shape, strict=True)
        ):
            raise ValueError(
                f"factors of shape {factors.shape} do not fit stds of (members, *outputs) = "
                f"{shape}; fit them again on the validation rows of this crowd"
            )
        make = getattr(xp, "asarray", None) or xp.array
        return Normal(outputs.mean, outputs.std * make(factors[:, None], dtype=outputs.std.dtype))

    def to_dict(self) -> dict[str, Any]:
        """The facts, as JSON has them."""
        facts = {"kind": self.kind, "values": self.values, "rows": self.rows}
        return facts | {"before": self.before, "after": self.after, "at_limit": self.at_limit}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> VarianceScale:
        """What `to_dict` gave."""
        return cls(**{name: value for name, value in facts.items() if name != "kind"})


def closed_form_scale(mean, std, y, y_mask=None, axis=None) -> np.ndarray:
    """s = √mean ((y − μ)/σ)² over `axis` (everything by default); NaN where nothing was observed.

    Args:
        mean, std, y: of one shape; y NaN or masked where there is no truth.

    >>> import numpy as np
    >>> closed_form_scale(np.zeros(2), np.ones(2), np.array([3.0, -3.0]))
    np.float64(3.0)
    """
    mean, std, y = (np.asarray(a, float) for a in (mean, std, y))
    seen = np.isfinite(y) if y_mask is None else np.asarray(y_mask, bool) & np.isfinite(y)
    seen = np.broadcast_to(seen, np.broadcast_shapes(seen.shape, mean.shape))
    squares = np.where(seen, (np.where(seen, y, 0.0) - mean) / std, 0.0) ** 2
    count = seen.sum(axis=axis)
    sums = squares.sum(axis=axis)
    return np.sqrt(np.where(count > 0, sums / np.maximum(count, 1), np.nan))


def fit_variance(
    outputs: Normal,
    weights,
    y,
    y_mask=None,
    by: Literal["crowd", "member"] = "crowd",
    per_output: bool = False,
    pool: Pool = MIXTURE,
) -> VarianceScale:
    """The factors of a crowd's stds, from validation rows.

    Args:
        outputs: means and stds (members, rows, *outputs).
        weights: (members,) or (members, rows), summing to one over the members.
        y: (rows, *outputs); NaN or masked where unobserved.
        by: "crowd", one factor for which the mixture fits best; "member", one each, closed form.
        per_output: a factor for every horizon and target of its own, instead of one for all; 1
            for an output that was never observed.
        pool: how the crowd pools, as of `Prediction.pool`.

    Raises:
        ValueError: a member answers NaN or a std that is not positive, shapes do not fit, or
            nothing was observed.

    >>> import numpy as np
    >>> y = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    >>> said = Normal(np.zeros((1, 4, 1)), np.full((1, 4, 1), 0.5))
    >>> found = fit_variance(said, np.ones(1), y, by="member")
    >>> np.round(found.values, 4).tolist(), found.rows  # √(2.5)/0.5
    ([[3.1623]], 4)
    """
    outputs, weights, y, seen = _checked(outputs, weights, y, y_mask, by)

    intercept = np.broadcast_to(np.asarray(pool.intercept, float), y.shape)

    def surprise(said: Normal, at=...) -> float:
        part = pool._replace(intercept=intercept[at])
        return _surprise(part, weights[at], said, y[at], seen[at])

    where = [...] if not per_output else [(..., *at) for at in np.ndindex(y.shape[1:])]
    if by == "member":
        factors = [_by_member(outputs, y, seen, at) for at in where]
    else:
        factors = [_by_crowd(surprise, outputs, seen, at) for at in where]
    shape = y.shape[1:] if per_output else (1,) * (y.ndim - 1)
    clipped = np.clip(np.stack(factors, axis=-1).reshape(-1, *shape), *LIMITS)
    at_limit = bool(((clipped <= LIMITS[0] * 1.0001) | (clipped >= LIMITS[1] / 1.0001)).any())
    after = VarianceScale(clipped.tolist()).apply(np, outputs)
    return VarianceScale(
        clipped.tolist(),
        rows=int(seen.sum()),
        before=surprise(outputs),
        after=surprise(after),
        at_limit=at_limit,
    )


def _by_member(outputs: Normal, y, seen, at) -> np.ndarray:
    pairs = zip(outputs.mean, outputs.std, strict=True)
    factors = [closed_form_scale(m[at], s[at], y[at], seen[at]) for m, s in pairs]
    return np.nan_to_num(np.stack(factors), nan=1.0)


def _by_crowd(surprise, outputs: Normal, seen, at) -> np.ndarray:
    if not seen[at].any():
        return np.ones(1)
    mean, std = outputs.mean[at], outputs.std[at]

    def scaled(place: float) -> float:
        return surprise(Normal(mean, std * exp(place)), at)

    return np.array([exp(minimise(scaled, log(LIMITS[0]), log(LIMITS[1])))])


def _surprise(pool: Pool, weights, outputs: Normal, y, seen) -> float:
    y = np.where(seen, y, 0.0)
    if pool.kind == "mixture":
        logs = mixture_log_density(np, y, weights, outputs.mean, outputs.std)
    else:
        found = pooled(np, pool, weights, outputs)
        one = np.ones((1, *found.mean.shape))
        logs = mixture_log_density(np, y, one, found.mean[None], np.sqrt(found.total)[None])
    return float(-logs[seen].mean())


def _checked(outputs: Normal, weights, y, y_mask, by):
    if by not in ("crowd", "member"):
        raise ValueError(f'`by` must be "crowd" or "member", got {by!r}')
    if not isinstance(outputs, Normal):
        raise ValueError(
            "variance recalibration needs members that answer a `Normal(mean, std)`, found "
            f"{type(outputs).__name__}; points have no std to scale"
        )
    mean, std, y = (np.asarray(a, float) for a in (*outputs, y))
    if mean.shape[1:] != y.shape or std.shape != mean.shape:
        raise ValueError(
            f"`y` must be (rows, *outputs) = {mean.shape[1:]} as the members' means, got {y.shape}"
        )
    check_members(Normal(mean, std))
    if not (std > 0).all():
        raise ValueError("the members' stds must all be positive; a std of 0 cannot be scaled")
    seen = np.isfinite(y) if y_mask is None else np.asarray(y_mask, bool) & np.isfinite(y)
    if not seen.any():
        raise ValueError("no truth of the validation rows was observed; there is nothing to fit")
    weights = np.asarray(weights, float)
    wide = np.broadcast_to(expand(weights, mean), mean.shape)
    return Normal(mean, std), wide, y, seen
