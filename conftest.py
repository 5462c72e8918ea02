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


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Compiled programs go with their file: a process may map only so many pieces of memory."""
    if nextitem is None or nextitem.path != item.path:
        if jax := sys.modules.get("jax"):
            jax.clear_caches()
        gc.collect()
