"""Regimes and weightings that are trained for real, by `train`: run folder, bundle and report.

`test_combinations.py` has all of them, on members that are trained once; here a few go all the way,
chosen so that each way of training and each way of weighing is among them.
"""

import json

import numpy as np
import pytest

import shoal
from shoal.run import load_config, train
from shoal.run.members import prepare_data

CONFIG = """\
data:
  path: {path}
  time: t
  features: [a]
  targets: [{target}]
  window: 5
  {more}
  split: {{valid: 0.2, calibration: 0.2, test: 0.2}}
model: {{kind: gru, units: 2}}
training: {{epochs: 2, batch_size: 32, learning_rate: 1.0e-2}}
ensemble: {{enabled: true, n_models: 2}}
export: {{name: real, stablehlo: false}}
"""
POINTS = {"path": "in/wave.csv", "target": "a", "more": "horizon: [1, 3]"}
CLASSES = {
    "path": "signs.csv",
    "target": "sign",
    "more": "series: name\n  task: classification\n  label: last",
}
UNLIKE = [{}, {"kind": "mlp", "units": 3, "num_layers": 1}]
NORMAL = {"model.likelihood": "normal"}
RUNS = {
    "joint, a pair over the horizon, unlike time scalings": (
        POINTS,
        {
            "ensemble.regime.kind": "joint",
            "ensemble.members": [{}, {"time_scaling": "log", "dropout": 0.1}],
            "ensemble.weighting": {"kind": "pair", "of": "horizon", "threshold": 2},
        },
    ),
    "boosted, unlike members": (
        POINTS,
        {"ensemble.regime.kind": "gradient_boosting", "ensemble.members": UNLIKE},
    ),
    "bagged, by their losses, intervals out of bag": (
        POINTS,
        NORMAL
        | {
            "ensemble.regime.kind": "bagging",
            "ensemble.weighting": {"kind": "softmax_loss", "temperature": 0.5},
            "calibration.method": "enbpi",
        },
    ),
    "classes, apart from each other, local": (
        CLASSES,
        {
            "ensemble.regime.kind": "negative_correlation",
            "ensemble.weighting": {"kind": "local", "neighbours": 3},
            "calibration.recalibrate": "temperature",
        },
    ),
}


@pytest.fixture
def folder(workspace):
    signs = ["name,t,a,sign"]
    rng = np.random.default_rng(0)
    for name in range(40):
        shift, sign = (4.0, "up") if name % 2 else (1.0, "down")
        times = np.cumsum(rng.uniform(0.5, 1.5, 5))
        signs += [f"s{name},{t:.3f},{np.sin(t / 2 + shift):.4f},{sign}" for t in times]
    (workspace / "signs.csv").write_text("\n".join(signs) + "\n")
    return workspace


@pytest.mark.parametrize("name", RUNS)
def test_a_run_from_beginning_to_end(folder, name):
    task, changes = RUNS[name]
    (folder / "r.yaml").write_text(CONFIG.format(**task))
    run = train("r.yaml", changes)
    assert run.read_record()["finished"]
    crowd, config = shoal.load(run.bundle), load_config("r.yaml", changes)
    prepared = prepare_data(config)
    p = crowd.predict(prepared.test)
    assert np.isfinite(p.mean).all()
    facts = json.loads((folder / "exported_models/ensemble_metadata.json").read_text())
    assert facts["n_models"] == 2
    assert len(facts["collective"]["weights"]) == crowd.n_models
    page = run.report.read_text()
    asked = changes.get("ensemble.weighting.kind") or changes.get("ensemble.weighting", {}).get(
        "kind"
    )
    if asked is not None:
        assert crowd.weighting.kind == asked
        assert f"Weighting: {asked.replace('_', ' ')}." in page
    if asked == "pair":
        np.testing.assert_array_equal(p.mean[:, 0], p.members[0, :, 0])
        np.testing.assert_array_equal(p.mean[:, 1], p.members[1, :, 1])
        assert crowd.weighting.leads == (1.0, 3.0)
        assert 'id="weights-by-step"' in page
    if changes.get("calibration.method") == "enbpi":
        assert crowd.calibration.method == "enbpi"
