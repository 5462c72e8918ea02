"""What must be decided before JAX starts: host devices and the compilation cache.

Only the command line calls this; a library that is imported changes nothing of JAX.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

CACHE_VARIABLE = "SHOAL_COMPILATION_CACHE"


def cores() -> int:
    """The processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host_devices(asked: int | str, members: int) -> int:
    """How many devices the CPU is split into: `asked`, or a core each for several members.

    >>> host_devices(3, members=8), host_devices("auto", members=1)
    (3, 1)
    """
    return int(asked) if asked != "auto" else max(1, min(cores(), members))


def prepare_jax(devices: int, cache: bool = True) -> None:
    """Set the number of host devices and the cache of compiled programs.

    What the user has set in the environment stays. Nothing happens once JAX runs.
    """
    if "jax" in sys.modules:
        return
    flags = os.environ.get("XLA_FLAGS", "")
    name = "--xla_force_host_platform_device_count"
    if name not in flags and devices > 1:
        os.environ["XLA_FLAGS"] = f"{flags} {name}={devices}".strip()
    folder = cache_folder() if cache else None
    if folder is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def cache_folder() -> Path | None:
    """Where compiled programs are kept: $SHOAL_COMPILATION_CACHE, or the user's cache folder.

    None when that variable says `off`. Processors of unlike abilities get folders of their own,
    since a home may be shared between them.
    """
    chosen = os.environ.get(CACHE_VARIABLE, "")
    if chosen.lower() in ("off", "0", "false", "none"):
        return None
    if chosen:
        return Path(chosen)
    home = Path.home()
    mac = home / "Library/Caches"
    base = Path(
        os.environ.get("XDG_CACHE_HOME") or (mac if sys.platform == "darwin" else home / ".cache")
    )
    return base / "shoal" / "jax" / _processor()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
