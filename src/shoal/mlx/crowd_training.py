"""Training the modules of a crowd with MLX's own optimisers.

crowd = shoal.mlx.Collective.init(make, n_models=5)
fitted = shoal.mlx.fit(crowd, train, valid, regime="negative_correlation", epochs=50)
crowd = shoal.mlx.Collective(fitted)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_map

from shoal.bundle.modules import check_members, check_seeds
from shoal.equations.answers import ask, check_likelihood
from shoal.mlx.crowd import Collective, evaluated, flat, in_numpy, put, seeded
from shoal.population.fitted import EpochInfo, Fitted
from shoal.population.modules import train_modules
from shoal.population.modules_protocol import per_member
from shoal.population.samples import Samples
from shoal.population.stopping import Stopping


def fit(
    members: Collective | Sequence[nn.Module],
    train: Any,
    valid: Any = None,
    *,
    regime: Any = "independent",
    optimizer: Callable = optim.Adam,
    learning_rate: Any = 1e-3,
    loss: Any = None,
    epochs: int = 100,
    batch_size: int = 64,
    data_seed: int = 0,
    seeds: Sequence[int] | None = None,
    likelihood: str | None = None,
    patience: int | None = None,
    stopping: Stopping | None = Stopping(),  # noqa: B008 (frozen)
    on_epoch: Callable[[EpochInfo], Any] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Fitted:
    """Trains the modules of a crowd: by themselves, or with regard to one another.

    The same initial parameters, data and plain gradient descent give the same members as
    `shoal.fit` gives in JAX.

    Args:
        members: a `Collective` or modules as it takes them; left as they are.
        train: samples: (x, y), (x, timespans, y), or anything with x, timespans, mask, y and
            y_mask, such as `shoal.data.Sequences`; y as a member answers, class numbers as
            integers.
        valid: samples for choosing the best epoch. Without them the training loss serves:
            parameters are judged by the epoch that begins with them, the last ones by a pass over
            `train` without dropout or gradients.
        regime: "independent", "joint", "negative_correlation", "correlation" or "bagging", as a
            name, a dict with its `kind`, or a regime of `shoal.population.regimes`.
        optimizer: a class of `mlx.optimizers`, made with `learning_rate`; or a function
            `() -> optimizer`, which says everything itself.
        learning_rate: a number or one per member, for a class.
        loss: a name of `shoal.equations.losses`, or `loss(prediction, y, y_mask)`, for members that
            are trained by themselves; by default it follows from what members answer.
        epochs, batch_size: passes over `train`; every sample counts once in each.
        data_seed: the order of the data, shared by all members.
        seeds: one per member, of its dropout; those of the `Collective` by default.
        likelihood: what a plain array means, as of `Collective`.
        patience: epochs without a better loss after which a member stops.
        stopping: the rule across the ensemble, None for none; off where members are coupled.
        on_epoch: called with an `EpochInfo` after every epoch.
        should_stop: asked after every epoch; True ends the training.

    Returns:
        A `Fitted`: `.population` is the list of modules with the parameters of their best epoch,
        `.last` that with the last ones; `.history` has each member's loss, what the diversity of
        the crowd added to it, and their sum; `.status` says how each member ended.

    Raises:
        ValueError: for arguments that cannot be, and for regimes that train members in turns.

    >>> x = np.linspace(-1, 1, 32)[:, None]
    >>> crowd = Collective.init(lambda: nn.Linear(1, 1), n_models=2)
    >>> fitted = fit(crowd, (x, 2 * x), regime="joint", epochs=40, learning_rate=0.1)
    >>> bool(abs(Collective(fitted).predict(x).mean - 2 * x).max() < 0.2)
    True
    """
    if isinstance(members, Collective):
        seeds = members.seeds if seeds is None else seeds
        likelihood = members.likelihood if likelihood is None else likelihood
        members = list(members.members)
    members = check_members(members, nn.Module, "mlx.nn.Module")
    check_likelihood(likelihood)
    rates = per_member(learning_rate, len(members))
    return train_modules(
        _Modules(members, optimizer, rates, likelihood),
        train,
        valid,
        seeds=check_seeds(seeds, len(members)),
        regime=regime,
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        data_seed=data_seed,
        patience=patience,
        stopping=stopping,
        on_epoch=on_epoch,
        should_stop=should_stop,
    )


class _Modules:
    """Members with their optimisers; see `shoal.population.modules_protocol`."""

    xp = mx
    stop = staticmethod(mx.stop_gradient)
    put = staticmethod(put)

    def __init__(self, members, optimizer: Callable, rates: np.ndarray, likelihood: str | None):
        self.members: list[Any] = [copy.deepcopy(member) for member in members]
        self.likelihood = likelihood
        self.optimizers: list[Any] = [_made(optimizer, float(rate)) for rate in rates]
        for member in self.members:
            member.train()
            if not member.trainable_parameters():
                raise ValueError(f"a member, {type(member).__name__}, has no parameters to train")
        self.constrained = [_constrained(member) for member in self.members]
        self.kept = [member.parameters() for member in self.members]
        self.remembered = list(self.kept)

    def step(self, objective: Callable, batch: Samples, active: Sequence[int], seeds: Sequence):
        members = [self.members[i] for i in active]

        def told(parameters):
            said = []
            for i, seed, own in zip(active, seeds, parameters, strict=True):
                self.members[i].update(own)
                with seeded(int(np.random.SeedSequence(seed).generate_state(1)[0])):
                    said.append(self._ask(i, batch))
            return objective(said)

        given = [member.trainable_parameters() for member in members]
        (_, own, extra), gradients = mx.value_and_grad(told)(given)
        for i, gradient in zip(active, gradients, strict=True):
            self.optimizers[i].update(self.members[i], gradient)
            for part in self.constrained[i]:
                part.apply_weight_constraints()
        mx.eval([member.parameters() for member in members], own, extra)
        mx.eval([self.optimizers[i].state for i in active])
        return self.measured([own, extra])

    def answers(self, batch: Samples, active: Sequence[int]) -> list[Any]:
        with evaluated([self.members[i] for i in active]):
            return [self._ask(i, batch) for i in active]

    @staticmethod
    def compute(function: Callable) -> Any:
        return function()

    def _ask(self, i: int, batch: Samples) -> Any:
        given = batch.x, batch.timespans, batch.mask
        return ask(mx, self.members[i], *given, self.likelihood)

    @staticmethod
    def measured(told) -> list[np.ndarray]:
        return [in_numpy(part).astype(np.float64) for part in told]

    def finite(self, i: int) -> bool:
        return all(bool(mx.isfinite(part).all()) for part in flat(self.members[i]).values())

    def rate(self, i: int) -> float:
        return float(self.optimizers[i].learning_rate)

    def remember(self, i: int) -> None:
        self.remembered[i] = self.members[i].parameters()

    def keep(self, i: int) -> None:
        self.kept[i] = self.remembered[i]

    def best(self, lost: Sequence[int]) -> list[nn.Module]:
        best = [copy.deepcopy(member) for member in self.members]
        for member, kept in zip(best, self.kept, strict=True):
            member.update(kept)
            member.eval()
        for member in (best[i] for i in lost):
            member.update(
                tree_map(lambda p: mx.full(p.shape, mx.nan, p.dtype), member.trainable_parameters())
            )
        return best

    def last(self) -> list[nn.Module]:
        for member in self.members:
            member.eval()
        return self.members


def _made(optimizer: Callable, rate: float) -> optim.Optimizer:
    made = optimizer(learning_rate=rate) if isinstance(optimizer, type) else optimizer()
    if not isinstance(made, optim.Optimizer):
        raise ValueError(
            "`optimizer` must be a class of mlx.optimizers, or a function () -> optimizer; "
            f"it gave a {type(made).__name__}"
        )
    return made


def _constrained(member: nn.Module) -> list[Any]:
    """Liquid neurons that learn their conductances as they are, and must keep them positive."""
    return [part for part in member.modules() if hasattr(part, "apply_weight_constraints")]
