"""What every test shares: a compilation cache, and double precision on request."""

import os
from importlib.metadata import version
from pathlib import Path
from platform import machine

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a process for every core
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # to load is cheaper
# small programs that run for a moment: compiled in a third of the time, without optimisation
FLAGS = ["--xla_backend_optimization_level=0"]
if version("jax").startswith(("0.10", "0.11")):  # a flag that XLA does not know ends the process
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
    FLAGS.append("--xla_cpu_parallel_codegen_split_count=1")  # a small program in one piece
    if machine() in ("x86_64", "AMD64"):
        # none of the instructions that multiply and add with one rounding: without optimisation
        # they make x - x of a product that is written twice other than 0
        FLAGS.append("--xla_cpu_max_isa=AVX")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))


@pytest.fixture
def x64():
    """Double precision inside one test."""
    import jax

    with jax.enable_x64(True):
        yield
