"""Training a population: the one loop over epochs.

Everything that a member's training depends on is its seed, the data, their order (`data_seed` and
the epoch's number) and its own settings, so that a member trained in a crowd is the member trained
alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax

from shoal.neurons.frozen import set_dropout
from shoal.population import optimiser, samples
from shoal.population.checkpoint import Checkpoint
from shoal.population.history import History
from shoal.population.members import Group, Population
from shoal.population.objective import Loss, check_loss
from shoal.population.resume import Fingerprint, Record
from shoal.population.stopping import ACTIVE, NAMES, Ledger, Stopping, judge
from shoal.population.strategy import choose
from shoal.population.train import Lesson
from shoal.population.training_group import TrainingGroup, device_mesh

_VALID_BATCH = 256


@dataclass(frozen=True)
class EpochInfo:
    """What `on_epoch` is told; arrays have one entry per member, NaN where it did not train."""

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
    one), epochs, reason, usable. A member that never had a finite loss is not usable.
    """

    population: Population
    last: Population
    history: History
    status: list[dict[str, Any]]
    strategy: str

    @property
    def interrupted(self) -> bool:
        return any(s["status"] == "interrupted" for s in self.status)

    @property
    def usable(self) -> list[int]:
        """The members that may be used: those with a finite loss."""
        return [s["index"] for s in self.status if s["usable"]]


def fit(
    population: Population,
    train: Any,
    valid: Any = None,
    *,
    epochs: int = 100,
    batch_size: int = 64,
    learning_rate: Any = 1e-3,
    weight_decay: Any = 0.0,
    dropout: Any = None,
    optimizer: str | optax.GradientTransformation = "adam",
    schedule: str = "constant",
    warmup_epochs: float = 0,
    clip_norm: float | None = None,
    loss: Loss = None,
    data_seed: int = 0,
    patience: int | None = None,
    stopping: Stopping | None = Stopping(),  # noqa: B008 (frozen)
    strategy: str = "auto",
    checkpoint: Checkpoint | str | None = None,
    on_epoch: Callable[[EpochInfo], Any] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Fitted:
    """Trains every member of a population, all in one program per structure.

    Args:
        population: the members; left as it is.
        train: samples: (x, y), (x, timespans, y), or anything with x, timespans, mask, y and
            y_mask, such as `shoal.data.Sequences`; already encoded.
        valid: samples for choosing each member's best epoch and for stopping; the training loss
            serves when there are none.
        epochs, batch_size: passes over `train`; every sample counts once in each, also those of
            the last batch.
        learning_rate, weight_decay, dropout: a number or one per member, (n_models,). Weight decay
            is decoupled. `dropout=None` leaves the members' own rates.
        optimizer: "adam", "adamw" (the same: decay is always decoupled), "sgd", "rmsprop",
            "lion", or an Optax direction (see `shoal.population.optimiser`).
        schedule: "constant" or "cosine"; after `warmup_epochs` of linear warm-up.
        clip_norm: bound of the global norm of each member's gradient.
        loss: a name or a function (see `shoal.population.objective`); by default it follows from
            the kind of prediction.
        data_seed: the order of the data, shared by all members.
        patience: epochs without a better loss after which a member stops.
        stopping: the rule across the ensemble, None for none.
        strategy: "vmap", "loop", or "auto" (see `shoal.population.strategy`).
        checkpoint: where to save, or a `Checkpoint`.
        on_epoch: called with an `EpochInfo` after every epoch.
        should_stop: asked after every epoch; True ends the training, saved and "interrupted".

    Raises:
        ValueError: for arguments that cannot be, and for a checkpoint of another training.
    """
    _check_counts(epochs=epochs, batch_size=batch_size)
    check_loss(loss)
    if data_seed < 0:
        raise ValueError(f"`data_seed` must not be negative, got {data_seed}")
    n = population.n_models
    train, valid = samples.as_samples(train, "train"), _optional(valid)
    settings = {
        "seed": np.array(population.seeds, np.uint32),
        "learning_rate": optimiser.per_member(learning_rate, n, "learning_rate"),
        "weight_decay": optimiser.per_member(weight_decay, n, "weight_decay"),
    }
    chosen, mesh = choose(strategy, train.x), device_mesh()
    direction = optimiser.direction(optimizer, clip_norm)
    groups = [
        TrainingGroup.start(group, settings, loss, direction, chosen, mesh)
        for group in _with_dropout(population, dropout)
    ]
    teacher = _Teacher(train, valid, batch_size, data_seed, schedule, epochs, warmup_epochs, mesh)
    ledger, history = Ledger.start(n), History(population.seeds)
    record = None
    if checkpoint is not None:
        print_of = Fingerprint(
            settings=settings,
            program={
                "optimizer": optimizer if isinstance(optimizer, str) else "custom",
                "clip_norm": clip_norm,
                "loss": loss if loss is None or isinstance(loss, str) else "custom",
                "batch_size": batch_size,
                "data_seed": data_seed,
                "schedule": schedule,
                "epochs": epochs if schedule != "constant" else None,
                "warmup_epochs": warmup_epochs,
                "patience": patience,
                "stopping": repr(stopping),
                "strategy": chosen,
            },
        )
        record = Record.open(checkpoint, print_of, groups, train, valid)
        ledger, history = record.restore(groups, ledger, history)

    began, interrupted = time.monotonic(), False
    for epoch in range(history.epochs, epochs):
        active = ledger.active
        if not active.any():
            break
        start = time.monotonic()
        lesson = teacher.lesson(epoch)
        train_loss, valid_loss, healthy = _epoch(groups, lesson, active)
        scores = train_loss if valid is None else valid_loss
        judge(ledger, epoch, scores, healthy, stopping, patience)
        seconds = time.monotonic() - start
        history.add(
            seconds,
            train_loss=train_loss,
            valid_loss=valid_loss,
            learning_rate=settings["learning_rate"] * lesson.factors[-1],
            code=ledger.code,
            worked=active,
        )
        if on_epoch is not None:
            status = [NAMES[c] for c in ledger.code]
            elapsed = time.monotonic() - began
            best = ledger.best_loss.copy()
            on_epoch(
                EpochInfo(
                    epoch, epochs, train_loss, valid_loss, best, active, status, seconds, elapsed
                )
            )
        interrupted = epoch + 1 < epochs and should_stop is not None and bool(should_stop())
        last = epoch + 1 == epochs or interrupted or not ledger.active.any()
        if record is not None and (last or record.is_due(epoch + 1)):
            record.save(groups, ledger, history)
        if interrupted:
            break
    return Fitted(
        population=_assembled(population, groups, "best"),
        last=_assembled(population, groups, "params"),
        history=history,
        status=_statuses(population, ledger, history, interrupted),
        strategy=chosen,
    )


@dataclass
class _Teacher:
    """Makes every epoch's lesson; the samples lie on the devices once."""

    train: Any
    valid: Any
    batch_size: int
    data_seed: int
    schedule: str
    epochs: int
    warmup_epochs: float
    mesh: Any

    def __post_init__(self):
        self.count = self.train.count
        order = None
        if self.valid is not None:
            order = samples.in_order(self.valid.count, max(self.batch_size, _VALID_BATCH))
        sharding = None
        if self.mesh is not None:
            sharding = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec())
        self.shared = jax.device_put((self.train, self.valid, order), sharding)

    def lesson(self, epoch: int) -> Lesson:
        train, valid, valid_order = self.shared
        order = samples.shuffled(self.count, self.batch_size, self.data_seed, epoch)
        factors = optimiser.learning_rate_factors(
            self.schedule, epoch, self.epochs, len(order.rows), self.warmup_epochs
        )
        return Lesson(train, order, factors, np.uint32(epoch), valid, valid_order)


def _epoch(groups: list[TrainingGroup], lesson: Lesson, active: np.ndarray):
    """One epoch of all groups: train_loss, valid_loss, healthy by member."""
    n = len(active)
    told = (np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool))
    for group in groups:
        own = np.array(group.group.indices)
        for whole, part in zip(told, group.epoch(lesson, active[own]), strict=True):
            whole[own] = part
    return told


def _optional(valid: Any) -> samples.Samples | None:
    return None if valid is None else samples.as_samples(valid, "valid")


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"`{name}` must be at least 1, got {count}")


def _with_dropout(population: Population, dropout: Any) -> tuple[Group, ...]:
    if dropout is None:
        return population.groups
    rates = optimiser.per_member(dropout, population.n_models, "dropout")
    if (rates >= 1).any():
        raise ValueError(f"`dropout` must lie in [0, 1), got {dropout}")
    return tuple(
        Group(set_dropout(g.members, rates[np.array(g.indices)]), g.indices)
        for g in population.groups
    )


def _assembled(population: Population, groups: list[TrainingGroup], which: str) -> Population:
    return Population(tuple(group.members(which) for group in groups), population.seeds)


def _statuses(
    population: Population, ledger: Ledger, history: History, interrupted: bool
) -> list[dict[str, Any]]:
    unfinished = "interrupted" if interrupted else "finished"
    epochs = history.matrix("worked").astype(int).sum(axis=0)

    def one(i: int) -> dict[str, Any]:
        code = int(ledger.code[i])
        usable = bool(np.isfinite(ledger.best_loss[i]))
        final = float(ledger.last_loss[i])
        return {
            "index": i,
            "seed": population.seeds[i],
            "status": unfinished if code == ACTIVE else NAMES[code],
            "best_epoch": int(ledger.best_epoch[i]) if usable else None,
            "best_loss": float(ledger.best_loss[i]) if usable else None,
            "final_loss": final if np.isfinite(final) else None,
            "epochs": int(epochs[i]),
            "reason": ledger.reasons[i],
            "usable": usable,
        }

    return [one(i) for i in range(population.n_models)]
