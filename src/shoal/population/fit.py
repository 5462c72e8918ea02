"""Training a population: the one loop over epochs.

Everything that a member's training depends on is its seed, the data, their order (`data_seed` and
the epoch's number) and its own settings, so that a member trained in a crowd is the member trained
alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from shoal.population import optimiser
from shoal.population.checkpoint import Checkpoint
from shoal.population.fitted import EpochInfo, Fitted, statuses, with_out_of_bag
from shoal.population.history import History
from shoal.population.lessons import Course, Teacher
from shoal.population.members import Population
from shoal.population.objective import Loss, check_loss
from shoal.population.out_of_bag import out_of_bag
from shoal.population.regimes.registry import resolve
from shoal.population.resume import Record, fingerprint
from shoal.population.samples import as_samples, data_hash
from shoal.population.shared_training import sharings, training_group
from shoal.population.stages import Progress, answers_of
from shoal.population.stopping import NAMES, Ledger, Rule, Stopping, judge
from shoal.population.strategy import choose
from shoal.population.subset import shown
from shoal.population.train import Lesson, Outcome
from shoal.population.training_group import (
    TrainingGroup,
    assembled,
    check_coupled,
    device_mesh,
    nothing_told,
)


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
    stopping: Rule | None = Stopping(),  # noqa: B008 (frozen)
    strategy: str = "auto",
    regime: Any = "independent",
    checkpoint: Checkpoint | str | Path | None = None,
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
        stopping: the rule across the ensemble (`Stopping`, or another with its method `ends`), None
            for none.
        strategy: "vmap", "loop", or "auto" (see `shoal.population.strategy`).
        regime: how members are trained with regard to one another: a regime of
            `shoal.population.regimes`, its name, or a dict with its `kind`. Those that couple
            members train them side by side, and none is stopped for being behind.
        checkpoint: where to save, or a `Checkpoint`.
        on_epoch: called with an `EpochInfo` after every epoch.
        should_stop: asked after every epoch; True ends the training, saved and "interrupted".

    Raises:
        ValueError: for arguments that cannot be, and for a checkpoint of another training.
    """
    check_loss(loss)
    if patience is not None and patience < 1:
        raise ValueError(f"`patience` must be at least 1, or None for never, got {patience}")
    course = Course(epochs, batch_size, data_seed, schedule, warmup_epochs)
    train = as_samples(train, "train")
    valid = None if valid is None else as_samples(valid, "valid")
    settings = {
        "seed": np.array(population.seeds, np.uint32),
        "learning_rate": optimiser.per_member(learning_rate, len(population), "learning_rate"),
        "weight_decay": optimiser.per_member(weight_decay, len(population), "weight_decay"),
    }
    chosen, mesh = choose(strategy, train.x), device_mesh()
    direction = optimiser.direction(optimizer, clip_norm)
    rule = resolve(regime)
    plan = rule.plan(len(population), population.seeds, train, valid)
    if plan.coupling is not None:
        check_coupled(rule.kind, population, loss)
        chosen, stopping = "vmap", None
    groups = [
        training_group(group, settings, plan.loss or loss, direction, chosen, mesh, plan)
        for group in shown(_with_dropout(population, dropout), plan.features)
    ]
    answers = answers_of(groups, population, train, valid)
    training = _Training(
        groups,
        Teacher.prepare(course, train, valid, mesh),
        Ledger.start(len(population)),
        History(population.seeds),
        settings["learning_rate"],
        stopping if plan.stages is None else None,
        patience,
        Progress(plan.stages, len(population), answers),
    )
    if checkpoint is not None:
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = Checkpoint(checkpoint)
        program = {
            **asdict(course),
            "epochs": epochs if schedule != "constant" else "any",
            "optimizer": _name(optimizer),
            "clip_norm": clip_norm,
            "loss": _name(loss),
            "patience": patience,
            "stopping": repr(stopping),
            "strategy": chosen,
            "regime": repr(rule),
            **sharings(population),
            "data": checkpoint.data_hash or data_hash(train, valid),
        }
        training.open_record(checkpoint, fingerprint(program, settings, groups))
    interrupted = training.run(on_epoch, should_stop)
    status = statuses(population.seeds, training.ledger, training.history, interrupted=interrupted)
    unseen = None
    if plan.row_weights is not None and not interrupted:
        usable = [one["index"] for one in status if one["usable"]]
        unseen = out_of_bag(loss, answers, train, plan.row_weights, usable)
    return Fitted(
        population=assembled(population, groups, "best"),
        last=assembled(population, groups, "params"),
        history=training.history,
        status=status if unseen is None else with_out_of_bag(status, unseen.members),
        strategy=chosen,
        regime=rule,
        weighting=None if plan.stages is None else training.progress.finish(interrupted),
        out_of_bag=unseen,
    )


@dataclass
class _Training:
    """Everything that changes while a population trains."""

    groups: list[TrainingGroup]
    teacher: Teacher
    ledger: Ledger
    history: History
    learning_rate: np.ndarray
    stopping: Rule | None
    patience: int | None
    progress: Progress
    record: Record | None = None

    def open_record(self, checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
        """Where to save; goes on from what is there."""
        self.record = Record.open(checkpoint, facts)
        self.ledger, self.history = self.record.restore(self.groups, self.ledger, self.history)
        self.progress.starts = list(self.record.starts)

    def run(
        self,
        on_epoch: Callable[[EpochInfo], Any] | None,
        should_stop: Callable[[], bool] | None,
    ) -> bool:
        """The loop over epochs, one stage after the other. Returns whether it was interrupted."""
        began, epochs = time.monotonic(), self.teacher.course.epochs
        for stage in self.progress.stages(self.groups, self.history):
            while self.progress.done(self.history.epochs) < epochs:
                if not self.active.any():
                    break
                info = self.epoch(self.history.epochs, began)
                if on_epoch is not None:
                    on_epoch(info)
                done = self.progress.is_last(stage) and (
                    self.progress.done(self.history.epochs) == epochs or not self.active.any()
                )
                interrupted = not done and should_stop is not None and bool(should_stop())
                due = self.record is not None and self.record.is_due(self.history.epochs)
                if self.record is not None and (done or interrupted or due):
                    self.record.starts = self.progress.starts
                    self.record.save(self.groups, self.ledger, self.history)
                if interrupted:
                    return True
        return False

    @property
    def active(self) -> np.ndarray:
        """Who trains now."""
        return self.ledger.active & self.progress.active

    def epoch(self, epoch: int, began: float) -> EpochInfo:
        """Trains the active members for one epoch and judges them."""
        start, active = time.monotonic(), self.active
        lesson = self.teacher.lesson(epoch, self.progress.done(epoch))
        told = _epoch(self.groups, lesson, active)
        judge(self.ledger, epoch, told.score, told.healthy, self.stopping, self.patience, active)
        now = time.monotonic()
        self.history.add(
            now - start,
            train_loss=told.train_loss,
            valid_loss=told.valid_loss,
            diversity=told.diversity,
            aux_loss=told.aux_loss,
            learning_rate=self.learning_rate * lesson.factors[-1],
            code=self.ledger.code,
            worked=active,
        )
        return EpochInfo(
            epoch=epoch,
            epochs=self.teacher.course.epochs * self.progress.count,
            train_loss=told.train_loss,
            valid_loss=told.valid_loss,
            best_loss=self.ledger.best_loss.copy(),
            active=active,
            status=[NAMES[code] for code in self.ledger.code],
            seconds=now - start,
            elapsed=now - began,
        )


def _epoch(groups: list[TrainingGroup], lesson: Lesson, active: np.ndarray) -> Outcome:
    """One epoch of all groups; what it tells, by member."""
    told = nothing_told(len(active))
    for group in groups:
        own = np.array(group.group.indices)
        for whole, part in zip(told, group.epoch(lesson, active[own]), strict=True):
            whole[own] = part
    return told


def _name(choice: Any) -> str | None:
    """What a fingerprint can say of a name or a function."""
    if choice is None or isinstance(choice, str):
        return choice
    return getattr(choice, "__qualname__", type(choice).__qualname__)


def _with_dropout(population: Population, dropout: Any) -> tuple[Any, ...]:
    if dropout is None:
        return population.groups
    rates = optimiser.per_member(dropout, population.n_models, "dropout")
    if (rates >= 1).any():
        raise ValueError(f"`dropout` must lie in [0, 1), got {dropout}")
    return tuple(g.with_dropout(jnp.asarray(rates[list(g.indices)])) for g in population.groups)
