"""The Python blocks of the documentation are tests: each page runs from top to bottom."""

import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

HERE = Path(__file__).parent
MANY = 8000  # pieces of memory, of the 65530 that Linux allows: about a thousand programs

collect_ignore = ["docs/doctests.py"]  # needs what only builds the documentation


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
