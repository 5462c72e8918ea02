"""A population that takes steps outside of a training: of any batches, at any rates.

The program is training's own (`shoal.population.train`): a lesson of these batches, whose rates are
the factors, with a learning rate of 1. The population that was given is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from shoal.population import Population, optimiser
from shoal.population.labels import check_labels, holds_labels
from shoal.population.lessons import Course, Teacher
from shoal.population.objective import Loss, check_loss, logit_shapes
from shoal.population.samples import Order, Samples, as_samples
from shoal.population.shared_training import training_group
from shoal.population.strategy import choose
from shoal.population.train import Lesson
from shoal.population.training_group import device_mesh


@dataclass
class Stepping:
    """The members on the device, and the samples beside them."""

    groups: list[Any]
    samples: Samples  # on the device
    count: int

    @classmethod
    def of(
        cls,
        population: Population,
        train: Any,
        *,
        weight_decay: Any = 0.0,
        dropout: Any = None,
        optimizer: str | optax.GradientTransformation = "adam",
        clip_norm: float | None = None,
        loss: Loss = None,
        strategy: str = "auto",
    ) -> Stepping:
        """The arguments are those of `shoal.fit`."""
        check_loss(loss)
        rows, n = as_samples(train, "train"), len(population)
        if holds_labels(rows) and not callable(loss):
            check_labels(rows, None, logit_shapes(population, rows, 1))
        settings = {
            "seed": np.array(population.seeds, np.uint32),
            "learning_rate": np.ones(n, np.float32),
            "weight_decay": optimiser.per_member(weight_decay, n, "weight_decay"),
        }
        direction, mesh = optimiser.direction(optimizer, clip_norm), device_mesh()
        chosen, groups = choose(strategy, rows.x), population.groups
        if dropout is not None:
            rates = optimiser.per_member(dropout, n, "dropout")
            groups = [g.with_dropout(jnp.asarray(rates[list(g.indices)])) for g in groups]
        told = [training_group(g, settings, loss, direction, chosen, mesh) for g in groups]
        teacher = Teacher.prepare(Course(1, 1, 0, "constant", 0), rows, None, mesh)
        return cls(told, teacher.on_device[0], rows.count)

    @property
    def members(self) -> int:
        return sum(group.group.size for group in self.groups)

    @property
    def programs(self) -> list[Any]:
        """One for each structure."""
        return [group.program for group in self.groups]

    def use(self, programs: Sequence[Any]) -> None:
        """Others in their place, from now on."""
        for group, program in zip(self.groups, programs, strict=True):
            group.program = program

    def take(self, order: Order, rates: np.ndarray, number: int = 0) -> np.ndarray:
        """The members' mean losses over the batches, (members,), a step taken after each.

        Args:
            order: the batches' rows and their weights, (batches, batch).
            rates: the learning rate of each step, (batches,).
            number: dropout is drawn anew for another one.
        """
        numbers = np.asarray(rates, np.float32), np.array(number, np.uint32)
        lesson = Lesson(self.samples, order, *numbers, None, None, np.array(True))
        losses = np.full(self.members, np.nan)
        for group in self.groups:
            told = group.epoch(lesson, np.ones(group.group.size, bool))
            losses[list(group.group.indices)] = told.train_loss
        return losses
