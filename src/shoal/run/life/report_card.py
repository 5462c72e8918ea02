"""How well a student does what its crowd does, on rows that neither learned from.

The likelihood, of the crowd too, is that of the normal distribution with its mean and its spread,
which is what the student was taught; of members that of what each says alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences

CROWD, BEST, MEAN, STUDENT = "crowd", "best member", "mean member", "student"
SCORES = ("rmse", "mae", "crps", "nll", "accuracy", "log_loss", "brier", "ece")


@dataclass(frozen=True)
class Card:
    """Scores on held-out rows.

    Attributes:
        rows: "crowd", "best member" (on the validation block), "mean member" and "student", each
            with scores by name; the members' are left out where they are parts of a sum.
        agreement: of numbers: apart (the RMSE between the two means, in the targets' units),
            spread_correlation and spread_ratio (student's over crowd's); of classes: same_class (a
            share) and divergence (KL in nats).
        kept: the crowd's RMSE over the student's, or the student's accuracy over the crowd's.
    """

    rows: dict[str, dict[str, Any]]
    agreement: dict[str, float | None]
    kept: float | None

    def __str__(self) -> str:
        return "; ".join(sentences(self))


def card(crowd: Collective, student: Collective, valid: Sequences, test: Sequences) -> Card:
    """The scores of a student beside those of its crowd.

    Args:
        valid: rows by which the best member is chosen.
        test: rows that they are compared on.
    """
    said, told = crowd.predict(test), student.predict(test)
    rows = {CROWD: figures(said, test)}
    if crowd.n_models > 1 and said.pool.kind != "sum":
        best = int(np.argmin(_errors(crowd.predict(valid), valid)))
        each = [_own(figures(alone(said, place), test)) for place in range(crowd.n_models)]
        rows |= {BEST: each[best], MEAN: _mean(each)}
    rows[STUDENT] = figures(told, test)
    classes = isinstance(said.outputs, Categorical)
    name = "accuracy" if classes else "rmse"
    ends = rows[STUDENT][name], rows[CROWD][name]
    kept = _ratio(*ends) if classes else _ratio(*ends[::-1])
    return Card(rows, (_same if classes else _agreement)(said, told), kept)


def figures(said: Prediction, block: Sequences) -> dict[str, Any]:
    """The overall scores of a prediction, its likelihood that of one normal."""
    from shoal.score import evaluate
    from shoal.score.distribution import nll_normal
    from shoal.score.points import masked_mean

    overall = dict(evaluate(said, block.y, block.y_mask)["overall"])
    if not isinstance(said.outputs, Categorical):
        overall["nll"] = None
        if (said.std > 0).all():
            surprise = nll_normal(said.mean, said.std, block.y)
            overall["nll"] = float(masked_mean(surprise, block.y, block.y_mask, None))
    return overall


def alone(said: Prediction, place: int) -> Prediction:
    """What one member of the crowd says."""
    one, outputs = slice(place, place + 1), said.outputs
    if isinstance(outputs, Normal | Categorical):
        return Prediction(type(outputs)(*(part[one] for part in outputs)), np.ones(1))
    return Prediction(outputs[one], np.ones(1))


def sentences(found: Card) -> list[str]:
    """What the card comes to, in words."""
    agreement = {k: "–" if v is None else f"{v:.3g}" for k, v in found.agreement.items()}
    kept = "–" if found.kept is None else f"{100 * found.kept:.1f} %"
    if "same_class" in agreement:
        return [
            f"the student keeps {kept} of the crowd's accuracy",
            f"it names the crowd's class in a share of {agreement['same_class']} of the rows, "
            f"{agreement['divergence']} nats from its probabilities",
        ]
    if found.agreement["spread_ratio"] is None:
        return [
            f"the crowd's RMSE is {kept} of the student's",
            f"their means are {agreement['apart']} apart (RMSE)",
            "the crowd says nothing of its spread, and the student's means nothing",
        ]
    return [
        f"the crowd's RMSE is {kept} of the student's",
        f"their means are {agreement['apart']} apart (RMSE)",
        f"spreads: correlation {agreement['spread_correlation']}, the student's "
        f"{agreement['spread_ratio']} times the crowd's on average",
    ]


def _errors(said: Prediction, block: Sequences) -> np.ndarray:
    """(members,) the RMSE of each, or of classes the log loss."""
    from shoal.score import evaluate

    members = evaluate(said, block.y, block.y_mask)["members"]
    values = members["log_loss" if "log_loss" in members else "rmse"]
    return np.array([np.inf if value is None else value for value in values])


def _own(row: dict[str, Any]) -> dict[str, Any]:
    """A member's scores; intervals are the crowd's."""
    return {name: row.get(name) for name in ("count", "std", *SCORES) if name in row}


def _mean(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean over the members of each score."""
    found: dict[str, Any] = {"count": each[0].get("count")}
    for name in ("std", *SCORES):
        values = [row.get(name) for row in each]
        if name in each[0]:
            found[name] = None if None in values else float(np.mean(values))  # type: ignore[arg-type]
    return found


def _agreement(said: Prediction, told: Prediction) -> dict[str, float | None]:
    crowd, student = said.std.ravel(), told.std.ravel()
    flat = min(crowd.std(), student.std()) <= 1e-9 * max(crowd.mean(), student.mean())
    return {
        "apart": float(np.sqrt(((said.mean - told.mean) ** 2).mean())),
        "spread_correlation": None if flat else float(np.corrcoef(crowd, student)[0, 1]),
        "spread_ratio": _ratio(student.mean(), crowd.mean()),
    }


def _same(said: Prediction, told: Prediction) -> dict[str, float | None]:
    p, logits = said.probabilities, told.outputs.logits[0]  # pyright: ignore
    q = np.clip(softmax(np, logits), 1e-30, None)
    divergence = (p * (np.log(np.clip(p, 1e-30, None)) - np.log(q))).sum(-1)
    return {
        "same_class": float((p.argmax(-1) == q.argmax(-1)).mean()),
        "divergence": float(divergence.mean()),
    }


def _ratio(above: Any, below: Any) -> float | None:
    if above is None or not below:
        return None
    return float(above / below)
