"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def write(path: Path, data: bytes) -> dict[str, Any]:
    """Writes a new file through to the disk; its name, size and hash."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"name": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def flush(path: Path) -> None:
    """A file's contents, or a folder's entries, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Other processes that ask for the same folder wait until the block is done."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_stale(folder: Path, pattern: str, *, after_seconds: float = 86_400.0) -> None:
    """Removes drafts that killed processes left; young ones may be of a process that lives."""
    for draft in folder.glob(pattern):
        if time.time() - draft.lstat().st_mtime < after_seconds:
            continue
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def safetensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as the bytes of a safetensors file; it would scramble what is not contiguous."""
    import numpy as np
    from safetensors.numpy import save

    return save({name: np.array(a, order="C", copy=True) for name, a in arrays.items()})
