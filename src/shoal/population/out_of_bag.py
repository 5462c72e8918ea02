"""How good bagged members are on the samples that were left out of their bags.

    each member   its mean loss over the samples that it did not draw
    the crowd     the mean loss over all samples of those members' mean that did not draw it

About 37 % of the samples are left out of each bag, so that no block need be set aside. A sample's
crowd has about a third of the members, which makes it look a little worse than it is. Where
the best epoch was chosen on the training samples, the choice has seen these too. Source: Breiman,
"Out-of-bag estimation", 1996.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from shoal.equations import coupling, losses
from shoal.population.objective import Loss, prediction_loss, target_weights
from shoal.population.regimes.plan import Answers
from shoal.population.samples import Samples


@dataclass(frozen=True)
class OutOfBag:
    """What the left out samples say.

    Attributes:
        members: (n_models,) each member's loss, NaN of one that drew all, or is not usable.
        crowd: the loss of the crowd; NaN where every sample is in every bag.
        rows: how many samples were left out of some member's bag.
    """

    members: np.ndarray
    crowd: float
    rows: int

    def facts(self) -> dict[str, float | int | None]:
        """The crowd's part as JSON."""
        return {"loss": self.crowd if np.isfinite(self.crowd) else None, "rows": self.rows}


def out_of_bag(
    loss: Loss, answers: Answers, train: Samples, bags: np.ndarray, usable: Sequence[int]
) -> OutOfBag:
    """The score of members trained on `bags`, (n_models, rows) how often each row was drawn.

    The crowd's loss is that of its mean (of its mixture, where members answer distributions) by the
    loss's name, or where it is a function by the one that fits the kind of answer.
    """
    found = {i: answers(i, False) for i in usable}
    unseen = np.asarray(bags) == 0
    members = np.full(len(bags), np.nan)
    for i, answer in found.items():
        if unseen[i].any():
            members[i] = float(prediction_loss(loss, answer, train, jnp.asarray(unseen[i]))[0])
    shares = unseen[list(usable)].astype(float)
    rows = np.flatnonzero(shares.sum(0))
    crowd = _crowd_loss(loss, list(found.values()), train, shares, rows) if len(rows) else np.nan
    return OutOfBag(members, crowd, len(rows))


def _crowd_loss(loss: Loss, answers: list, train: Samples, shares: np.ndarray, rows) -> float:
    outputs = jax.tree.map(lambda *parts: np.stack([np.asarray(p)[rows] for p in parts]), *answers)
    shares = shares[:, rows] / shares[:, rows].sum(0)
    samples = jax.tree.map(lambda array: array[rows], train)
    named = loss if isinstance(loss, str) else losses.default_loss(outputs)
    values = coupling.crowd_loss(np, named, outputs, shares, samples.y)
    weights = np.asarray(target_weights(samples, jnp.ones(len(rows))), float)
    return float(losses.weighted_mean(np, values, weights))
