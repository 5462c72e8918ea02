"""What the numbers of a run or a bundle may depend on besides its own record: the packages."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("shoal", "jax", "jaxlib", "equinox", "optax", "numpy", "pandas", "pyarrow")
PACKAGES += ("safetensors",)


def versions() -> dict[str, str]:
    """Python and the packages that results may depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
