"""What training tells while it runs, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.population.history import History
from shoal.population.stopping import ACTIVE, NAMES, Ledger

if TYPE_CHECKING:
    from shoal.population.members import Population
    from shoal.population.out_of_bag import OutOfBag


@dataclass(frozen=True)
class EpochInfo:
    """What `on_epoch` is told; arrays have one entry per member, NaN where it did not train.

    `active` marks who trained in this epoch, `status` says how each stands after it ("active",
    "stopped", "early", "diverged"); `seconds` is this epoch's time, `elapsed` that since `fit`
    began.
    """

    epoch: int
    epochs: int
    train_loss: np.ndarray
    valid_loss: np.ndarray
    best_loss: np.ndarray
    active: np.ndarray
    status: list[str]
    seconds: float
    elapsed: float


@dataclass(frozen=True)
class Fitted:
    """What training leaves.

    `population` holds each member's best parameters, `last` the last ones. `status` has one dict
    per member: index, seed, status ("finished", "stopped" across the ensemble, "early",
    "diverged", "interrupted"), best_epoch, best_loss, final_loss (None where there is no finite
    one), epochs (how many it trained), reason, usable. Best parameters are such as a finite loss
    was measured of; a member that never had any is not usable, and if it diverged its parameters
    are NaN. `Collective(fitted)` leaves such members out. `strategy` is the one that was used, and
    `regime` too. `weighting` is how boosted members must be combined, as `Collective` takes it;
    None where any weighting serves. `out_of_bag` is the score of bagged members on the samples that
    were left out of their bags (`shoal.population.out_of_bag`), None of others; then the status has
    each one's `out_of_bag_loss` too.
    """

    population: Population | Any
    last: Population | Any
    history: History
    status: list[dict[str, Any]]
    strategy: str
    regime: Any = None
    weighting: dict[str, Any] | None = None
    out_of_bag: OutOfBag | None = None

    @property
    def interrupted(self) -> bool:
        return any(s["status"] == "interrupted" for s in self.status)

    @property
    def usable(self) -> list[int]:
        """The members that may be used: those with a finite loss."""
        return [s["index"] for s in self.status if s["usable"]]


def statuses(
    seeds: tuple[int, ...], ledger: Ledger, history: History, *, interrupted: bool
) -> list[dict[str, Any]]:
    """How every member ended."""
    unfinished = "interrupted" if interrupted else "finished"
    epochs = history.matrix("worked").astype(int).sum(axis=0)

    def one(i: int) -> dict[str, Any]:
        code = int(ledger.code[i])
        usable = bool(np.isfinite(ledger.best_loss[i]))
        final = float(ledger.last_loss[i])
        return {
            "index": i,
            "seed": seeds[i],
            "status": unfinished if code == ACTIVE else NAMES[code],
            "best_epoch": int(ledger.best_epoch[i]) if usable else None,
            "best_loss": float(ledger.own_loss[i]) if usable else None,
            "final_loss": final if np.isfinite(final) else None,
            "epochs": int(epochs[i]),
            "reason": ledger.reasons[i] or ("" if usable or epochs[i] else "it was not trained"),
            "usable": usable,
        }

    return [one(i) for i in range(len(seeds))]


def with_out_of_bag(status: list[dict[str, Any]], losses: np.ndarray) -> list[dict[str, Any]]:
    """The status with each member's loss on what was left out of its bag; None for none."""
    told = [float(loss) if np.isfinite(loss) else None for loss in losses]
    return [{**one, "out_of_bag_loss": own} for one, own in zip(status, told, strict=True)]
