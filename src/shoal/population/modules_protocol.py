"""What a framework says of its modules, so that `train_modules` can train them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from shoal.population.samples import Samples


class Modules(Protocol):
    """Members with their optimisers, in some framework; `i` is a member's number."""

    xp: Any

    def stop(self, array: Any, /) -> Any:
        """The array, through which no gradient flows."""
        ...

    def put(self, array: np.ndarray, /) -> Any:
        """An array of the framework, floats in the members' precision."""
        ...

    def step(
        self, objective: Callable, batch: Samples, active: Sequence[int], seeds: Sequence
    ) -> list[np.ndarray]:
        """One step of those who are active; what `objective(answers)` tells, in NumPy.

        `seeds` has one for each active member: of its dropout in this step.
        """
        ...

    def answers(self, batch: Samples, active: Sequence[int]) -> list[Any]:
        """What they answer, without dropout or gradients."""
        ...

    def compute(self, function: Callable) -> Any:
        """What a function of the framework's arrays returns, without gradients."""
        ...

    def measured(self, told: Any) -> list[np.ndarray]:
        """Arrays of the framework in NumPy."""
        ...

    def finite(self, i: int) -> bool:
        """Whether a member's parameters are."""
        ...

    def rate(self, i: int) -> float:
        """The learning rate of a member's optimiser now."""
        ...

    def remember(self, i: int) -> None:
        """Its parameters as they are now may turn out to be the best."""
        ...

    def keep(self, i: int) -> None:
        """What was remembered is the best so far."""
        ...

    def best(self, lost: Sequence[int]) -> Any:
        """The members with the best parameters, NaN of those that are lost."""
        ...

    def last(self) -> Any: ...


def per_member(value: Any, n_models: int, name: str = "learning_rate") -> np.ndarray:
    """A number or one per member as an array of them, all ≥ 0."""
    array = np.asarray(value, float)
    if array.shape not in ((), (n_models,)):
        raise ValueError(
            f"`{name}` must be a number or ({n_models},), one value per member, got {array.shape}"
        )
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(f"`{name}` must be finite and not negative, got {value}")
    return np.broadcast_to(array, (n_models,))
