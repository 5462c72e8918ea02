"""Training the modules of a crowd with PyTorch's own optimisers.

crowd = shoal.torch.Collective.init(make, n_models=5)
fitted = shoal.torch.fit(crowd, train, valid, regime="negative_correlation", epochs=50)
crowd = shoal.torch.Collective(fitted)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from shoal.bundle.modules import check_members, check_seeds
from shoal.equations.answers import ask, check_likelihood
from shoal.population.fitted import EpochInfo, Fitted
from shoal.population.modules import train_modules
from shoal.population.modules_protocol import per_member
from shoal.population.samples import Samples
from shoal.population.stopping import Stopping
from shoal.torch.crowd import Collective, evaluated, first_of, put


def fit(
    members: Collective | Sequence[nn.Module],
    train: Any,
    valid: Any = None,
    *,
    regime: Any = "independent",
    optimizer: Callable = torch.optim.Adam,
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
        optimizer: a class of `torch.optim`, made with each member's parameters and `lr`; or a
            function `(parameters) -> optimizer`, which says everything itself.
        learning_rate: a number or one per member, for a class.
        loss: a name of `shoal.equations.losses`, or `loss(prediction, y, y_mask)`, for members that
            are trained by themselves; by default it follows from what members answer.
        epochs, batch_size: passes over `train`; every sample counts once in each.
        data_seed: the order of the data, shared by all members.
        seeds: one per member, of its dropout; those of the `Collective` by default.
        likelihood: what a plain tensor means, as of `Collective`.
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
        members = list(members.members)  # pyright: ignore
    members = check_members(members, nn.Module, "torch.nn.Module")
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

    xp = torch

    def __init__(self, members, optimizer: Callable, rates: np.ndarray, likelihood: str | None):
        self.members: list[nn.Module] = [copy.deepcopy(member).train() for member in members]
        self.likelihood, self.like = likelihood, first_of(self.members[0])
        self.optimizers = [
            _made(optimizer, member, float(rate))
            for member, rate in zip(self.members, rates, strict=True)
        ]
        self.constrained = [_constrained(member) for member in self.members]
        self.kept = [copy.deepcopy(member.state_dict()) for member in self.members]
        self.remembered = list(self.kept)

    @staticmethod
    def stop(array):
        return array.detach()

    def put(self, array: np.ndarray):
        return put(array, self.like)

    def step(self, objective: Callable, batch: Samples, active: Sequence[int], seeds: Sequence):
        said = []
        for i, seed in zip(active, seeds, strict=True):
            self.optimizers[i].zero_grad()
            with _seeded(seed, self.like.device):
                said.append(self._ask(i, batch))
        with _made_on(self.like.device):
            total, own, extra = objective(said)
        total.backward()
        for i in active:
            self.optimizers[i].step()
            for part in self.constrained[i]:
                part.apply_weight_constraints()
        return self.measured([own, extra])

    def answers(self, batch: Samples, active: Sequence[int]) -> list[Any]:
        with evaluated([self.members[i] for i in active]), torch.no_grad():
            return [self._ask(i, batch) for i in active]

    def compute(self, function: Callable) -> Any:
        with _made_on(self.like.device), torch.no_grad():
            return function()

    def _ask(self, i: int, batch: Samples) -> Any:
        given = batch.x, batch.timespans, batch.mask
        return ask(torch, self.members[i], *given, self.likelihood)

    @staticmethod
    def measured(told) -> list[np.ndarray]:
        return [part.detach().cpu().double().numpy() for part in told]

    def finite(self, i: int) -> bool:
        parts = self.members[i].parameters()
        return all(bool(torch.isfinite(part).all()) for part in parts)

    def rate(self, i: int) -> float:
        return float(self.optimizers[i].param_groups[0].get("lr", np.nan))

    def remember(self, i: int) -> None:
        self.remembered[i] = copy.deepcopy(self.members[i].state_dict())

    def keep(self, i: int) -> None:
        self.kept[i] = self.remembered[i]

    def best(self, lost: Sequence[int]) -> list[nn.Module]:
        best = [copy.deepcopy(member) for member in self.members]
        for member, kept in zip(best, self.kept, strict=True):
            member.load_state_dict(kept)
        for parameter in (p for i in lost for p in best[i].parameters() if p.requires_grad):
            parameter.data.fill_(torch.nan)
        return [member.eval() for member in best]

    def last(self) -> list[nn.Module]:
        return [member.eval() for member in self.members]


def _made(optimizer: Callable, member: nn.Module, rate: float) -> torch.optim.Optimizer:
    parameters = [p for p in member.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(f"a member, {type(member).__name__}, has no parameters to train")
    made = optimizer(parameters, lr=rate) if isinstance(optimizer, type) else optimizer(parameters)
    if not isinstance(made, torch.optim.Optimizer):
        raise ValueError(
            "`optimizer` must be a class of torch.optim, or a function (parameters) -> optimizer; "
            f"it gave a {type(made).__name__}"
        )
    return made


def _constrained(member: nn.Module) -> list[Any]:
    """Liquid neurons that learn their conductances as they are, and must keep them positive."""
    return [part for part in member.modules() if hasattr(part, "apply_weight_constraints")]


def _made_on(device: torch.device) -> Any:
    """New tensors, such as the numbers of classes, lie where the members are."""
    return nullcontext() if device.type == "cpu" else device


@contextmanager
def _seeded(seed: Any, device: torch.device):
    """Random numbers of a member's own, so that it draws in a crowd what it would draw alone."""
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(number)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(number)
        yield
