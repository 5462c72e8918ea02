"""What a bundle holds, read without JAX: every member's description and parameters, what is around.

A group's members share a description and a stack of arrays, "GROUP/path" in the file. Here each
member has its own: its parameters by path, and the settings that are data in JAX, time scaling and
dropout rates, written into its description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shoal.bundle import honesty
from shoal.bundle.manifest import BundleError, read_arrays, read_manifest
from shoal.data.scaling import Scaling
from shoal.data.schema import Schema
from shoal.equations import elapsed
from shoal.equations.conformal import Calibration
from shoal.equations.conformal_quantile import QuantileCalibrations
from shoal.equations.recalibration import Recalibration
from shoal.equations.recalibration import from_dict as recalibration_of
from shoal.score.novelty import Novelty
from shoal.weighting import Weighting, resolve

KINDS = ("sequence_model", "mlp")  # that PyTorch and MLX know too
MASK = "feature_mask.value"
RATE = ".rate.value"  # how a dropout rate's path ends


@dataclass(frozen=True)
class Member:
    """One member: JSON that says what it is; what it learned, and its time scaling, by path."""

    description: dict[str, Any]
    parameters: dict[str, np.ndarray]


@dataclass(frozen=True)
class Around:
    """What a crowd has besides its members."""

    seeds: tuple[int, ...]
    weighting: Weighting
    scaling: Scaling | None
    schema: Schema | None
    calibration: Calibration | QuantileCalibrations | None
    recalibration: Recalibration | None
    novelty: Novelty | None


def read_members(path: str | Path, manifest: Mapping[str, Any] | None = None) -> list[Member]:
    """The members of the bundle in folder `path`, in their order.

    Raises:
        BundleError: a file is missing or damaged, or a member is of a kind that only JAX knows.
    """
    manifest = read_manifest(path) if manifest is None else manifest
    members: dict[int, Member] = {}
    arrays = read_member_arrays(path, manifest)
    for number, group in enumerate(manifest["groups"]):
        description = _described(path, number, group)
        for index in group["members"]:
            own = arrays[int(index)]
            members[int(index)] = Member(with_settings(description, own), without_rates(own))
    return [members[index] for index in sorted(members)]


def read_member_arrays(
    path: str | Path, manifest: Mapping[str, Any] | None = None
) -> dict[int, dict[str, np.ndarray]]:
    """Every array of each member by path, settings too, of members of any kind.

    Raises:
        BundleError: a file is missing or damaged.
    """
    manifest = read_manifest(path) if manifest is None else manifest
    arrays = read_arrays(path, manifest, "members")
    members = {}
    for number, group in enumerate(manifest["groups"]):
        prefix = f"{number}/"
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        _check_stack(path, number, own, len(group["members"]))
        for place, index in enumerate(group["members"]):
            members[int(index)] = {name: stack[place] for name, stack in own.items()}
    return members


def read_around(path: str | Path, manifest: Mapping[str, Any]) -> Around:
    """The seeds, weighting, scaling, schema and calibrations of the bundle in folder `path`.

    Raises:
        BundleError: one of them is malformed, or its file is damaged.
    """
    scaling, schema = manifest.get("scaling"), manifest.get("schema")
    softened = manifest.get("recalibration")
    try:
        return Around(
            tuple(int(seed) for seed in manifest["seeds"]),
            resolve(manifest["weighting"]),
            None if scaling is None else Scaling.from_dict(scaling),
            None if schema is None else Schema.from_dict(schema),
            _part(path, manifest, "calibration", honesty.calibration_of),
            None if softened is None else recalibration_of(softened),
            _part(path, manifest, "novelty", honesty.novelty_of),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"the manifest of {path} does not fit together: {error!r}") from error


def without_rates(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays but for dropout rates, which are settings and change no prediction.

    >>> list(without_rates({"rnn.stack.layers.0.dropout.rate.value": 0, "head.params.bias": 1}))
    ['head.params.bias']
    """
    return {name: array for name, array in arrays.items() if not name.endswith(RATE)}


def with_settings(description: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The description with the settings that a member's own arrays say."""
    own = dict(description)
    if "time_scaling.kind.value" in arrays:
        kind = elapsed.KINDS[int(arrays["time_scaling.kind.value"])]
        numbers = {key: _shortest(arrays[f"time_scaling.{key}.value"]) for key in ("mean", "std")}
        own["time_scaling"] = {"kind": kind, **numbers}
    if MASK in arrays:
        own["feature_mask"] = np.asarray(arrays[MASK], float).tolist()
    rates = {name: array for name, array in sorted(arrays.items()) if name.endswith(RATE)}
    for name, rate in rates.items():
        inside = ".forward." in name or ".backward." in name
        own["backbone_dropout" if inside else "dropout"] = _shortest(rate)
    return own


def _described(path: Any, number: int, group: Mapping[str, Any]) -> dict[str, Any]:
    kind, description = group.get("kind"), group.get("description")
    if kind not in KINDS:
        named = repr(kind) if kind else (description or {}).get("class", "unknown")
        raise BundleError(
            f"group {number} of {path} holds members of the kind {named}; outside JAX only those "
            f"of the kinds {', '.join(map(repr, KINDS))} can be built. Load it with shoal.load"
        )
    if not isinstance(description, dict):
        raise BundleError(f"group {number} of {path} has no description; the bundle is damaged")
    return description


def _check_stack(path: Any, number: int, arrays: Mapping[str, np.ndarray], size: int) -> None:
    if not arrays:
        raise BundleError(f"group {number} of {path} has no arrays; the bundle is damaged")
    for name, array in arrays.items():
        if array.shape[:1] != (size,):
            raise BundleError(
                f"group {number} of {path}: {name} is {array.shape} in the file, "
                f"but the group has {size} members, which come first"
            )


def _part(path: Any, manifest: Mapping[str, Any], role: str, build: Callable) -> Any:
    given = manifest.get(role)
    if given is None:
        return None
    arrays = read_arrays(path, manifest, role)
    try:
        return build(given, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the {role} of {path} is malformed: {error}") from error


def _shortest(value: Any) -> float:
    """The number with the fewest digits that is this float32."""
    return float(str(np.asarray(value, np.float32)))
