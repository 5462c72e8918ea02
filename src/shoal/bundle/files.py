"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any


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


def draft(folder: Path, name: str) -> Path:
    """Where this process, and no other, drafts what will be called `name`."""
    return folder / f".{name}.draft-{platform.node()}-{os.getpid()}"


def remove_stale(folder: Path, name: str, *, after_seconds: float = 86_400.0) -> None:
    """Removes drafts of `name` that killed processes left.

    Those of this machine go when their process is gone; those of another machine, when they are
    old: their process may live.
    """
    for left in folder.glob(f".{escape(name)}.draft-*"):
        if not _is_abandoned(left) and time.time() - left.lstat().st_mtime < after_seconds:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _is_abandoned(left: Path) -> bool:
    machine, _, process = left.name.rpartition(".draft-")[2].rpartition("-")
    if machine != platform.node() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, and alive
        return False
    return False
