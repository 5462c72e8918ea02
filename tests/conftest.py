"""What every test shares: double precision on request."""

import pytest


@pytest.fixture
def x64():
    """Double precision inside one test."""
    import jax

    with jax.enable_x64(True):
        yield
