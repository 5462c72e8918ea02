"""Imports point upward only, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import shoal

ROOT = Path(shoal.__file__).parent
LAYERS = [
    ("_version",),
    ("wirings", "wiring_picture", "wiring_draws", "wiring_checks", "wiring_copy"),
    ("equations",),
    ("unrolled",),
    ("neurons",),
    ("data",),
    ("score",),
    ("population",),
    ("weighting",),
    ("collective",),
    ("bundle",),
    ("mlx", "torch"),
    ("swarm",),
    ("potentials",),
    ("report",),
    ("run",),
    ("tune",),
    ("app",),
    ("sklearn",),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def _layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imported(tree: ast.AST) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative imports hide the layer they reach for"
            modules.add(node.module)
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_upward(path):
    layer = _layer(path)
    assert layer in RANK, f"{layer} has no place in the order of layers"
    for module in _imported(ast.parse(path.read_text())):
        parts = module.split(".")
        if parts[0] == "shoal" and len(parts) > 1 and parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[layer], f"{layer} reaches down to {module}"


@pytest.mark.parametrize("layer", ["wirings", "equations", "unrolled", "wiring_picture"])
def test_what_every_framework_shares_imports_no_framework(layer):
    for path in FILES:
        if _layer(path) == layer:
            names = {module.split(".")[0] for module in _imported(ast.parse(path.read_text()))}
            assert not names & {"jax", "equinox", "optax", "torch", "mlx"}, path


def test_the_front_door_is_lazy():
    code = (
        "import sys, shoal; heavy = {'jax', 'equinox', 'optax', 'pandas', 'plotly', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in shoal.__all__:
        assert getattr(shoal, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = shoal.Nonsense
