"""Bundles in MLX: the crowd that JAX saved, its members as `mlx.nn` modules.

crowd = shoal.mlx.load("bundle")
p = crowd.predict(x, timespans)        # .mean .std .interval(0.9), equal to JAX's
crowd.members[0]                       # a SequenceModel: train it on, save it, compose it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from shoal.bundle.contents import Member
from shoal.bundle.crowd import Crowd, read_crowd
from shoal.bundle.frameworks import from_mlx, to_mlx
from shoal.bundle.manifest import BundleError
from shoal.bundle.member_files import export_members as write_members
from shoal.bundle.member_files import read_member_file
from shoal.equations.outputs import Categorical, Normal
from shoal.mlx.mlp import MLP
from shoal.mlx.model import SequenceModel


def load(bundle: str | Path) -> Crowd:
    """The crowd of a bundle, its members MLX modules in evaluation mode; JAX is not needed.

    Args:
        bundle: the folder that `shoal.save` or a run wrote.

    Returns:
        A `Crowd`: `.predict(x, timespans, mask)`, `.members`, `.seeds`, `.weighting`, `.select`.

    Raises:
        BundleError: a file is missing or damaged, the version unknown, or a member cannot be built
            outside JAX: it is named, with the reason.
    """
    return read_crowd(bundle, build, ask)


def load_member(path: str | Path) -> SequenceModel | MLP:
    """The module in a file of `shoal export --to mlx`, in evaluation mode.

    MLX's own `load_weights` reads the file too, into a module that is there already.

    Raises:
        BundleError: the file is missing, damaged, or does not say what it holds.
    """
    description, arrays = read_member_file(path)
    module = _module(description)
    _filled(module, arrays)
    return module


def export_members(
    bundle: str | Path,
    folder: str | Path,
    name: str,
    *,
    best: int = 0,
    numbers: Sequence[int] | None = None,
    every: bool = False,
) -> list[Path]:
    """Writes `NAME_best_mlx.safetensors`, or every member's too, as one set of files.

    Args:
        bundle: the folder of a bundle.
        folder: where to; created where it is missing.
        name: NAME, the first part of every file's name.
        best: the number of the best member.
        numbers: what the members are called; 0, 1, … by default.
        every: all members too, by their numbers.

    Returns:
        The files.
    """

    def arrays(member: Member) -> dict[str, np.ndarray]:
        flat = tree_flatten(build(member).parameters())
        return {name: from_mlx(array) for name, array in flat}  # pyright: ignore

    own: dict[str, Any] = {"best": best, "numbers": numbers, "every": every}
    return write_members(bundle, folder, name, "mlx", arrays, **own)


def build(member: Member) -> SequenceModel | MLP:
    """The module of a bundle's member, in evaluation mode."""
    module = _module(member.description)
    _filled(module, member.parameters)
    return module


def ask(member: SequenceModel | MLP, x: np.ndarray, timespans: Any, mask: Any) -> Any:
    """What a member answers, in NumPy; without dropout, whatever mode it is in."""
    training = member.training
    member.eval()
    inputs = [None if part is None else mx.array(part) for part in (x, timespans, mask)]
    answer = member(inputs[0], inputs[1], mask=inputs[2])
    member.train(training)
    if isinstance(answer, Normal | Categorical):
        return type(answer)(*(_numpy(part) for part in answer))
    return _numpy(answer)


def _module(description: dict[str, Any]) -> SequenceModel | MLP:
    made = MLP if description.get("kind") == "mlp" else SequenceModel
    try:
        module = made.from_description(description)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"a member cannot be built in MLX: {error}") from error
    module.eval()
    return module


def _filled(module: SequenceModel | MLP, arrays: dict[str, np.ndarray]) -> None:
    try:
        module.load_layout({name: to_mlx(array) for name, array in arrays.items()})
    except ValueError as error:
        raise BundleError(f"a member does not fit its description: {error}") from None


def _numpy(array: mx.array) -> np.ndarray:
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
