"""The estimators as a user of scikit-learn meets them."""

import importlib
import pickle
import sys

import equinox as eqx
import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import shoal
from shoal.sklearn import CollectiveClassifier, CollectiveRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] - 2 * X[:, 1]
SMALL = {"n_models": 2, "width": 8, "layers": 1, "epochs": 40, "batch_size": 64, "random_state": 0}
GRU = SMALL | {"member": "gru", "width": 4, "epochs": 5}
WAVES = RNG.normal(size=(40, 6, 2))
SPANS = RNG.uniform(0.5, 1.5, (40, 6))
SPANS[:, 0] = 0.0
SUMS = (WAVES[..., 0] * SPANS).sum(1)


@pytest.fixture(scope="module")
def rows():
    return CollectiveRegressor(**SMALL, calibration_fraction=0.3).fit(X, Y)


@pytest.fixture(scope="module")
def waves():
    return CollectiveRegressor(**GRU | {"member": {"kind": "gru", "use_timespans": True}}).fit(
        WAVES, SUMS, timespans=SPANS
    )


def test_pipelines_searches_and_folds():
    pipeline = make_pipeline(StandardScaler(), CollectiveRegressor(**SMALL))
    search = GridSearchCV(
        pipeline, {"collectiveregressor__learning_rate": [1e-9, 3e-2]}, cv=2, refit=False
    ).fit(X, Y)
    assert search.best_params_ == {"collectiveregressor__learning_rate": 3e-2}
    answers = cross_val_predict(clone(pipeline), X, Y, cv=2)
    assert np.corrcoef(answers, Y)[0, 1] > 0.8


def test_folds_of_about_one_size_share_their_programs():
    count = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, _, **rest: count.append(name) if "backend_compile" in name else None
    )
    crowd = CollectiveRegressor(**SMALL | {"epochs": 1})
    crowd.fit(X[:40], Y[:40]).predict(X[:40])
    before = len(count)
    crowd.fit(X[:59], Y[:59]).predict(X[:59])
    assert before
    assert len(count) == before


def test_spread_and_intervals(rows):
    mean, std = rows.predict(X, return_std=True)
    assert mean.shape == std.shape == (60,)
    assert (std > 0).all()
    lower, upper = rows.predict_interval(X, level=0.8)
    assert rows.collective_.calibration is not None
    assert 0.6 < ((lower <= Y) & (upper >= Y)).mean() <= 1
    wide = rows.predict_interval(X, level=0.9)
    assert (wide[1] - wide[0] > upper - lower).all()


def test_without_a_calibration_intervals_are_those_of_the_mixture():
    crowd = CollectiveRegressor(**SMALL).fit(X, Y)
    lower, _ = crowd.predict_interval(X, level=0.8)
    prediction = crowd.collective_.predict(X[:, None, :])
    assert not prediction.calibrated
    np.testing.assert_allclose(lower, prediction.interval(0.8)[0][:, 0], rtol=1e-3, atol=1e-4)


def test_bundles_and_pickles_answer_alike(rows, tmp_path):
    crowd = shoal.load(rows.save(tmp_path / "crowd"))
    np.testing.assert_allclose(crowd.predict(X[:, None, :]).mean[:, 0], rows.predict(X), atol=1e-5)
    again = pickle.loads(pickle.dumps(rows))
    np.testing.assert_array_equal(again.predict(X), rows.predict(X))


def test_gaps_are_told_apart_from_zeros():
    gappy = X.copy()
    gappy[::3, 2] = np.nan
    y = np.isnan(gappy[:, 2]) * 3.0 + 0.1 * X[:, 0]
    crowd = CollectiveRegressor(**SMALL | {"learning_rate": 3e-2}).fit(gappy, y)
    assert crowd.score(gappy, y) > 0.8


def test_several_targets_and_labels_of_any_type():
    y = np.column_stack([Y, 100 + 10 * Y])
    crowd = CollectiveRegressor(**SMALL).fit(X, y)
    assert crowd.predict(X, return_std=True)[1].shape == (60, 2)
    for labels in (["no", "yes"], [False, True], [3, 7]):
        own = np.array(labels)[(Y > 0).astype(int)]
        crowd = CollectiveClassifier(**SMALL).fit(X, own)
        assert crowd.classes_.tolist() == labels
        assert crowd.predict(X).dtype == own.dtype
        assert crowd.score(X, own) > 0.8


def test_elapsed_time_is_seen(waves):
    here, there = waves.predict(WAVES, SPANS), waves.predict(WAVES, 3 * SPANS)
    assert np.abs(here - there).max() > 1e-3
    assert waves.score(WAVES, SUMS, timespans=SPANS) > waves.score(WAVES, SUMS)


def test_a_time_column_is_timespans_by_another_name(waves):
    clock = np.cumsum(SPANS, axis=1) + 100.0
    timed = np.concatenate([WAVES, clock[..., None]], axis=-1)
    crowd = clone(waves).set_params(time_column=-1).fit(timed, SUMS)
    assert crowd.n_features_in_ == 3
    expected = waves.predict(WAVES, SPANS)
    np.testing.assert_allclose(crowd.predict(timed), expected, rtol=1e-4, atol=1e-4)


def test_ragged_sequences_know_nothing_of_their_padding(waves):
    lengths = RNG.integers(2, 7, 40)
    ragged = [wave[:n] for wave, n in zip(WAVES, lengths, strict=True)]
    spans = [span[:n] for span, n in zip(SPANS, lengths, strict=True)]
    y = np.array([wave[:, 0].sum() > 0 for wave in ragged])
    crowd = CollectiveClassifier(**GRU).fit(ragged, y, timespans=spans)
    together = crowd.predict_proba(ragged, spans)
    alone = crowd.predict_proba(ragged[:1], spans[:1])
    np.testing.assert_allclose(alone, together[:1], atol=1e-6)


@pytest.fixture(scope="module")
def series():
    """Two series in one table, and a crowd that was fitted on them."""
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(RNG.uniform(1, 2, 40)), "D")
    parts = [pd.DataFrame({"day": days, "name": n, "a": RNG.normal(size=40)}) for n in "uv"]
    table = pd.concat(parts, ignore_index=True)
    y = table.groupby("name")["a"].transform(lambda a: a.rolling(3, min_periods=1).sum())
    options = GRU | {"time_column": "day", "series_column": "name", "window": 4}
    return table, y, CollectiveRegressor(**options).fit(table, y)


def test_rows_of_a_series_are_answered_from_what_came_before(series):
    table, _, crowd = series
    whole = crowd.predict(table)
    assert whole.shape == (80,)
    shuffled = RNG.permutation(80)
    np.testing.assert_allclose(crowd.predict(table.iloc[shuffled]), whole[shuffled], atol=1e-6)
    first, early = table["name"] == "u", table["day"] < table["day"][20]
    some = crowd.predict(table[first & early])  # no later row, no other series
    np.testing.assert_allclose(some, whole[first & early], atol=1e-6)
    later = table.copy()
    later.loc[5, "a"] += 10.0
    changed = np.flatnonzero(np.abs(crowd.predict(later) - whole) > 1e-4)
    assert set(changed) <= {5, 6, 7, 8}  # the window
    assert len(changed)


def test_what_is_set_aside_of_a_series_is_its_end(series):
    table, y, crowd = series
    crowd = clone(crowd).set_params(epochs=1, early_stopping=True, validation_fraction=0.25)
    crowd.fit(table, y + 1e6 * (table["day"] >= table["day"][30]))
    mean = crowd.collective_.scaling.target_mean[0]
    assert abs(mean) < 10  # the blocks that scale and train saw none of the last quarter


@pytest.mark.parametrize(
    "options",
    [
        {"regime": "gradient_boosting"},
        {"regime": {"kind": "bagging", "fraction": 0.8}, "weighting": "greedy"},
        {"weighting": {"kind": "stacking", "folds": 2}},
        {"member": ["mlp", {"kind": "mlp", "activation": "tanh", "units": 4}]},
    ],
    ids=lambda options: "-".join(options),
)
def test_regimes_weightings_and_members_as_in_the_configuration_file(options):
    crowd = CollectiveRegressor(**SMALL, **options).fit(X, Y)
    assert crowd.score(X, Y) > 0.4
    assert len(crowd.members_) == crowd.collective_.n_models == 2
    assert len(crowd.history_.to_frame())


REFUSED = [
    ({"n_models": 0}, "n_models: must be at least 1, found 0"),
    ({"width": 0}, "`width` must be a whole number of at least 1"),
    ({"member": "cfx"}, "member: there is no 'cfx'; did you mean `cfc`"),
    ({"member": {"kind": "mlp", "unts": 3}}, "unknown key; did you mean `units`"),
    ({"regime": "baging"}, "did you mean `bagging`"),
    ({"weighting": "hard_vote"}, "counts votes for classes"),
    ({"weighting": {"kind": "fixed", "weights": [1, 2, 3]}}, r"one per member \(2\), found 3"),
    ({"regime": "gradient_boosting", "likelihood": "normal"}, "adds up numbers"),
    ({"loss": "cross_entropy"}, "does not fit regression"),
    ({"early_stopping": True, "validation_fraction": 1.5}, "`validation_fraction` must be between"),
    ({"early_stopping": "yes"}, "`early_stopping` must be"),
    ({"calibration_fraction": 0.999}, "leave none for one of: train, calibration"),
    ({"split": "last"}, "`split` must be"),
    ({"time_column": 3}, "`time_column` is 3, but X has 3 columns"),
    ({"time_column": "day"}, "X has no names: give the column's number"),
    (
        {"optimizer": "sgd", "learning_rate": 1e30, "early_stopping": True},
        "no member has a finite loss",
    ),
    ({"optimizer": "sgd", "learning_rate": 1e30, "epochs": 1}, "no member has a finite loss"),
]


def test_members_may_share_their_matrices(rows):
    options = SMALL | {"n_models": 8, "epochs": 2}
    shared = CollectiveRegressor(**options, sharing="tabm").fit(X, Y)
    eight, two = (
        sum(a.size for a in jax.tree.leaves(eqx.filter(one.collective_.population, eqx.is_array)))
        for one in (shared, rows)
    )
    assert eight < 0.9 * 4 * two
    with pytest.raises(ValueError, match="members of several kinds have no matrices in common"):
        CollectiveRegressor(**SMALL, sharing="tabm", member=["mlp", "gru"]).fit(X, Y)


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda given: str(given)[:30])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        CollectiveRegressor(**SMALL | options).fit(X, Y)


def test_a_member_that_diverges_is_left_out_and_named(monkeypatch):
    from shoal.sklearn import crowd

    def one_at_a_rate_of_its_own(*given, **options):
        return shoal.fit(*given, **options | {"learning_rate": [1e-2, 1e30]})

    monkeypatch.setattr(crowd, "fit", one_at_a_rate_of_its_own)
    asked = CollectiveRegressor(**SMALL | {"optimizer": "sgd", "likelihood": "point"})
    with pytest.warns(UserWarning, match=r"left out of the crowd: member 1 \(seed \d+\), ") as told:
        fitted = asked.fit(X, Y)
    assert told[0].filename == __file__
    assert fitted.collective_.n_models == 1
    assert [one["usable"] for one in fitted.members_] == [True, False]
    assert np.abs(fitted.predict(X)).max() < 100


def test_a_feature_without_any_value_is_named():
    gaps = pd.DataFrame(X, columns=["a", "b", "c"])
    gaps["b"] = np.nan
    with pytest.warns(UserWarning, match="X holds no value of 'b', in any sample") as told:
        CollectiveRegressor(**SMALL | {"epochs": 1}).fit(gaps, Y)
    assert told[0].filename == __file__


def test_refusals_of_data(rows, waves):
    with pytest.raises(ValueError, match=r"was fitted on rows, but X holds sequences"):
        rows.predict(WAVES)
    with pytest.raises(ValueError, match=r"X has 1 features, but .* expecting 2"):
        waves.predict(WAVES[..., :1], SPANS)
    with pytest.raises(ValueError, match=r"timespans\[0\] must be \(6,\)"):
        waves.predict(WAVES, SPANS[:, :2])
    with pytest.raises(ValueError, match=r"X\[1\] must be \(time, features\) with 2 features"):
        clone(waves).fit([WAVES[0], WAVES[1, :, :1]], SUMS[:2])
    with pytest.raises(ValueError, match="contains infinity"):
        clone(waves).fit([WAVES[0], np.full_like(WAVES[1], np.inf)], SUMS[:2])
    with pytest.raises(ValueError, match="`timespans` are of sequences"):
        clone(rows).fit(X, Y, timespans=np.ones(60))
    with pytest.raises(ValueError, match="reads a fixed number of values"):
        clone(rows).set_params(member="mlp").fit([WAVES[0], WAVES[1, :3]] * 20, SUMS)
    with pytest.raises(ValueError, match="the target is constant"):
        clone(rows).fit(X, np.ones(60))
    with pytest.raises(ValueError, match="only one class, 'a'"):
        CollectiveClassifier(**SMALL).fit(X, ["a"] * 60)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith("shoal.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"pip install 'shoal\[sklearn\]'"):
        importlib.import_module("shoal.sklearn")
