"""How tests compile, and the documentation's Python blocks: each page runs from top to bottom."""

import gc
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from platform import machine

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

HERE = Path(__file__).parent
MANY = 8000  # pieces of memory, of the 65530 that Linux allows: about a thousand programs

collect_ignore = ["docs/doctests.py"]  # needs what only builds the documentation

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a process for every core
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(HERE / ".cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
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


def _enter(namespace: dict) -> None:
    """An empty folder that holds the examples, as a reader of the page would have it."""
    folder = Path(tempfile.mkdtemp(prefix="shoal-docs-"))
    (folder / "examples").symlink_to(HERE / "examples")
    namespace["_left"] = os.getcwd()
    os.chdir(folder)


def _leave(namespace: dict) -> None:
    os.chdir(namespace["_left"])


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["docs/*.md", "README.md"],
    setup=_enter,
    teardown=_leave,
).pytest()


def pytest_collection_finish(session):
    """Garbage is looked for seldom, and not among what stays to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Compiled programs go when they are many: a process may map only so many pieces of memory."""
    if nextitem is not None and nextitem.path != item.path and _mapped() > MANY:
        if jax := sys.modules.get("jax"):
            jax.clear_caches()
        gc.collect()


def _mapped() -> int:
    maps = Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else MANY + 1
