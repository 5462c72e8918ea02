"""Members that JAX cannot trace: modules and predictors of other libraries, and plain functions.

    torch.nn.Module, mlx.nn.Module   called as model(x, timespans), without dropout or gradients
    has `predict_proba`              scikit-learn's and XGBoost's classifiers: probabilities, kept
                                     as logarithms; column k is the class `classes_[k]`
    has `predict`                    scikit-learn's and XGBoost's regressors: points
    else                             member(x, timespans) over NumPy arrays

Those with `predict` are asked by x alone. They are called one after the other; nothing of them is
compiled, exported or saved. XGBoost's own `Booster` wants a `DMatrix`; wrap it:
`lambda x, timespans: booster.predict(xgboost.DMatrix(x))`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import numpy as np

from shoal.equations.answers import ask, check_likelihood, each, stacked
from shoal.equations.outputs import Categorical, Normal


def is_foreign(member: Any) -> bool:
    """Whether a member must be called from outside: no pytree with arrays of JAX in it."""
    return not any(eqx.is_array(leaf) for leaf in jax.tree.leaves(member))


class ForeignPopulation:
    """Members of any library, with the face of a `Population`.

    Args:
        members: the members, of whatever libraries, at least one.
        seeds: one per member, for the record.
        likelihood: what a plain array of a module or function means: None or "point", the numbers
            themselves; "normal", the last axis holds means, then what becomes σ; "categorical",
            logits of classes.

    Raises:
        ValueError: there is no member, one cannot be asked, or classifiers know unlike classes.

    >>> import numpy as np
    >>> crowd = ForeignPopulation([lambda x, timespans: x[:, :1], lambda x, timespans: x[:, 1:]])
    >>> crowd(np.array([[1.0, 2.0]])).shape
    (2, 1, 1)
    """

    def __init__(
        self,
        members: Sequence[Any],
        seeds: Sequence[int] | None = None,
        likelihood: str | None = None,
    ):
        if not len(members):
            raise ValueError("`members` must hold at least one member, got an empty list")
        check_likelihood(likelihood)
        _check_callable(members)
        _check_classes(members)
        self.members = tuple(members)
        self.seeds = tuple(range(len(members)) if seeds is None else seeds)
        self.likelihood = likelihood

    @property
    def n_models(self) -> int:
        return len(self.members)

    def member(self, index: int) -> Any:
        return self.members[index]

    def select(self, indices: Sequence[int]) -> ForeignPopulation:
        kept = [self.members[i] for i in indices]
        return ForeignPopulation(kept, [self.seeds[i] for i in indices], self.likelihood)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        answers = [_ask(member, x, timespans, mask, self.likelihood) for member in self.members]
        answers = _columns(self.members, answers)
        try:
            return stacked(np, answers)
        except ValueError as error:
            raise ValueError(f"{error}; {_hint(answers)}") from None


def _check_callable(members: Sequence[Any]) -> None:
    for index, member in enumerate(members):
        if not callable(member) and not hasattr(member, "predict"):
            raise ValueError(
                f"`members` must be models that are called or have `predict`; member {index} is a "
                f"{type(member).__name__}"
            )


def _ask(member: Any, x, timespans, mask, likelihood):
    if not is_foreign(member):
        return jax.tree.map(np.asarray, _traced(member, x, timespans, mask))
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.nn")
    if torch is not None and isinstance(member, torch.nn.Module):
        return _ask_torch(torch, member, x, timespans, mask, likelihood)
    if mlx is not None and isinstance(member, mlx.Module):
        return _ask_mlx(sys.modules["mlx.core"], member, x, timespans, mask, likelihood)
    if hasattr(member, "predict_proba") or hasattr(member, "predict"):
        return _ask_predictor(member, x, mask)
    return each(_doubles, ask(np, member, x, timespans, mask, likelihood))


@eqx.filter_jit
def _traced(member, x, timespans, mask):
    return member(x, timespans, mask=mask)


def _ask_predictor(member: Any, x, mask):
    if mask is not None:
        raise ValueError(
            f"{type(member).__name__} is asked by x alone, and cannot be told of a mask; "
            "wrap it in a function (x, timespans, mask) that knows what to do with padding"
        )
    if hasattr(member, "predict_proba"):
        with np.errstate(divide="ignore"):
            return Categorical(np.log(np.asarray(member.predict_proba(x), float)))
    return np.asarray(member.predict(x), float)


def _ask_torch(torch: Any, member: Any, x, timespans, mask, likelihood):
    floating = (p for p in member.parameters() if p.is_floating_point())
    like = next(floating, torch.zeros(()))

    def put(array: Any) -> Any:
        tensor = torch.as_tensor(array, device=like.device)
        return tensor.to(like.dtype) if tensor.is_floating_point() else tensor

    given = [None if a is None else put(a) for a in (x, timespans, mask)]
    with _evaluated(member.modules()), torch.no_grad():
        answer = ask(torch, member, *given, likelihood=likelihood)  # pyright: ignore
    return each(lambda a: a.cpu().double().numpy(), answer)


def _ask_mlx(mx: Any, member: Any, x, timespans, mask, likelihood):
    given = [None if a is None else mx.array(_singles(a)) for a in (x, timespans, mask)]
    with _evaluated(member.modules()):
        answer = ask(mx, member, *given, likelihood=likelihood)  # pyright: ignore
    return each(lambda a: np.array(a.astype(mx.float32), float), answer)


@contextmanager
def _evaluated(parts: Any):
    """The parts of a module in evaluation mode, each in its own mode again afterwards."""
    modes = [(part, part.training) for part in parts]  # the whole comes before its parts
    for part, _ in modes:
        part.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.train(training)


def _check_classes(members: Sequence[Any]) -> None:
    """Columns of probabilities must mean the same classes in every classifier."""
    known = [(i, list(m.classes_)) for i, m in enumerate(members) if hasattr(m, "classes_")]
    for i, classes in known[1:]:
        if classes != known[0][1]:
            raise ValueError(
                f"classifiers must know the same classes: member {known[0][0]} knows "
                f"{known[0][1]}, member {i} {classes}; train them on the same ones"
            )


def _columns(members: Sequence[Any], answers: list[Any]) -> list[Any]:
    """Predictors answer (batch,) for one target; as a column where the others answer columns."""
    column = any(getattr(a, "ndim", 0) == 2 and a.shape[1] == 1 for a in answers)

    def fitting(member: Any, answer: Any) -> Any:
        flat = isinstance(answer, np.ndarray) and answer.ndim == 1 and hasattr(member, "predict")
        return answer[:, None] if column and flat else answer

    return [fitting(m, a) for m, a in zip(members, answers, strict=True)]


def _hint(answers: Sequence[Any]) -> str:
    kinds = [isinstance(answer, Normal | Categorical) for answer in answers]
    if any(kinds) and not all(kinds):
        return (
            "where some answer distributions, all must: say what plain arrays mean with "
            "`likelihood`, or let those members answer a Normal or Categorical"
        )
    return "wrap a member in a function (x, timespans) that brings its answer into shape"


def _doubles(array: Any) -> np.ndarray:
    return np.asarray(array, float)


def _singles(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array.astype(np.float32) if array.dtype == np.float64 else array
