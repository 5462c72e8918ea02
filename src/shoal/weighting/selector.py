"""Selector: a function of yours says for every sample who answers.

    function(x, timespans) -> whole numbers   (batch,) or (batch, k): the members that are asked
                              truth values    (batch, members): True for those that are asked
                              real numbers    (batch, members): how much each counts, at least 0
                              the last two also (members,), for all samples alike

Those that are chosen count the same; real numbers are divided by their sum. The function gets what
the crowd was asked, in the form it was asked: NumPy arrays from a `Collective`, traced arrays of
JAX or tensors where the weighting is applied to such. Values are checked in NumPy alone.

A function cannot be saved: `local` learns a selection from validation data that can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.equations.namespaces import alike, namespace
from shoal.weighting.evidence import Evidence


@dataclass(frozen=True)
class Selector:
    """w_i(x, Δt) from a function.

    Args:
        function: `function(x, timespans)`; see the head of this file.
        kept: the members that are left of those the function knows, None for all; of `select`.

    >>> near = Selector(lambda x, timespans: (x[:, 0] > 5).astype(int))
    >>> near.weights(2, np.array([[1.0], [9.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    function: Callable[[Any, Any], Any]
    kept: tuple[int, ...] | None = None
    kind: ClassVar[str] = "selector"
    learns: ClassVar[str] = "nothing"

    def __post_init__(self):
        if not callable(self.function):
            raise ValueError(
                "weighting 'selector' takes a function (x, timespans), got "
                f"{type(self.function).__name__}; in YAML use 'local', which is learned"
            )

    def fit(self, evidence: Evidence) -> Selector:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> Any:
        said = self.function(x, timespans)
        if namespace(said) is np:
            said = np.asarray(said)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        counts = _counts(said, n_models, self.kept, first)
        _check(counts, n_models)
        counts = counts / counts.sum(-1)[..., None]
        return namespace(counts).swapaxes(counts, 0, 1) if counts.ndim > 1 else counts

    def select(self, indices: Sequence[int]) -> Selector:
        kept = indices if self.kept is None else [self.kept[i] for i in indices]
        return Selector(self.function, tuple(int(i) for i in kept))

    def to_dict(self) -> dict[str, Any]:
        raise ValueError(
            "weighting 'selector' is a function, which cannot be saved; use 'local', which learns "
            "from validation data who answers where"
        )


def _counts(said: Any, members: int, kept: tuple[int, ...] | None, like: Any) -> Any:
    """(…, members) how much each counts, of any of the three forms."""
    form = str(said.dtype).rpartition(".")[2]
    if form.startswith(("bool", "float", "bfloat")):
        counts = _ones_where(said, like) if form.startswith("bool") else said
        return counts if kept is None else counts[..., list(kept)]
    if kept is None and namespace(said) is np and not _among(said, members):
        raise ValueError(
            f"weighting 'selector': the function names members {said.min()} to {said.max()}, there "
            f"are 0 to {members - 1}"
        )
    chosen = said[..., None] if said.ndim < 2 else said
    numbers = alike(np.arange(members) if kept is None else kept, chosen)
    return _ones_where((chosen[..., None] == numbers).any(-2), like)


def _among(said: np.ndarray, members: int) -> bool:
    return not said.size or bool(said.min() >= 0 and said.max() < members)


def _ones_where(flags: Any, like: Any) -> Any:
    """1 and 0 in the type of the answers that they will weigh, else in a single float."""
    xp = namespace(flags)
    if xp is np:
        return flags.astype(float)
    dtype = like.dtype if namespace(like) is xp else xp.float32
    return flags.to(dtype) if xp.__name__ == "torch" else flags.astype(dtype)


def _check(counts: Any, members: int) -> None:
    if counts.shape[-1] != members:
        raise ValueError(
            f"weighting 'selector': the function answers for {counts.shape[-1]} members, but there "
            f"are {members}"
        )
    if namespace(counts) is not np:
        return
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("weighting 'selector': weights must be finite and at least 0")
    nobody = np.flatnonzero(np.atleast_1d(counts.sum(-1)) <= 0)
    if len(nobody):
        raise ValueError(f"weighting 'selector': nobody is chosen for sample {nobody[0]}")
