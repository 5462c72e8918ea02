"""The one loop over epochs, one stage of a regime after the other.

Where there are no validation samples, an epoch's parameters are known to be good by the loss of the
epoch that follows; what the last epoch ends with is asked once more, without taking a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.population.checkpoint import Checkpoint
from shoal.population.fitted import EpochInfo
from shoal.population.history import History
from shoal.population.lessons import Teacher
from shoal.population.resume import Record
from shoal.population.stages import Progress
from shoal.population.stopping import NAMES, Ledger, Rule, judge
from shoal.population.train import Outcome
from shoal.population.training_group import TrainingGroup, nothing_told


@dataclass
class Training:
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
                    self.ask_the_last()
                    return True
            self.ask_the_last()
        return False

    def ask_the_last(self) -> None:
        """What they ended with, of those who trained to the end without validation samples."""
        epochs, active = self.history.epochs, self.active
        if self.teacher.validates or not active.any() or not self.progress.done(epochs):
            return
        lesson = self.teacher.question(epochs)
        told = _told(self.groups, active, lambda group, own: group.ask(lesson, own))
        known = active & _known(told)
        self.ledger.enter(epochs - 1, told.score, told.train_loss, known)
        for member in np.flatnonzero(active & ~known):
            self.ledger.diverge(member, epochs - 1, f"loss not finite after epoch {epochs}")

    @property
    def active(self) -> np.ndarray:
        """Who trains now."""
        return self.ledger.active & self.progress.active

    def epoch(self, epoch: int, began: float) -> EpochInfo:
        """Trains the active members for one epoch and judges them."""
        start, active = time.monotonic(), self.active
        lesson = self.teacher.lesson(epoch, self.progress.done(epoch))
        told = _told(self.groups, active, lambda group, own: group.epoch(lesson, own))
        validates = self.teacher.validates
        judge(
            self.ledger,
            epoch,
            told.score,
            told.healthy,
            self.stopping,
            self.patience,
            active,
            own=told.valid_loss if validates else told.train_loss,
            known=None if validates else _known(told) & bool(lesson.begun),
        )
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


def _told(
    groups: list[TrainingGroup],
    active: np.ndarray,
    one: Callable[[TrainingGroup, np.ndarray], Outcome],
) -> Outcome:
    """What `one(group, active places)` tells of all groups, by member."""
    told = nothing_told(len(active))
    for group in groups:
        own = np.array(group.group.indices)
        for whole, part in zip(told, one(group, active[own]), strict=True):
            whole[own] = part
    return told


def _known(told: Outcome) -> np.ndarray:
    """Whose losses are finite."""
    return np.isfinite(told.score) & np.isfinite(told.train_loss + told.aux_loss)
