"""The `exported_models` folder: the best member (or all) for runtimes without Shoal.

    ensemble_metadata.json          NAME_best.mlir          NAME_best_params.safetensors (.pkl)
    NAME_ensemble_0.mlir, ...       NAME_best.stablehlo     NAME_ensemble_0_params.safetensors, ...

Files of one NAME are replaced as one set, as `shoal.bundle.sets` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pickle import dumps
from typing import Any

import numpy as np

from shoal.bundle.arrays import named_leaves
from shoal.bundle.manifest import BundleError
from shoal.bundle.sets import FileSet, check_name, parts_of
from shoal.bundle.tensors import to_bytes

METADATA = "ensemble_metadata.json"


def export(
    crowd: Any,
    folder: str | Path,
    name: str,
    *,
    metadata: Mapping[str, Any],
    best: int | None = None,
    numbers: Sequence[int] | None = None,
    every: bool = False,
    stablehlo: bool = True,
    pickle: bool = False,
    features: int | None = None,
) -> list[Path]:
    """Exports the best member, or all, as one set of files.

    Args:
        crowd: a `Collective`.
        folder: `exported_models`; created where it is missing.
        name: NAME, the first part of every file's name.
        metadata: of `ensemble_metadata`; the files' hashes are added under "files".
        best: the number of the best member; by default `metadata["best_model_index"]`.
        numbers: what the crowd's members are called, where they are some of the members that were
            trained; 0, 1, … by default.
        every: every member's .mlir and _params.safetensors too, as for `save_all_models`.
        stablehlo: False leaves out .mlir and .stablehlo, for members that cannot be exported.
        pickle: the best member's parameters as a pickle too, a dict of NumPy arrays.
        features: the raw columns of x; known from the scaling where there is one.

    Returns:
        The files of the new set.

    Raises:
        BundleError: the name is unfit, a member cannot be exported, or `features` is unknown. The
            old set is as it was.
    """
    check_name(name)
    numbers = list(range(crowd.n_models) if numbers is None else numbers)
    best = int(metadata["best_model_index"] if best is None else best)
    parts = parts_of(numbers, crowd.n_models, best, every)

    def contents():
        exporter = _Exporter(crowd, features) if stablehlo else None
        return _contents(crowd, name, exporter, parts, pickle)

    return _set_of(Path(folder), name).replace(contents, metadata)


def finish(folder: str | Path, name: str) -> None:
    """Moves a set that is whole into place, and removes what only the old one had."""
    _set_of(Path(folder), name).finish()


def _set_of(folder: Path, name: str) -> FileSet:
    pattern = re.compile(
        rf"{re.escape(name)}_(best|ensemble_\d+)(\.mlir|\.stablehlo|_params\.(safetensors|pkl))"
    )
    return FileSet(folder, name, pattern, METADATA)


class _Exporter:
    """StableHLO of members; those of one structure share one module, as arrays are arguments."""

    def __init__(self, crowd: Any, features: int | None):
        if crowd.scaling is not None:
            features = len(crowd.scaling.names)
        if features is None:
            raise BundleError("`features`, the number of columns of x, is needed without a scaling")
        self.crowd, self.features, self.done = crowd, features, {}

    def __call__(self, index: int) -> Any:
        from shoal.bundle.stablehlo import exported_member

        groups = self.crowd.population.groups
        number = next(i for i, group in enumerate(groups) if index in group.indices)
        if number not in self.done:
            member = self.crowd.population.member(index)
            self.done[number] = exported_member(member, self.crowd.scaling, self.features)
        return self.done[number]


def _contents(
    crowd: Any, name: str, exporter: Any, parts: Mapping[str, int], pickle: bool
) -> Iterator[tuple[str, bytes]]:
    """Every file's name and bytes; `parts` says which member is which part of the set."""
    for part, place in parts.items():
        params = _params(crowd, place)
        yield f"{name}_{part}_params.safetensors", to_bytes(params)
        if pickle and part == "best":
            yield f"{name}_{part}_params.pkl", dumps(params)
        if exporter is not None:
            module = exporter(place)
            yield f"{name}_{part}.mlir", module.mlir_module().encode()
            if part == "best":
                yield f"{name}_{part}.stablehlo", bytes(module.serialize())


def _params(crowd: Any, index: int) -> dict[str, np.ndarray]:
    member = crowd.population.member(index)
    return {path: np.asarray(leaf) for path, leaf in named_leaves(member).items()}
