"""The scenes are what they are said to be; the results that are told are those on file."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "consensus"))
import stations

FOLDER = Path(stations.__file__).parent


def test_an_honest_station_sees_the_ship_and_a_ghost_is_elsewhere():
    x, y, ghost = stations.measure(4000, seed=1)
    place = stations.PLACES + x[..., :1] * x[..., 1:]
    off = np.hypot(*(place - y[:, None]).T).T
    assert np.median(off[~ghost]) < 0.2
    assert np.median(off[ghost]) > 0.8
    assert abs(ghost.mean() - stations.FAULTY) < 0.02


def test_no_ghosts_where_none_are_asked_for():
    assert not stations.measure(50, seed=1, faulty=0.0).ghost.any()
    assert stations.measure(50, seed=1, faulty=1.0).ghost.all()


def test_the_readme_tells_the_results_on_file():
    readme = (FOLDER / "README.md").read_text()
    runs = json.loads((FOLDER / "results.json").read_text())["runs"]
    assert len(runs) == 5
    for name in ("one agent, mean", "mean", "median, rescaled", "stacking", "consensus"):
        values = np.array([run["errors"][name] for run in runs])
        assert f"{values.mean():.3f} ± {values.std(ddof=1):.3f}" in readme, name
    best = [min(run["errors"], key=run["errors"].get) for run in runs]
    assert best == ["consensus"] * 5
