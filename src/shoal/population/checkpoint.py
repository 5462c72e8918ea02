"""The whole state of a training on disk, so that a kill at any moment costs little.

A checkpoint is a folder `epoch-000012` with `arrays.safetensors` and `state.json`. It is written
under another name, flushed to the disk, and renamed; only then is the one before it removed. So
there is a whole one at every moment after the first. A fingerprint says what the numbers depend
on; a training that would go on differently is refused, unless forced.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

_PREFIX = "epoch-"
_PLAIN = "?bBhHiIlLqQefdFD"  # NumPy's own types; others, like bfloat16, are stored as bits


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a training is saved.

    Args:
        path: the folder for checkpoints.
        every_epochs: after so many epochs; None for never by epochs.
        every_seconds: after so many seconds; None for never by time. The last epoch, and the one
            after which a training is asked to stop, are saved in any case.
        resume: go on from the newest checkpoint, if there is one. Otherwise a folder that has one
            is refused, so that none is lost by mistake.
        data_hash: identifies the data; computed from it when None.
        force: go on although the fingerprint differs.
    """

    path: str | Path
    every_epochs: int | None = 10
    every_seconds: float | None = 60.0
    resume: bool = False
    data_hash: str | None = None
    force: bool = False

    def is_due(self, epochs: int, seconds: float) -> bool:
        """Whether so many epochs and seconds since the last one are enough."""
        by_epochs = self.every_epochs is not None and epochs >= self.every_epochs
        return by_epochs or (self.every_seconds is not None and seconds >= self.every_seconds)


def save(path: str | Path, epoch: int, arrays: Mapping[str, np.ndarray], facts: dict) -> Path:
    """Writes a checkpoint after `epoch` epochs, and removes the ones before."""
    from safetensors.numpy import save_file

    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{_PREFIX}{epoch:06d}"
    if final.exists():
        return final
    draft = folder / f".draft-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    bits, dtypes = _as_bits(arrays)
    save_file(bits, draft / "arrays.safetensors")
    (draft / "state.json").write_text(json.dumps({**facts, "epoch": epoch, "dtypes": dtypes}))
    for file in (*draft.iterdir(), draft):
        _flush(file)
    draft.rename(final)
    _flush(folder)
    for other in _found(folder):
        if other != final:
            shutil.rmtree(other, ignore_errors=True)
    return final


def newest(path: str | Path) -> Path | None:
    """The newest whole checkpoint in a folder, None where there is none."""
    found = _found(Path(path))
    return found[-1] if found else None


def read(checkpoint: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays and facts of one checkpoint."""
    from safetensors.numpy import load_file

    facts = json.loads((checkpoint / "state.json").read_text())
    arrays = load_file(checkpoint / "arrays.safetensors", backend="pread")
    return {name: a.view(_dtype(facts["dtypes"][name])) for name, a in arrays.items()}, facts


def check_fingerprint(found: Mapping[str, Any], wanted: Mapping[str, Any], where: Path) -> None:
    """Refuses a checkpoint of another training, naming what differs."""
    wanted = json.loads(json.dumps(wanted))
    names = sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))
    if names:
        told = "; ".join(f"{n}: saved {found.get(n)!r}, now {wanted.get(n)!r}" for n in names)
        raise ValueError(
            f"the checkpoint {where} belongs to a training that differs in {told}. The result "
            "would not be that of an uninterrupted training: restore what differs, start in "
            "another folder, or go on all the same with Checkpoint(force=True)"
        )


def flatten(prefix: str, tree: PyTree) -> dict[str, np.ndarray]:
    """A pytree's arrays by path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {prefix + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def unflatten(prefix: str, arrays: Mapping[str, np.ndarray], like: PyTree) -> PyTree:
    """The inverse of `flatten`; `like` has the structure."""

    def find(path: tuple, leaf: np.ndarray) -> np.ndarray:
        name = prefix + jax.tree_util.keystr(path)
        if name not in arrays:
            raise ValueError(f"the checkpoint lacks {name}; it belongs to other members")
        array = arrays[name]
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise ValueError(
                f"the checkpoint's {name} is {array.dtype}{array.shape}, "
                f"the members need {leaf.dtype}{leaf.shape}"
            )
        return array

    return jax.tree_util.tree_map_with_path(find, like)


@dataclass
class Saver:
    """Remembers when a training was last saved."""

    settings: Checkpoint
    last_epoch: int = 0
    last_time: float = 0.0

    def __post_init__(self):
        self.last_time = time.monotonic()

    def is_due(self, epoch: int) -> bool:
        return self.settings.is_due(epoch - self.last_epoch, time.monotonic() - self.last_time)

    def save(self, epoch: int, arrays: Mapping[str, np.ndarray], facts: dict) -> None:
        save(self.settings.path, epoch, arrays, facts)
        self.last_epoch, self.last_time = epoch, time.monotonic()


def _found(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob(f"{_PREFIX}*") if p.is_dir())


def _as_bits(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    bits, dtypes = {}, {}
    for name, array in arrays.items():
        dtypes[name] = array.dtype.name
        plain = array.dtype.char in _PLAIN
        whole = np.array(array, order="C", copy=True)
        bits[name] = whole if plain else whole.view(f"u{array.dtype.itemsize}")
    return bits, dtypes


def _dtype(name: str) -> np.dtype:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
