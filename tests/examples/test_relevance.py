"""The regions cover the picture; the results that are told are those on file."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "relevance"))
import regions

FOLDER = Path(regions.__file__).parent


def test_regions_are_windows_with_the_right_names():
    seen = regions.windows().reshape(9, 8, 8)
    assert (seen.sum((1, 2)) == 16).all()
    assert (seen.max(0) == 1).all()
    by_name = dict(zip(regions.NAMES, seen, strict=True))
    assert by_name["top left"][:4, :4].all()
    assert by_name["bottom right"][4:, 4:].all()
    assert by_name["middle centre"][2:6, 2:6].all()


def test_splits_share_no_picture():
    splits = regions.data(0)
    assert [len(part.y) for part in splits.values()] == [1078, 359, 360]
    rows = np.concatenate([part.x for part in splits.values()])
    assert len(np.unique(rows, axis=0)) == 1797


def test_the_readme_tells_the_results_on_file():
    readme = (FOLDER / "README.md").read_text()
    runs = json.loads((FOLDER / "results.json").read_text())
    assert len(runs) == 5
    for name in runs[0]:
        values = 100 * np.array([run[name] for run in runs])
        assert f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" in readme, name
