"""Every regime with every weighting, for forecasts, distributions and classes, from YAML."""

import re
from contextlib import chdir

import numpy as np
import pytest

from shoal.population.regimes import REGIMES
from shoal.run import load_config
from shoal.run.crowd import check_weighting, collective
from shoal.run.errors import Refused
from shoal.run.members import fit_options, make, prepare_data
from shoal.weighting import RULES, learns_from, resolve

CONFIG = """\
data:
  path: {path}
  time: t
  features: [a]
  targets: [{target}]
  window: 5
  {more}
  split: {{valid: 0.2, calibration: 0.2}}
model: {{kind: gru, units: 3, likelihood: {likelihood}}}
training: {{epochs: 2, batch_size: 32, learning_rate: 1.0e-2}}
ensemble: {{enabled: true, n_models: 2, regime: {{kind: {regime}}}}}
export: {{enabled: false}}
"""
TASKS = {
    "points": {"path": "wave.csv", "target": "a", "likelihood": "point", "more": "horizon: 2"},
    "normal": {"path": "wave.csv", "target": "a", "likelihood": "normal", "more": "horizon: 2"},
    "classes": {
        "path": "signs.csv",
        "target": "sign",
        "likelihood": "point",
        "more": "series: name\n  task: classification\n  label: last",
    },
}
WEIGHTINGS = {
    "fixed": {"weights": [1.0, 2.0]},
    "time_table": {"edges": [1.0]},
    "local": {"neighbours": 3},
}
KINDS = sorted(set(RULES) - {"pooled"})
SENSELESS = {
    ("hard_vote", "points"): "counts votes for classes",
    ("hard_vote", "normal"): "counts votes for classes",
    ("confidence", "points"): "say how sure they are",
    ("inverse_loss", "normal"): "needs losses above 0",
}
BOOSTING = {"gradient_boosting", "adaboost"}
COUPLED = {"joint", "negative_correlation", "correlation"}
OF_TIME = {"time_table", "time_curve", "pair"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("combinations")
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.5, 1.5, 120))
    wave = ["t,a", *(f"{t:.3f},{np.sin(t / 3):.4f}" for t in times)]
    (folder / "wave.csv").write_text("\n".join(wave) + "\n")
    signs = ["name,t,a,sign"]
    for name in range(40):
        shift, sign = (4.0, "up") if name % 2 else (1.0, "down")
        times = np.cumsum(rng.uniform(0.5, 1.5, 7))
        signs += [f"s{name},{t:.3f},{np.sin(t / 2 + shift):.4f},{sign}" for t in times]
    (folder / "signs.csv").write_text("\n".join(signs) + "\n")
    return folder


def load(folder, task, regime, weighting=None, **calibration):
    text = CONFIG.format(**TASKS[task], regime=regime)
    (folder / "c.yaml").write_text(text)
    changes = {} if weighting is None else {"ensemble.weighting": weighting}
    changes |= {f"calibration.{key}": value for key, value in calibration.items()}
    return load_config(folder / "c.yaml", changes)


@pytest.fixture(scope="module")
def begun(workspace):
    """The data and the untrained members of each task: no regime asks for others."""
    from shoal.population import Population

    found = {}
    for task in TASKS:
        config = load(workspace, task, "independent")
        with chdir(workspace):
            prepared = prepare_data(config)
        members = make(config, prepared), config.n_members, config.base_seed
        found[task] = prepared, Population.init(*members)
    return found


@pytest.fixture(scope="module", params=[(t, r) for t in TASKS for r in REGIMES], ids="-".join)
def trained(request, workspace, begun):
    """A task, a regime, and what a training left; None where the two make no sense."""
    from shoal.population import fit

    task, regime = request.param
    if task == "normal" and regime == "gradient_boosting":
        with pytest.raises(Refused, match=r"set model\.likelihood"):
            load(workspace, task, regime)
        return task, regime, None, None
    config = load(workspace, task, regime)
    prepared, population = begun[task]
    options = fit_options(config, workspace, "", force=False) | {"checkpoint": None}
    blocks = [prepared.scaling.encode_sequences(b) for b in (prepared.train, prepared.valid)]
    return task, regime, prepared, fit(population, *blocks, **options)


@pytest.mark.parametrize("weighting", KINDS)
def test_every_combination(workspace, trained, weighting):
    task, regime, prepared, fitted = trained
    wanted = {"kind": weighting, **WEIGHTINGS.get(weighting, {})}
    reason = SENSELESS.get((weighting, task))
    if regime in BOOSTING and weighting != "uniform":
        reason = "brings its own weights|" + (reason or "set model.likelihood")
    if fitted is None:
        reason = "set model.likelihood"
    if reason is not None:
        with pytest.raises(Refused, match=reason):
            load(workspace, task, regime, wanted)
        return
    crowd = collective(load(workspace, task, regime, wanted), prepared, fitted)
    p = crowd.predict(prepared.valid)
    assert np.isfinite(p.mean).all()
    if task == "classes":
        np.testing.assert_allclose(p.probabilities.sum(-1), 1.0)
    else:
        lower, upper = p.interval(0.5)
        assert p.calibrated
        assert (lower <= upper).all()


def test_rules_that_learn_ask_for_validation_data(workspace, trained):
    task, regime, prepared, fitted = trained
    if fitted is None or regime in BOOSTING:
        return
    from dataclasses import replace

    without = replace(prepared, valid=None)
    for kind in KINDS:
        wanted = {"kind": kind, **WEIGHTINGS.get(kind, {})}
        if learns_from(resolve(wanted)) != "predictions":
            continue
        config = load(workspace, task, regime, wanted)
        for ask in (
            lambda c=config: check_weighting(c, without),
            lambda c=config: collective(c, without, fitted),
        ):
            with pytest.raises(Refused, match=f"'{kind}' learns from validation data"):
                ask()


def page_of(config, prepared, fitted):
    """The report of a combination, its figures by name, and its crowd."""
    from shoal.report import render
    from shoal.run.results import results_of

    crowd = collective(config, prepared, fitted)
    facts = {"members": fitted.status, "best_model_index": 0, "created": "", "collective": {}}
    page = render(results_of(config, prepared, crowd, facts, fitted.history.columns()))
    return page, set(re.findall(r'<figure id="([^"]+)"', page)), crowd


@pytest.mark.parametrize("weighting", KINDS)
def test_the_report_shows_whatever_was_trained(workspace, trained, weighting):
    task, regime, prepared, fitted = trained
    if fitted is None or (regime != "independent" and weighting != "uniform"):
        return  # each weighting once, each regime once
    wanted = {"kind": weighting, **WEIGHTINGS.get(weighting, {})}
    try:
        config = load(workspace, task, regime, wanted, recalibrate="auto")
    except Refused:
        return
    page, figures, crowd = page_of(config, prepared, fitted)
    if crowd.n_models < 2:  # AdaBoost stopped early: there is nobody to weigh
        assert "weights" not in figures
        return
    kind = crowd.weighting.kind.replace("_", " ").replace("pooled", "as the regime left it")
    assert f"Weighting: {kind}." in page
    assert "weights" in figures
    assert ("weights-by-elapsed-time" in figures) == (weighting in OF_TIME)
    parts = crowd.predict(prepared.valid).pool.kind == "sum"
    assert ("stages" in figures) == parts
    assert ("crowd-size" in figures) != parts  # parts of one answer do not disagree
    assert ("How unlike the members are" in page) != parts
    assert ("coupling" in figures) == (regime in COUPLED)
    assert ("reliability" if task == "classes" else "coverage") in figures
    if task != "points" and "vote" not in weighting and regime != "adaboost":
        assert "Recalibration: " in page
        assert "as trained" in page
    if task == "normal":
        assert {"pit", "coverage"} <= figures


@pytest.mark.parametrize("method", ["conformal", "cqr", "enbpi"])
def test_the_ways_to_calibrate(workspace, trained, method):
    task, regime, prepared, fitted = trained
    if regime not in ("independent", "bagging") or fitted is None:
        return
    reason = None
    if method == "enbpi" and regime != "bagging":
        reason = r"set ensemble\.regime: {kind: bagging}"
    if method == "cqr" and task == "points":
        reason = r"set model\.likelihood: normal"
    if reason is not None:
        with pytest.raises(Refused, match=reason):
            load(workspace, task, regime, method=method)
        return
    crowd = collective(load(workspace, task, regime, method=method), prepared, fitted)
    assert crowd.novelty.measure == "epistemic"
    if task == "classes":
        assert crowd.calibration is None
        return
    assert crowd.calibration.method == method
    p = crowd.predict(prepared.valid)
    lower, upper = p.interval(0.8)
    assert (lower <= upper).all()
    if method == "enbpi":  # of the rows that somebody left out
        assert (crowd.calibration.counts < len(prepared.train)).all()
        assert (crowd.calibration.counts > len(prepared.train) // 3).all()
