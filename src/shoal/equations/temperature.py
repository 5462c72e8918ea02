"""Temperature scaling: one number that makes class probabilities honest.

    p = softmax(z/T),     T = argmin over validation rows of −mean log p_y

T > 1 softens, T < 1 sharpens, and the most probable class stays what it was. Source: Guo et al.
2017, "On calibration of modern neural networks". In β = 1/T the loss is convex, with

    g(β) = mean (Σ_c p_c z_c − z_y),     g'(β) = mean Var_p(z) ≥ 0,

so that Newton's steps, kept inside a bracket that bisection narrows, always arrive.

A crowd has two ways. Each member its own T ("member") makes the *members* honest; their mean is
then too soft, because averaging softens once more. One T for all of them ("crowd"), for which the
*pooled* probabilities, as Σ_i w_i softmax(z_i/T), fit best, makes the crowd honest and is the
default (Rahaman & Thiery 2021; Wu & Gales 2021). That loss is not convex; it is searched along
log T. Hard votes do not listen to a temperature.

Rows must be validation rows: on training rows a network that learned them by heart seems honest.
Where every row is answered rightly, no finite T is best: it ends at a limit, as `at_limit` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any, ClassVar, Literal

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.members import check_members
from shoal.equations.minimum import minimise
from shoal.equations.outputs import Categorical
from shoal.equations.pooling import MIXTURE, Pool, pooled

LIMITS = (0.05, 20.0)  # of T


@dataclass(frozen=True)
class Temperature:
    """Temperatures, and what they were fitted on: plain facts that JSON can hold.

    Attributes:
        values: one T for every member, or a single one for all.
        rows: how many validation rows it was fitted on.
        before, after: mean negative log-likelihood of the crowd on those rows, in nats.
        at_limit: whether a T stands at the end of the range that was searched.

    >>> import numpy as np
    >>> Temperature((2.0,)).apply(np, Categorical(np.array([[[4.0, 0.0]]]))).logits
    array([[[2., 0.]]])
    """

    values: tuple[float, ...]
    rows: int = 0
    before: float | None = None
    after: float | None = None
    at_limit: bool = False
    kind: ClassVar[str] = "temperature"

    def __post_init__(self):
        object.__setattr__(self, "values", tuple(float(v) for v in self.values))
        if not self.values or not all(0 < v < float("inf") for v in self.values):
            raise ValueError(f"temperatures must be positive numbers, got {self.values!r}")

    def apply(self, xp: Any, outputs: Categorical) -> Categorical:
        """The members' logits (members, batch, classes), each divided by its temperature."""
        logits = outputs.logits
        if len(self.values) == 1:
            return Categorical(logits / self.values[0])
        if len(self.values) != logits.shape[0]:
            raise ValueError(
                f"there are {len(self.values)} temperatures, but {logits.shape[0]} members; "
                "fit them again on the validation rows of this crowd"
            )
        return Categorical(xp.stack([z / t for z, t in zip(logits, self.values, strict=True)]))

    def to_dict(self) -> dict[str, Any]:
        """The facts, as JSON has them."""
        facts = {"kind": self.kind, "values": list(self.values), "rows": self.rows}
        return facts | {"before": self.before, "after": self.after, "at_limit": self.at_limit}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Temperature:
        """What `to_dict` gave."""
        return cls(**{name: value for name, value in facts.items() if name != "kind"})


def fit_temperature(logits, labels) -> float:
    """The temperature of one model.

    Args:
        logits: (rows, classes), of rows that training did not see.
        labels: (rows,), 0 … classes − 1.

    Raises:
        ValueError: shapes, labels or logits do not fit.

    >>> import numpy as np
    >>> z = np.tile([2.0, 0.0], (4, 1))  # says 88 %, and is right in 3 of 4
    >>> round(fit_temperature(z, np.array([0, 0, 0, 1])), 4)  # 2/ln 3
    1.8205
    """
    logits, labels = _checked(np.asarray(logits, float)[None], labels)
    z = np.where(np.isfinite(logits[0]), logits[0] - logits[0].max(axis=-1, keepdims=True), -1e4)
    truth = z[np.arange(len(z)), labels]
    low, high = 1.0 / LIMITS[1], 1.0 / LIMITS[0]
    beta = 1.0
    for _ in range(100):
        p = softmax(np, beta * z)
        centre = (p * z).sum(axis=-1)
        slope = float((centre - truth).mean())
        low, high = (low, beta) if slope > 0 else (beta, high)
        bend = float((p * (z - centre[:, None]) ** 2).sum(axis=-1).mean())
        newton = beta - slope / bend if bend > 0 else np.inf
        after = newton if low < newton < high else 0.5 * (low + high)
        if abs(after - beta) <= 1e-12 * beta:
            break
        beta = after
    return float(np.clip(1.0 / beta, *LIMITS))


def fit_temperatures(
    outputs: Categorical,
    weights,
    labels,
    by: Literal["crowd", "member"] = "crowd",
    pool: Pool = MIXTURE,
) -> Temperature:
    """The temperature of a crowd, from validation rows.

    Args:
        outputs: logits (members, rows, classes).
        weights: (members,) or (members, rows), summing to one over the members.
        labels: (rows,).
        by: "crowd", one T that makes the pooled probabilities fit; "member", one each.
        pool: how the crowd pools, as of `Prediction.pool`.

    Raises:
        ValueError: a member answers NaN, shapes or labels do not fit, or the crowd takes hard
            votes, or members are parts of a sum and have no temperature of their own.

    >>> import numpy as np
    >>> z = np.tile([2.0, 0.0], (2, 4, 1))  # two members alike: the crowd is one of them
    >>> found = fit_temperatures(Categorical(z), np.array([0.5, 0.5]), np.array([0, 0, 0, 1]))
    >>> [round(t, 4) for t in found.values], found.after < found.before
    ([1.8205], True)
    """
    if by not in ("crowd", "member"):
        raise ValueError(f'`by` must be "crowd" or "member", got {by!r}')
    if pool.kind == "vote":
        raise ValueError("hard votes stay the same at any temperature; pool probabilities instead")
    if pool.kind == "sum" and by == "member":
        raise ValueError('parts of a sum have no temperature of their own; use by="crowd"')
    logits, labels = _checked(np.asarray(outputs.logits, float), labels)
    weights = np.asarray(weights, float)

    def surprise(values) -> float:
        said = Temperature(values).apply(np, Categorical(logits))
        return _surprise(pooled(np, pool, weights, said).mean, labels)

    if by == "member":
        values = tuple(fit_temperature(z, labels) for z in logits)
    else:
        place = minimise(lambda t: surprise((exp(t),)), log(LIMITS[0]), log(LIMITS[1]))
        values = (float(np.clip(exp(place), *LIMITS)),)
    edge = any(not LIMITS[0] * 1.0001 < v < LIMITS[1] / 1.0001 for v in values)
    return Temperature(values, len(labels), surprise((1.0,)), surprise(values), edge)


def _surprise(probabilities: np.ndarray, labels: np.ndarray) -> float:
    truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(truth, 1e-300)).mean())


def _checked(logits: np.ndarray, labels) -> tuple[np.ndarray, np.ndarray]:
    labels = np.asarray(labels)
    if logits.ndim != 3 or labels.shape != logits.shape[1:2] or not labels.size:
        raise ValueError(
            "`logits` must be (rows, classes), of a crowd (members, rows, classes), and `labels` "
            f"(rows,) with at least one row, got {logits.shape} and {labels.shape}"
        )
    if not (labels.min() >= 0 and labels.max() < logits.shape[-1]):
        raise ValueError(
            f"`labels` must lie in 0..{logits.shape[-1] - 1}, got {labels.min()}..{labels.max()}"
        )
    check_members(Categorical(logits))
    return logits, labels.astype(int)
