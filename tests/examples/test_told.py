"""What the examples' pages tell are the results on file."""

import json
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def told(name: str) -> str:
    return (EXAMPLES / name / "README.md").read_text()


def test_digits():
    found = json.loads((EXAMPLES / "digits/results.json").read_text())["accuracy"]
    assert [len(runs) for runs in found.values()] == [3, 3]
    for runs in found.values():
        percent = 100 * np.array(runs)
        assert f"{percent.mean():.1f} ± {percent.std():.1f} %" in told("digits")


def test_experts():
    found = json.loads((EXAMPLES / "experts/experts.json").read_text())
    for name, errors in found["rmse"].items():
        assert f"| {name} | {np.mean(errors):.3f} ± {np.std(errors):.3f} |" in told("experts")
    assert f"{100 * np.mean(found['agreement']):.1f} % of the points" in told("experts")


def test_guidelines(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES / "guidelines")
    from searches import document

    found = json.loads((EXAMPLES / "guidelines/results.json").read_text())
    page = (EXAMPLES.parent / "docs/guidelines.md").read_text()
    for table in document(found).strip().split("\n\n"):
        assert table in page
