"""What every epoch is taught: samples, which lie on the devices once, their order, the rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from shoal.population.optimiser import learning_rate_factors
from shoal.population.samples import Samples, in_order, shuffled
from shoal.population.train import Lesson

_VALID_BATCH = 256  # rows per step of a validation pass, at least


@dataclass(frozen=True)
class Course:
    """How epochs follow one another."""

    epochs: int
    batch_size: int
    data_seed: int
    schedule: str
    warmup_epochs: float

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}")
        for name in ("data_seed", "warmup_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True)
class Teacher:
    """Makes the lesson of any epoch."""

    course: Course
    count: int
    on_device: tuple[Any, Any, Any]

    @classmethod
    def prepare(
        cls, course: Course, train: Samples, valid: Samples | None, mesh: Mesh | None
    ) -> Teacher:
        """Brings the samples to the devices, a copy to each."""
        order = None
        if valid is not None:
            order = in_order(valid.count, max(course.batch_size, _VALID_BATCH))
        sharding = None if mesh is None else NamedSharding(mesh, PartitionSpec())
        return cls(course, train.count, jax.device_put((train, valid, order), sharding))

    def lesson(self, epoch: int, place: int | None = None) -> Lesson:
        """The lesson of an epoch: it depends on its number and on nothing that went before.

        `place` is how many epochs of the schedule lie behind it, where that begins anew.
        """
        course = self.course
        train, valid, valid_order = self.on_device
        order = shuffled(self.count, course.batch_size, course.data_seed, epoch)
        place = epoch if place is None else place
        factors = learning_rate_factors(
            course.schedule, place, course.epochs, len(order.rows), course.warmup_epochs
        )
        number, begun = np.array(epoch, np.uint32), np.array(place > 0)
        return Lesson(train, order, factors, number, valid, valid_order, begun)

    def question(self, epoch: int) -> Lesson:
        """A lesson in which no step is taken: what the loss of the parameters is as they are."""
        lesson = self.lesson(epoch)
        return lesson._replace(factors=np.zeros_like(lesson.factors), begun=np.array(True))

    @property
    def validates(self) -> bool:
        """Whether there are validation samples."""
        return self.on_device[1] is not None
