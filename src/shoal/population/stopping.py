"""When a member stops: too far behind the crowd, no longer improving, or diverged.

Across the ensemble, with L the members' losses of an epoch,

    member i is behind  ⇔  L_i > min L + σ·s,    s = max(1.4826·MAD(L), median L − min L),

over all members that have not diverged; those stopped count with their last loss, so that neither
an outlier hides itself in the spread nor does stopping one make the next look bad. A member that
stays behind for `patience` epochs after the warm-up is stopped.

A member's best parameters are those of the smallest loss that was measured of them. Validation
samples are answered by the parameters that an epoch ends with. Where there are none the training
loss serves, and that belongs to the parameters that the epoch began with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

ACTIVE, STOPPED, EARLY, DIVERGED = 0, 1, 2, 3
NAMES = ("active", "stopped", "early", "diverged")


class Rule(Protocol):
    """What ends members before their time; it must follow from the ledger and its own fields."""

    def ends(self, ledger: Ledger, epoch: int) -> Iterable[tuple[int, str]]:
        """Whom to stop after an epoch (counted from 0), each with the reason."""
        ...


@dataclass(frozen=True)
class Stopping:
    """The rule across the ensemble.

    Args:
        sigma: how many spreads behind the best is too far.
        warmup: epochs in which nobody is stopped.
        patience: epochs in a row that a member may be behind.
        min_members: with fewer members the rule is off; at least 2.
    """

    sigma: float = 2.0
    warmup: int = 5
    patience: int = 3
    min_members: int = 4

    def __post_init__(self):
        rules = (("sigma", 0.0, False), ("warmup", 0, True), ("patience", 1, True))
        for name, least, reached in (*rules, ("min_members", 2, True)):
            value = getattr(self, name)
            if not (value >= least if reached else value > least):
                rule = "at least" if reached else "greater than"
                raise ValueError(f"`stopping.{name}` must be {rule} {least}, got {value}")

    def ends(self, ledger: Ledger, epoch: int) -> Iterable[tuple[int, str]]:
        """Those that stayed behind for `patience` epochs."""
        if len(ledger.code) < self.min_members or epoch < self.warmup:
            return ()
        late = behind(ledger.last_loss, self.sigma)
        ledger.strikes = np.where(late, ledger.strikes + 1, 0)
        found = np.flatnonzero(ledger.active & (ledger.strikes >= self.patience))
        reason = f"more than {self.sigma:g} spreads behind the best for {self.patience} epochs"
        return [(int(member), reason) for member in found]


def spread(losses: Float[np.ndarray, " members"]) -> float:
    """max(1.4826·MAD, median − best).

    >>> spread(np.array([1.0, 2.0, 3.0, 100.0]))
    1.5
    """
    median = np.median(losses)
    deviation = 1.4826 * np.median(np.abs(losses - median))
    return float(max(deviation, median - losses.min()))


def behind(losses: Float[np.ndarray, " members"], sigma: float) -> Bool[np.ndarray, " members"]:
    """Who is more than `sigma` spreads worse than the best; NaN (diverged) counts nowhere."""
    known = np.isfinite(losses)
    if not known.any():
        return np.zeros_like(known)
    best = losses[known].min()
    resolution = 1e-6 * abs(best)  # what float32 losses cannot tell apart is no distance
    limit = best + sigma * max(spread(losses[known]), resolution)
    return known & (np.where(known, losses, -np.inf) > limit)


@dataclass
class Ledger:
    """What is known of every member; arrays of (members,)."""

    code: np.ndarray
    strikes: np.ndarray
    best_loss: np.ndarray
    best_epoch: np.ndarray
    last_loss: np.ndarray
    end_epoch: np.ndarray
    own_loss: np.ndarray  # of the best parameters, where the crowd's loss chose them
    reasons: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, n_models: int) -> Ledger:
        return cls(
            code=np.zeros(n_models, np.int32),
            strikes=np.zeros(n_models, np.int32),
            best_loss=np.full(n_models, np.inf),
            best_epoch=np.full(n_models, -1, np.int32),
            last_loss=np.full(n_models, np.nan),
            end_epoch=np.full(n_models, -1, np.int32),
            own_loss=np.full(n_models, np.inf),
            reasons=[""] * n_models,
        )

    @property
    def active(self) -> Bool[np.ndarray, " members"]:
        return self.code == ACTIVE

    def end(self, member: int | np.integer, code: int, epoch: int, reason: str) -> None:
        self.code[member], self.end_epoch[member] = code, epoch
        self.reasons[member] = reason

    def diverge(self, member: int | np.integer, epoch: int, reason: str) -> None:
        self.end(member, DIVERGED, epoch, reason)
        self.last_loss[member] = np.nan

    def enter(
        self,
        epoch: int,
        scores: Float[np.ndarray, " members"],
        own: Float[np.ndarray, " members"],
        known: Bool[np.ndarray, " members"],
    ) -> None:
        """Scores, and members' own losses, of the parameters that `epoch` ended with."""
        better = known & (scores < self.best_loss)
        self.best_loss[better], self.best_epoch[better] = scores[better], epoch
        self.own_loss[better] = own[better]


def judge(
    ledger: Ledger,
    epoch: int,
    scores: Float[np.ndarray, " members"],
    healthy: Bool[np.ndarray, " members"],
    stopping: Rule | None,
    patience: int | None,
    worked: Bool[np.ndarray, " members"] | None = None,
    own: Float[np.ndarray, " members"] | None = None,
    known: Bool[np.ndarray, " members"] | None = None,
) -> None:
    """Enters an epoch's results into the ledger and ends the members whose time has come.

    Args:
        scores: what is to be small.
        healthy: whose loss and parameters are finite.
        worked: who trained, by default everybody that has not ended.
        own: members' own losses, where the scores are others.
        known: None where the scores belong to the parameters that the epoch ended with; else they
            belong to those it began with, and this says whose count.
    """
    worked = ledger.active if worked is None else worked
    own = scores if own is None else own
    scored = epoch if known is None else epoch - 1
    ledger.enter(scored, scores, own, worked & (healthy if known is None else known))
    for member in np.flatnonzero(worked & ~healthy):
        ledger.diverge(member, epoch, f"loss or parameters not finite in epoch {epoch + 1}")
    worked = worked & healthy
    ledger.last_loss[worked] = scores[worked]
    if stopping is not None:
        for member, reason in stopping.ends(ledger, epoch):
            ledger.end(member, STOPPED, epoch, reason)
    if patience is not None:
        late = (scored - ledger.best_epoch >= patience) & (ledger.best_epoch >= 0)
        for member in np.flatnonzero(worked & late):
            ledger.end(member, EARLY, epoch, f"no better for {patience} epochs")
