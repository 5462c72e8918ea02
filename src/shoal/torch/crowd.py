"""A crowd of `torch.nn` modules, itself a module.

crowd = shoal.torch.Collective([model_a, model_b, ...], "uniform")
p = crowd.predict(x, timespans)        # .mean .std .members .interval(0.9), in NumPy
y = crowd(x, timespans)                # the combined mean, a tensor that gradients flow through
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

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
            or as `model(x)` where they take nothing else. They answer a tensor, a `Normal`, a
            `Categorical`, or a tuple that begins with one. They need not be of one structure. Or
            what `fit` left: those that may be used, with a warning that names the others.
        weighting: how much each counts: a rule of `shoal.weighting`, its name, its dict, or a
            function that selects; None for uniform. The logits of "learned", and of a fitted
            "time_curve", are a parameter, `logits`; those of "learned" start uniform.
        seeds: one per member, for the record; 0, 1, … by default.
        likelihood: what a plain tensor means: None or "point", the numbers themselves; "normal",
            the last axis holds means, then what becomes σ; "categorical", logits of classes.

    Raises:
        ValueError: for no members, a member that is no module, an unknown rule or likelihood.

    The rule itself is an argument like a layer's size, and no part of the `state_dict`; the
    members' parameters and the learned logits are.

    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch._C.Generator object at ...>
    >>> crowd = Collective([nn.Linear(3, 1) for _ in range(5)])
    >>> crowd(torch.ones(4, 3)).shape, crowd.predict(np.ones((4, 3))).std.shape
    (torch.Size([4, 1]), (4, 1))
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
        self.members = nn.ModuleList(check_members(members, nn.Module, "torch.nn.Module"))
        self.seeds = check_seeds(seeds, len(self.members))
        self.likelihood = likelihood
        rule = resolve("uniform" if weighting is None else weighting)
        self._rule = suited(rule, len(self.members))
        logits = trainable_logits(self._rule, len(self.members))
        if logits is not None:
            like = first_of(self)
            self.logits = nn.Parameter(torch.as_tensor(logits, dtype=like.dtype).to(like.device))

    @classmethod
    def init(
        cls,
        make: Callable[[], nn.Module] | Sequence[Callable[[], nn.Module]],
        n_models: int = 5,
        base_seed: int = 42,
        **options: Any,
    ) -> Collective:
        """New members, made with the seeds 42, 43, …; PyTorch's own random state is left alone.

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
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                members.append(makes[i % len(makes)]())
        return cls(members, seeds=seeds, **options)

    @property
    def weighting(self) -> Weighting:
        """How much each member counts, with what was learned so far."""
        if "logits" not in self._parameters:
            return self._rule
        return with_logits(self._rule, self.logits.detach().double().cpu().tolist())

    def forward(self, x: Tensor, timespans: Any = None, *, mask: Any = None) -> Tensor:
        """The combined mean, (batch, ...); for classes the crowd's probabilities.

        Args:
            x: (batch, time, features) or (batch, features).
            timespans: (batch, time), the time elapsed before each observation.
            mask: (batch, time), False in the padding.
        """
        said = self.answers(x, timespans, mask=mask)
        rule = self._rule
        if "logits" in self._parameters:
            rule = with_logits(rule, self.logits)
        return moments_of(rule, said, x, timespans, mask).mean

    def answers(
        self, x: Tensor, timespans: Any = None, *, mask: Any = None
    ) -> Tensor | Normal | Categorical:
        """What every member says, members first, as tensors."""
        given: Any = (x, timespans, mask, self.likelihood)
        said = [ask(torch, member, *given) for member in self.members]
        return stacked(torch, said)

    def _ask(self, member: nn.Module, x: np.ndarray, timespans: Any, mask: Any) -> Any:
        like = first_of(member)
        parts = x, timespans, mask
        given: Any = [None if part is None else put(part, like) for part in parts]
        with evaluated([member]), torch.no_grad():
            said = ask(torch, member, *given, likelihood=self.likelihood)
        return in_double(said, lambda part: part.cpu().double().numpy())

    def _anew(self, members: Sequence[Any], weighting: Weighting, seeds: Sequence[int]) -> Any:
        return Collective(members, weighting, seeds=seeds, likelihood=self.likelihood)

    def _dtype(self) -> Any:
        return np.float64 if first_of(self).dtype == torch.float64 else np.float32

    def _in_numpy(self, array: Any) -> Any:
        return array.detach().cpu().numpy() if isinstance(array, Tensor) else array


def first_of(module: nn.Module) -> Tensor:
    """A parameter that says in what type and where a module computes."""
    floating = (p for p in module.parameters() if p.is_floating_point())
    return next(floating, torch.zeros(()))


def put(array: np.ndarray, like: Tensor) -> Tensor:
    """An array as a tensor, floats in the type of another, where that is."""
    tensor = torch.as_tensor(array, device=like.device)
    return tensor.to(like.dtype) if tensor.is_floating_point() else tensor


@contextmanager
def evaluated(modules: Sequence[nn.Module]):
    """The modules in evaluation mode, each part in its own mode again afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
