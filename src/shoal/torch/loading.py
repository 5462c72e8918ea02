"""Bundles in PyTorch: the crowd that JAX saved, its members as `torch.nn` modules.

crowd = shoal.torch.load("bundle")
p = crowd.predict(x, timespans)        # .mean .std .interval(0.9), equal to JAX's
crowd.members[0]                       # a SequenceModel: train it on, save it, compose it
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shoal.bundle.contents import Member
from shoal.bundle.crowd import Crowd, read_crowd
from shoal.bundle.frameworks import from_torch, to_torch
from shoal.bundle.manifest import BundleError
from shoal.bundle.member_files import export_members as write_members
from shoal.bundle.member_files import read_member_file
from shoal.equations.outputs import Categorical, Normal
from shoal.torch.mlp import MLP
from shoal.torch.model import SequenceModel


def load(
    bundle: str | Path,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Crowd:
    """The crowd of a bundle, its members PyTorch modules in evaluation mode; JAX is not needed.

    Args:
        bundle: the folder that `shoal.save` or a run wrote.
        device: where the members live; the CPU by default.
        dtype: what they compute in; what they were saved in by default.

    Returns:
        A `Crowd`: `.predict(x, timespans, mask)`, `.members`, `.seeds`, `.weighting`, `.select`.

    Raises:
        BundleError: a file is missing or damaged, the version unknown, or a member cannot be built
            outside JAX: it is named, with the reason.
    """
    given = np.float64 if dtype == torch.float64 else np.float32
    return read_crowd(bundle, partial(build, device=device, dtype=dtype), ask, given)


def load_member(
    path: str | Path,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> SequenceModel | MLP:
    """The module in a file of `shoal export --to torch`, in evaluation mode.

    `safetensors.torch.load_file` reads the file too, as the `state_dict` of such a module.

    Raises:
        BundleError: the file is missing, damaged, or does not say what it holds.
    """
    description, arrays = read_member_file(path)
    module = _module(description)
    try:
        module.load_state_dict({name: to_torch(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise BundleError(f"{path} does not fit its own description: {error}") from None
    return module.to(device=device, dtype=dtype)


def export_members(
    bundle: str | Path,
    folder: str | Path,
    name: str,
    *,
    best: int = 0,
    numbers: Sequence[int] | None = None,
    every: bool = False,
) -> list[Path]:
    """Writes `NAME_best_torch.safetensors`, or every member's too, as one set of files.

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
        return {name: from_torch(array) for name, array in build(member).state_dict().items()}

    own: dict[str, Any] = {"best": best, "numbers": numbers, "every": every}
    return write_members(bundle, folder, name, "torch", arrays, **own)


def build(
    member: Member,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> SequenceModel | MLP:
    """The module of a bundle's member, in evaluation mode."""
    module = _module(member.description)
    try:
        module.load_layout({name: to_torch(array) for name, array in member.parameters.items()})
    except ValueError as error:
        raise BundleError(f"a member does not fit its description: {error}") from None
    return module.to(device=device, dtype=dtype)


def ask(member: torch.nn.Module, x: np.ndarray, timespans: Any, mask: Any) -> Any:
    """What a member answers, in NumPy; without dropout or gradients, whatever mode it is in."""
    like = next(member.parameters())
    given = [None if a is None else torch.as_tensor(a).to(like) for a in (x, timespans)]
    seen = None if mask is None else torch.as_tensor(mask, device=like.device)
    training = member.training
    member.eval()
    with torch.no_grad():
        answer = member(*given, mask=seen)
    member.train(training)
    if isinstance(answer, Normal | Categorical):
        return type(answer)(*(part.cpu().double().numpy() for part in answer))
    return answer.cpu().double().numpy()


def _module(description: dict[str, Any]) -> SequenceModel | MLP:
    made = MLP if description.get("kind") == "mlp" else SequenceModel
    try:
        return made.from_description(description).eval()
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"a member cannot be built in PyTorch: {error}") from error
