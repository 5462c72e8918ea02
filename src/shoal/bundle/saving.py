"""Saving a collective: everything that is needed to predict again, and nothing that runs.

A bundle that is there already stays as it is until the new one is whole: the arrays are written
under names that the old manifest does not use, and then one rename puts the new manifest in place.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shoal.bundle import files, honesty, registry
from shoal.bundle.arrays import named_leaves
from shoal.bundle.manifest import FORMAT, MANIFEST, VERSION, BundleError, read_manifest
from shoal.bundle.tensors import to_bytes
from shoal.bundle.versions import versions
from shoal.weighting import describe as describe_weighting


def save(crowd: Any, path: str | Path, *, info: Mapping[str, Any] | None = None) -> Path:
    """Saves a `Collective` as a bundle in the folder `path`.

    Args:
        crowd: its members must be JAX pytrees; other libraries' predictors save themselves.
        path: a new or empty folder, or a bundle, which is replaced once the new one is whole.
        info: what else is worth keeping, as JSON: the members' status, losses, the run's name.

    Returns:
        The folder.

    Raises:
        BundleError: `path` holds something else, or a part cannot be saved.
    """
    path = Path(path)
    manifest, arrays = _describe(crowd, info)
    if not path.exists():
        _write_new(path, manifest, arrays)
    elif path.is_dir() and (not any(path.iterdir()) or (path / MANIFEST).exists()):
        _replace(path, manifest, arrays)
    else:
        raise BundleError(f"{path} exists and is no bundle; choose another folder, or remove it")
    return path


def _describe(crowd: Any, info: Mapping[str, Any] | None) -> tuple[dict, dict[str, dict]]:
    if not hasattr(crowd.population, "groups"):
        raise BundleError(
            "members of other libraries and plain functions cannot be saved in a bundle; "
            "save each with its own library"
        )
    groups, members = [], {}
    for number, group in enumerate(crowd.population.groups):
        indices = [int(i) for i in group.indices]
        name, description = registry.describe(crowd.population.member(indices[0]))
        groups.append({"kind": name, "description": description, "members": indices})
        for leaf, array in named_leaves(group.members).items():
            members[f"{number}/{leaf}"] = np.asarray(array)
    arrays = {"members": members}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "packages": versions(),
        "n_models": crowd.n_models,
        "seeds": [int(seed) for seed in crowd.seeds],
        "groups": groups,
        "weighting": describe_weighting(crowd.weighting),
        "scaling": None if crowd.scaling is None else crowd.scaling.to_dict(),
        "schema": None if crowd.schema is None else crowd.schema.to_dict(),
        "recalibration": None if crowd.recalibration is None else crowd.recalibration.to_dict(),
        "calibration": None,
        "novelty": None,
        "info": dict(info or {}),
    }
    for role in ("calibration", "novelty"):
        if getattr(crowd, role) is not None:
            manifest[role], arrays[role] = honesty.described(getattr(crowd, role))
    return manifest, arrays


def _write_new(path: Path, manifest: dict, arrays: dict[str, dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.remove_stale(path.parent, path.name)
    draft = files.draft(path.parent, path.name)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        _fill(draft, manifest, arrays, taken=set())
        draft.rename(path)
        files.flush(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(path: Path, manifest: dict, arrays: dict[str, dict]) -> None:
    try:
        old = read_manifest(path)
        taken = {entry["name"] for entry in old["files"].values()}
    except (BundleError, KeyError, TypeError, AttributeError):
        taken = {file.name for file in path.glob("*.safetensors")}  # damaged: touch nothing of it
    written = _fill(path, manifest, arrays, taken)
    for file in path.glob("*.safetensors"):
        if file.name not in written:
            file.unlink(missing_ok=True)
    files.remove_stale(path, MANIFEST)


def _fill(path: Path, manifest: dict, arrays: dict[str, dict], taken: set[str]) -> set[str]:
    """Arrays first, then the manifest by one rename; the names of the arrays' files."""
    entries: dict[str, dict] = {}
    text = json.dumps({**manifest, "files": {}}, allow_nan=False)  # refuse before writing
    for role, named in arrays.items():
        name = (
            f"{role}.safetensors" if f"{role}.safetensors" not in taken else f"{role}-2.safetensors"
        )
        (path / name).unlink(missing_ok=True)  # left over from a save that was killed
        entries[role] = files.write(path / name, to_bytes(named))
    text = json.dumps({**manifest, "files": entries}, indent=2, allow_nan=False) + "\n"
    draft = files.draft(path, MANIFEST)
    draft.unlink(missing_ok=True)
    files.write(draft, text.encode())
    files.flush(path)
    draft.replace(path / MANIFEST)
    files.flush(path)
    return {entry["name"] for entry in entries.values()}
