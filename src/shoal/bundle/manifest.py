"""The manifest of a bundle, and the arrays beside it, read without JAX and without running code.

    manifest.json          what the members are, how they count, how data are scaled
    members.safetensors    their arrays, "GROUP/path", stacked on the first axis
    calibration.safetensors   scores and counts, where the collective is calibrated
    novelty.safetensors    raw scores of validation rows, where it can tell strange rows

The manifest names every file with its size and hash; what is missing, cut short or altered is
refused by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shoal.bundle.tensors import from_bytes

FORMAT, VERSION = "shoal-bundle", 1
MANIFEST = "manifest.json"
_REQUIRED = ("n_models", "seeds", "groups", "weighting", "files")


class BundleError(ValueError):
    """A bundle cannot be read or written; the message says which part, and why."""


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of the bundle in folder `path`, checked for form, not for its files' contents.

    Raises:
        BundleError: there is none, it is no JSON, of another format or of a newer version.
    """
    file = Path(path) / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{file} is not JSON ({error}); the bundle is damaged") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f'{file} does not say "format": "{FORMAT}"; it is of something else')
    if manifest.get("version") != VERSION:
        raise BundleError(
            f"{file} is of version {manifest.get('version')!r}, this program reads version "
            f"{VERSION}; it was written by shoal {manifest.get('packages', {}).get('shoal', '?')}"
        )
    missing = [key for key in _REQUIRED if key not in manifest]
    if missing:
        raise BundleError(f"{file} lacks {', '.join(missing)}; the bundle is damaged")
    _check_members(manifest, file)
    return manifest


def _check_members(manifest: Mapping[str, Any], file: Path) -> None:
    try:
        places = sorted(int(i) for group in manifest["groups"] for i in group["members"])
        n, seeds = int(manifest["n_models"]), len(manifest["seeds"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{file}: groups or seeds are malformed ({error!r})") from None
    if places != list(range(n)) or seeds != n or n < 1:
        raise BundleError(
            f"{file}: n_models is {n}, but the groups hold the members {places} "
            f"and there are {seeds} seeds"
        )


def read_arrays(path: str | Path, manifest: Mapping[str, Any], role: str) -> dict[str, np.ndarray]:
    """The arrays of the file with that role ("members", "calibration", ...), its hash checked.

    Raises:
        BundleError: the file is missing, cut short, altered, or no safetensors.
    """
    from safetensors import SafetensorError

    entry = manifest["files"].get(role)
    if not isinstance(entry, Mapping) or not {"name", "size", "sha256"} <= entry.keys():
        raise BundleError(f"{Path(path) / MANIFEST} names no file for {role!r}")
    file = Path(path) / plain_name(entry["name"])
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"the bundle {path} lacks {file.name}") from None
    if len(data) != entry["size"]:
        raise BundleError(f"{file} has {len(data)} bytes, the manifest says {entry['size']}")
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BundleError(f"{file} was altered: its hash is not the manifest's")
    try:
        return from_bytes(data)[0]
    except (SafetensorError, KeyError, TypeError) as error:
        raise BundleError(f"{file} cannot be read: {error}") from None


def plain_name(name: Any) -> str:
    """A file's name that leads nowhere but into its own folder."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise BundleError(f"the manifest names a file outside the bundle: {name!r}")
    return name
