"""What every test shares: a compilation cache, and double precision on request."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

import pytest


@pytest.fixture
def x64():
    """Double precision inside one test."""
    import jax

    with jax.enable_x64(True):
        yield
