"""Members as safetensors files for another framework, each with what it takes to build it again.

    NAME_best_torch.safetensors    NAME_ensemble_0_torch.safetensors, ...     (or _mlx)

The arrays have the names of the framework's own module, so that its own functions read them. The
file's metadata says under "shoal" which member it is: JSON with its description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shoal.bundle.contents import Member, read_members
from shoal.bundle.manifest import BundleError, read_manifest
from shoal.bundle.sets import FileSet, check_name, parts_of
from shoal.bundle.tensors import from_bytes, to_bytes
from shoal.bundle.versions import versions

FACTS = "shoal"


def export_members(
    bundle: str | Path,
    folder: str | Path,
    name: str,
    framework: str,
    arrays_of: Callable[[Member], Mapping[str, np.ndarray]],
    *,
    best: int = 0,
    numbers: Sequence[int] | None = None,
    every: bool = False,
) -> list[Path]:
    """Writes the best member of a bundle, or all, as one set of files.

    Args:
        bundle: its folder.
        folder: where to; created where it is missing.
        name: NAME, the first part of every file's name.
        framework: "torch" or "mlx".
        arrays_of: a member's arrays by the framework's own names.
        best: the number of the best member.
        numbers: what the bundle's members are called; 0, 1, … by default.
        every: all members too, by their numbers.

    Raises:
        BundleError: the name is unfit, or a member cannot be built. The old set is as it was.
    """
    check_name(name)
    manifest = read_manifest(bundle)
    members = read_members(bundle, manifest)
    numbers = list(range(len(members)) if numbers is None else numbers)
    parts = parts_of(numbers, len(members), best, every)

    def contents():
        for part, place in parts.items():
            facts = {"number": numbers[place], "seed": manifest["seeds"][place]}
            data = member_bytes(members[place].description, arrays_of(members[place]), facts)
            yield f"{name}_{part}_{framework}.safetensors", data

    pattern = re.compile(rf"{re.escape(name)}_(best|ensemble_\d+)_{framework}\.safetensors")
    files = FileSet(Path(folder), f"{name}+{framework}", pattern, ".files.json")
    return files.replace(contents)


def member_bytes(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> bytes:
    """The file of one member."""
    said = {"description": description, "version": versions().get("shoal"), **facts}
    return to_bytes(arrays, {FACTS: json.dumps(said)})


def read_member_file(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description and the arrays of a file of `export_members`.

    Raises:
        BundleError: there is none, it is damaged, or it does not say what it is.
    """
    from safetensors import SafetensorError

    try:
        arrays, metadata = from_bytes(Path(path).read_bytes())
    except FileNotFoundError:
        raise BundleError(f"there is no file {path}") from None
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is no safetensors file, or is damaged: {error}") from None
    try:
        return dict(json.loads(metadata[FACTS])["description"]), arrays
    except (KeyError, TypeError, ValueError):
        raise BundleError(
            f"{path} does not say what member it holds; it was not written by `shoal export --to`. "
            "Build the module yourself, and load the file into it"
        ) from None
