"""Out-of-distribution score: is a row unlike those on which the crowd was validated?

Members agree where data taught them the same, and part ways where it did not. The raw score u of a
row is, as asked,

    epistemic      mean over outputs of v_o/v̄_o, v the variance between members and v̄_o its mean
                   over the validation rows; for classes the mutual information
    total          the same of the total variance; for classes the entropy
    share          mean of epistemic/total: how much of the uncertainty is ignorance, not noise
    disagreement   for classes: the share of pairs of members that vote for unlike classes

and it is standardised against the n validation rows in two ways:

    score    (u − mean)/std                     in standard deviations; rank rows by it
    p_value  (1 + #{validation u ≥ u})/(n + 1)  the conformal p-value

If a row is exchangeable with the validation rows, P(p_value ≤ a) ≤ a: flagging p_value ≤ 0.01 gives
a false alarm for one row in a hundred at most, on average over validation sets (Vovk et al. 2005;
Bates et al. 2023); of several outputs nearly so, since their units v̄_o come from the same rows.
How many strange rows are caught is not promised: members can agree on nonsense. Source of the
idea: Lakshminarayanan et al. 2017; mutual information: Depeweg et al. 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shoal.equations.members import check_members
from shoal.equations.outputs import Categorical
from shoal.equations.prediction import Prediction

Measure = Literal["epistemic", "total", "share", "disagreement"]


@dataclass(frozen=True)
class Novelty:
    """The validation rows' raw scores, against which others are held: plain facts for JSON.

    Attributes:
        measure: "epistemic", "total", "share" or "disagreement".
        known: ascending raw scores of the validation rows.
        unit: (*outputs) v̄ of every output, nested lists; empty where the measure needs none.
    """

    measure: Measure
    known: tuple[float, ...]
    unit: list

    def score(self, prediction: Prediction) -> np.ndarray:
        """(rows,) standard deviations above the validation rows' mean: greater is stranger."""
        known = np.asarray(self.known)
        spread = known.std()
        return (self.raw(prediction) - known.mean()) / (spread if spread > 0 else 1.0)

    def p_value(self, prediction: Prediction) -> np.ndarray:
        """(rows,) in [1/(n + 1), 1]: small is strange."""
        known = np.asarray(self.known)
        below = np.searchsorted(known, self.raw(prediction), side="left")
        return (1.0 + len(known) - below) / (len(known) + 1.0)

    def raw(self, prediction: Prediction) -> np.ndarray:
        """(rows,) the measure itself."""
        check_members(prediction.outputs)
        found = _measure(prediction, self.measure)
        if not self.unit:
            return found.reshape(len(found), -1).mean(axis=1)
        unit = np.asarray(self.unit, float)
        if unit.shape != found.shape[1:]:
            raise ValueError(
                f"the prediction's outputs {found.shape[1:]} are not those of the validation rows, "
                f"{unit.shape}"
            )
        return (found / unit).reshape(len(found), -1).mean(axis=1)

    def to_dict(self) -> dict[str, Any]:
        """The facts, as JSON has them."""
        return {"measure": self.measure, "known": list(self.known), "unit": self.unit}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Novelty:
        """What `to_dict` gave."""
        return cls(facts["measure"], tuple(facts["known"]), facts["unit"])


def fit_novelty(prediction: Prediction, measure: Measure = "epistemic") -> Novelty:
    """The out-of-distribution score of a crowd, from its prediction of validation rows.

    Args:
        prediction: of rows that training did not see, as later rows are expected to be.
        measure: see the top of this file.

    Raises:
        ValueError: the measure does not fit the prediction, a member answers NaN, or there are no
            rows.

    >>> import numpy as np
    >>> apart = np.linspace(0.1, 1.0, 9)[:, None]
    >>> novelty = fit_novelty(Prediction(np.stack([-apart, apart]), np.full(2, 0.5)))
    >>> strange = Prediction(np.array([[[-3.0]], [[3.0]]]), np.full(2, 0.5))
    >>> novelty.score(strange).round(1), novelty.p_value(strange)
    (array([26.3]), array([0.1]))
    """
    check_members(prediction.outputs)
    _check_measure(prediction, measure)
    found = _measure(prediction, measure)
    unit: Any = []
    if measure in ("epistemic", "total") and found.ndim > 1:
        means = found.mean(axis=0)
        unit = np.where(means > 0, means, 1.0).tolist()
    raw = Novelty(measure, (), unit).raw(prediction)
    return Novelty(measure, tuple(np.sort(raw).tolist()), unit)


def _measure(p: Prediction, measure: Measure) -> np.ndarray:
    """(rows, *outputs), of classes (rows,)."""
    if measure == "disagreement":
        return _disagreement(p.members.argmax(axis=-1), p.members.shape[-1])
    if measure == "share":
        return np.where(p.total > 0, p.epistemic / np.where(p.total > 0, p.total, 1.0), 0.0)
    return p.epistemic if measure == "epistemic" else p.total


def _disagreement(votes: np.ndarray, classes: int) -> np.ndarray:
    """(rows,) the share of pairs that vote unlike, 1 − Σ_c n_c(n_c − 1)/(L(L − 1))."""
    members = len(votes)
    counts = (votes[..., None] == np.arange(classes)).sum(axis=0)
    return 1.0 - (counts * (counts - 1)).sum(axis=-1) / (members * (members - 1))


def _check_measure(p: Prediction, measure: str) -> None:
    if measure not in ("epistemic", "total", "share", "disagreement"):
        raise ValueError(
            f"`measure` must be epistemic, total, share or disagreement, got {measure!r}"
        )
    if measure == "disagreement" and not isinstance(p.outputs, Categorical):
        raise ValueError('"disagreement" counts votes for classes; use "epistemic" for numbers')
    if not len(p):
        raise ValueError("there are no validation rows to hold others against")
    if measure == "total":
        if not np.any(p.total):
            raise ValueError("these members predict no spread: there is nothing to score rows by")
    elif len(p.members) < 2:
        raise ValueError(f'one member alone cannot disagree; use measure="total", got {measure!r}')
    elif p.pool.kind == "sum":
        raise ValueError(f'parts of a sum do not disagree; use measure="total", got {measure!r}')
