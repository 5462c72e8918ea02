"""What a program needs of a device's memory, before it runs, and how its refusal is recognised."""

from __future__ import annotations

import os
from typing import Any

import jax


class TooLarge(Exception):
    """A program that the device has no room for; `needed` bytes are None where nobody knows."""

    def __init__(self, reason: str, needed: int | None = None):
        super().__init__(reason)
        self.needed = needed


class Weighed:
    """A jitted program that is compiled for its first arguments, and weighed before it runs.

    Args:
        program: what `jax.jit` made.
        limit: bytes of one device, None for unknown.

    Attributes:
        needed: bytes on one device, once it is compiled; None where the backend does not say.
    """

    def __init__(self, program: Any, limit: int | None = None):
        self.program, self.limit = program, limit
        self.needed: int | None = None
        self._compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            self._compiled = self.program.lower(*arguments).compile()
            self.needed = bytes_of(self._compiled)
            if self.limit is not None and (self.needed or 0) > self.limit:
                told = f"needs {spoken(self.needed)}, the device has {spoken(self.limit)}"
                raise TooLarge(told, self.needed)
        return self._compiled(*arguments)


def bytes_of(compiled: Any) -> int | None:
    """Arguments, results and what lies between, of a `jax.stages.Compiled`."""
    found = compiled.memory_analysis()
    if found is None:
        return None
    parts = ("argument", "output", "temp", "generated_code")
    total = sum(getattr(found, f"{part}_size_in_bytes") for part in parts)
    return total - found.alias_size_in_bytes


def device_limit() -> int | None:
    """Bytes that one device offers: its own figure, or of a processor its share of the machine."""
    device = jax.devices()[0]
    own = (device.memory_stats() or {}).get("bytes_limit")
    if own is not None or device.platform != "cpu":
        return own
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // jax.device_count()


def ran_out(error: Exception) -> bool:
    """Whether this is how memory that is not there is refused.

    >>> ran_out(MemoryError()), ran_out(ValueError("RESOURCE_EXHAUSTED"))
    (True, False)
    """
    told = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return told or isinstance(error, MemoryError)


def spoken(size: float | None) -> str:
    """Bytes as people say them.

    >>> spoken(512), spoken(3_200_000), spoken(None)
    ('512 B', '3.2 MB', '–')
    """
    if size is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, "TB"
    return f"{size:.3g} {unit}"
