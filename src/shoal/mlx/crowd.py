"""A crowd of `mlx.nn` modules, itself a module.

crowd = shoal.mlx.Collective([model_a, model_b, ...], "uniform")
p = crowd.predict(x, timespans)        # .mean .std .members .interval(0.9), in NumPy
y = crowd(x, timespans)                # the combined mean, an array that gradients flow through
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from shoal.bundle.modules import (
    CrowdOfModules,
    check_members,
    check_seeds,
    in_double,
    trainable_logits,
    with_logits,
)
from shoal.collective.trained import trained
from shoal.equations.answers import ask, check_likelihood, stacked
from shoal.equations.outputs import Categorical, Normal
from shoal.population.fitted import Fitted
from shoal.weighting import Weighting, moments_of, resolve, suited


class Collective(CrowdOfModules, nn.Module):
    """Many modules, one answer: y = Σ w_i(x, Δt) · f_i(x, Δt).

    Args:
        members: `nn.Module`s called as `model(x, timespans)`, also with `mask=` if there is one,
            or as `model(x)` where they take nothing else. They answer an array, a `Normal`, a
            `Categorical`, or a tuple that begins with one. They need not be of one structure. Or
            what `fit` left: those that may be used, with a warning that names the others.
        weighting: how much each counts: a rule of `shoal.weighting`, its name, its dict, or a
            function that selects; None for uniform. The logits of "learned", and of a fitted
            "time_curve", are a parameter, `logits`; those of "learned" start uniform.
        seeds: one per member, for the record; 0, 1, … by default.
        likelihood: what a plain array means: None or "point", the numbers themselves; "normal",
            the last axis holds means, then what becomes σ; "categorical", logits of classes.

    Raises:
        ValueError: for no members, a member that is no module, an unknown rule or likelihood.

    The rule itself is an argument like a layer's size, and no part of the saved weights; the
    members' parameters and the learned logits are.

    >>> crowd = Collective([nn.Linear(3, 1) for _ in range(5)])
    >>> crowd(mx.ones((4, 3))).shape, crowd.predict(np.ones((4, 3))).std.shape
    ((4, 1), (4, 1))
    """

    def __init__(
        self,
        members: Sequence[nn.Module] | Fitted,
        weighting: Any = None,
        *,
        seeds: Sequence[int] | None = None,
        likelihood: str | None = None,
    ):
        super().__init__()
        check_likelihood(likelihood)
        if isinstance(members, Fitted):
            members, own, weighting = trained(members, weighting, stacklevel=3)
            seeds = own if seeds is None else seeds
        self.members = check_members(members, nn.Module, "mlx.nn.Module")
        self._seeds = check_seeds(seeds, len(self.members))
        self.likelihood = likelihood
        rule = resolve("uniform" if weighting is None else weighting)
        self._rule = suited(rule, len(self.members))
        logits = trainable_logits(self._rule, len(self.members))
        if logits is not None:
            self.logits = mx.array(logits, dtype=mx.float32)

    @classmethod
    def init(
        cls,
        make: Callable[[], nn.Module] | Sequence[Callable[[], nn.Module]],
        n_models: int = 5,
        base_seed: int = 42,
        **options: Any,
    ) -> Collective:
        """New members, made with the seeds 42, 43, …; MLX's own random state is left alone.

        Args:
            make: `make() -> module`, or a list of them, taken in turn, for unlike members.
            n_models: how many.
            base_seed: the first member's seed.
            options: as of `Collective`.

        >>> crowd = Collective.init(lambda: nn.Linear(3, 1), n_models=2)
        >>> crowd.seeds
        (42, 43)
        """
        makes = [make] if callable(make) else list(make)
        seeds = [base_seed + i for i in range(n_models)]
        members = []
        for i, seed in enumerate(seeds):
            with seeded(seed):
                members.append(makes[i % len(makes)]())
                mx.eval(members[-1].parameters())
        return cls(members, seeds=seeds, **options)

    @property
    def seeds(self) -> tuple[int, ...]:
        return self._seeds

    @property
    def weighting(self) -> Weighting:
        """How much each member counts, with what was learned so far."""
        if "logits" not in self:
            return self._rule
        return with_logits(self._rule, in_numpy(self.logits).astype(float).tolist())

    def __call__(self, x: mx.array, timespans: Any = None, *, mask: Any = None) -> mx.array:
        """The combined mean, (batch, ...); for classes the crowd's probabilities.

        Args:
            x: (batch, time, features) or (batch, features).
            timespans: (batch, time), the time elapsed before each observation.
            mask: (batch, time), False in the padding.
        """
        said = self.answers(x, timespans, mask=mask)
        rule = self._rule
        if "logits" in self:
            rule = with_logits(rule, self.logits)
        return moments_of(rule, said, x, timespans, mask).mean

    def answers(
        self, x: mx.array, timespans: Any = None, *, mask: Any = None
    ) -> mx.array | Normal | Categorical:
        """What every member says, members first, as arrays of MLX."""
        given: Any = (x, timespans, mask, self.likelihood)
        said = [ask(mx, member, *given) for member in self.members]
        return stacked(mx, said)

    def _ask(self, member: nn.Module, x: np.ndarray, timespans: Any, mask: Any) -> Any:
        given: Any = [None if part is None else put(part) for part in (x, timespans, mask)]
        with evaluated([member]):
            said = ask(mx, member, *given, likelihood=self.likelihood)
        return in_double(said, in_numpy)

    def _anew(self, members: Sequence[Any], weighting: Weighting, seeds: Sequence[int]) -> Any:
        return Collective(members, weighting, seeds=seeds, likelihood=self.likelihood)

    def _dtype(self) -> Any:
        return np.float32

    def _in_numpy(self, array: Any) -> Any:
        return in_numpy(array) if isinstance(array, mx.array) else array


def put(array: np.ndarray) -> mx.array:
    """An array of MLX; doubles as singles."""
    array = np.asarray(array)
    return mx.array(array.astype(np.float32) if array.dtype == np.float64 else array)


def in_numpy(array: mx.array) -> np.ndarray:
    """An array of NumPy; half precision as singles."""
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)


@contextmanager
def seeded(seed: int):
    """MLX's random numbers from a seed, and as they were again afterwards."""
    high, low = map(int, np.array(mx.random.state[0]))  # pyright: ignore
    mx.random.seed(seed)
    try:
        yield
    finally:
        mx.random.seed(high << 32 | low)  # a seed's two halves are the state


@contextmanager
def evaluated(modules: Sequence[nn.Module]):
    """The modules in evaluation mode, each part in its own mode again afterwards."""
    # the whole comes before its parts
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.train(training)


def flat(module: nn.Module) -> dict[str, mx.array]:
    """All parameters of a module by path."""
    return dict(tree_flatten(module.parameters()))  # pyright: ignore
