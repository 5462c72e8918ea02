"""One set of weights: parameters between JAX, PyTorch and MLX, to the bit, both ways.

    parameters(module)                  {path: NumPy array}, the same paths in every framework
    save_parameters(module, path)       as a safetensors file
    load_parameters(path, into=module)  from such a file, from MLX's `save_weights`, from a bundle

A path is where an array lies in the JAX neuron, `stack.layers.0.forward.params.ff1_weight`; in a
`SequenceModel` it begins with `rnn.`, and there are `head.params.weight` and `time_scaling.…`.
Dropout rates are settings of a module, not parameters: they are neither written nor read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from shoal.bundle.contents import read_member_arrays, without_rates
from shoal.bundle.frameworks import framework_of
from shoal.bundle.manifest import BundleError, read_manifest
from shoal.bundle.tensors import from_bytes, to_bytes, type_name

Module = TypeVar("Module")
TIME = "time_scaling."  # its numbers are taken in any type


def parameters(module: Any) -> dict[str, np.ndarray]:
    """Every array that a neuron's or a `SequenceModel`'s answers depend on, by path.

    Args:
        module: of JAX, `shoal.torch` or `shoal.mlx`.

    Returns:
        Copies, each of the module's own type. For bfloat16 see `shoal.bundle.tensors`.

    Raises:
        TypeError: for modules that have no such layout.

    >>> import shoal
    >>> sorted(parameters(shoal.GRU(2, 3, key=0)))[0]
    'stack.layers.0.forward.params.candidate_bias'
    """
    return without_rates(framework_of(module).read(module))


def save_parameters(module: Any, path: str | Path) -> Path:
    """Writes the parameters of a module as a safetensors file.

    Args:
        module: as of `parameters`.
        path: the file, which is replaced.

    Returns:
        The path.
    """
    path = Path(path)
    path.write_bytes(to_bytes(parameters(module)))
    return path


def load_parameters(path: str | Path, into: Module, *, member: int | None = None) -> Module:
    """Reads parameters into a module of any of the three frameworks.

    Args:
        path: a file of `save_parameters`, of MLX's `save_weights`, a `_params.safetensors` of an
            export; or a bundle, with `member`.
        into: a neuron or `SequenceModel` of the same structure and type.
        member: the number of a bundle's member.

    Returns:
        For JAX a new pytree; else the module itself, whose arrays were replaced.

    Raises:
        BundleError: an array is missing, left over, or of another shape or type: it is named, with
            what was found and what was expected. The module is as it was.
    """
    found = without_rates(_read(Path(path), member))
    framework = framework_of(into)
    check_fit(found, without_rates(framework.read(into)), str(path))
    return framework.write(into, found)


def check_fit(found: Mapping[str, Any], wanted: Mapping[str, Any], source: str) -> None:
    """Refuses arrays that are not exactly those wanted, in name, shape and type."""
    for name, array in wanted.items():
        if name not in found:
            near = _same_end(name, found)
            hint = f"; it has {near}, which may be the same of another structure" if near else ""
            raise BundleError(f"{source} lacks {name}, {_said(array)}{hint}")
    for name in found:
        if name not in wanted:
            raise BundleError(f"{source} has {name}, for which the module has no place")
    for name, array in wanted.items():
        if tuple(found[name].shape) != tuple(array.shape):
            raise BundleError(
                f"{name} is {_said(found[name])} in {source}, but the module needs {_said(array)}"
            )
        if type_name(found[name]) != type_name(array) and not name.startswith(TIME):
            raise BundleError(
                f"{name} is {_said(found[name])} in {source}, but the module needs "
                f"{_said(array)}; make the module in the file's type, read, then convert it"
            )


def _read(path: Path, member: int | None) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError

    if path.is_dir():
        return _of_bundle(path, member)
    if member is not None:
        raise BundleError(f"`member` is for bundles, and {path} is no folder; leave it out")
    try:
        return from_bytes(path.read_bytes())[0]
    except FileNotFoundError:
        raise BundleError(f"there is no file {path}") from None
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is no safetensors file, or is damaged: {error}") from None


def _of_bundle(path: Path, member: int | None) -> dict[str, np.ndarray]:
    manifest = read_manifest(path)
    n_models = manifest["n_models"]
    if member is None or not -n_models <= member < n_models:
        raise BundleError(
            f"{path} is a bundle of {n_models} members; say which one, `member` from 0 to "
            f"{n_models - 1}, got {member}"
        )
    return read_member_arrays(path, manifest)[range(n_models)[member]]


def _same_end(name: str, found: Mapping[str, Any]) -> str | None:
    end = name.rpartition(".")[2]
    return next((other for other in found if other.rpartition(".")[2] == end), None)


def _said(array: Any) -> str:
    return f"{type_name(array)}{tuple(array.shape)}"
