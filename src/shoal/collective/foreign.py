"""Members that JAX cannot trace: predictors of other libraries, and plain functions.

    has `predict_proba`   scikit-learn and XGBoost classifiers: probabilities, kept as logarithms
    has `predict`         scikit-learn and XGBoost regressors: points
    torch.nn.Module       called with tensors, without gradients; the first of a tuple is the answer
    else                  member(x, timespans) over NumPy arrays

They are called one after the other; nothing of them is compiled, exported or saved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from shoal.equations.outputs import Categorical, Normal


def is_foreign(member: Any) -> bool:
    """Whether a member must be called from outside: no pytree with arrays of JAX in it."""
    return not any(eqx.is_array(leaf) for leaf in jax.tree.leaves(member))


class ForeignPopulation:
    """Members of any library, with the face of a `Population`.

    >>> import numpy as np
    >>> crowd = ForeignPopulation([lambda x, timespans: x[:, :1], lambda x, timespans: x[:, 1:]])
    >>> crowd(np.array([[1.0, 2.0]])).shape
    (2, 1, 1)
    """

    def __init__(self, members: Sequence[Any], seeds: Sequence[int] | None = None):
        if not len(members):
            raise ValueError("`members` must hold at least one member, got an empty list")
        self.members = tuple(members)
        self.seeds = tuple(range(len(members)) if seeds is None else seeds)

    @property
    def n_models(self) -> int:
        return len(self.members)

    def member(self, index: int) -> Any:
        return self.members[index]

    def select(self, indices: Sequence[int]) -> ForeignPopulation:
        return ForeignPopulation(
            [self.members[i] for i in indices], [self.seeds[i] for i in indices]
        )

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        answers = [_ask(member, x, timespans, mask) for member in self.members]
        kinds = [(type(a).__name__, jax.tree.map(np.shape, a)) for a in answers]
        for index, kind in enumerate(kinds):
            if kind != kinds[0]:
                raise ValueError(
                    f"members must answer alike: member 0 gives {kinds[0]}, member {index} {kind}"
                )
        return jax.tree.map(lambda *parts: np.stack(parts), *answers)


def _ask(member: Any, x, timespans, mask):
    if not is_foreign(member):
        answer = eqx.filter_jit(member)(x, timespans, mask=mask)
        return jax.tree.map(np.asarray, answer)
    if hasattr(member, "predict_proba"):
        with np.errstate(divide="ignore"):
            return Categorical(np.log(np.asarray(member.predict_proba(x), float)))
    if hasattr(member, "predict"):
        return np.asarray(member.predict(x), float)
    if mask is not None:
        raise ValueError(
            f"{type(member).__name__} is called as member(x, timespans), "
            "and cannot be told of a mask"
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(member, torch.nn.Module):
        return _ask_torch(torch, member, x, timespans)
    return _as_arrays(member(x, timespans))


def _ask_torch(torch: Any, member: Callable, x, timespans):
    like = next(iter(member.parameters()), torch.zeros(()))  # pyright: ignore
    inputs = [None if a is None else torch.as_tensor(a).to(like) for a in (x, timespans)]
    with torch.no_grad():
        answer = member(*inputs)
    return np.asarray((answer[0] if isinstance(answer, tuple) else answer).cpu(), float)


def _as_arrays(answer: Any):
    if isinstance(answer, Normal | Categorical):
        return type(answer)(*(np.asarray(part, float) for part in answer))
    return np.asarray(answer, float)
