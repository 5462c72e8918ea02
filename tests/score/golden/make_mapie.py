"""Writes mapie.json: what MAPIE 1.6.0 gives, as `python make_mapie.py` where it is installed.

The tests need the file only. Members and models are as simple as MAPIE lets them be, so that what
is compared is the conformal part: absolute residuals, conformalised quantiles, adaptive conformal
inference, and EnbPI with block bootstraps.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression


class Column(RegressorMixin, BaseEstimator):
    """Predicts a column of x."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, x, y):
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, x):
        return np.asarray(x)[:, self.column]


RNG = np.random.default_rng(7)
LEVELS = [0.5, 0.8, 0.9]


def split(x, y, new):
    from mapie.regression import SplitConformalRegressor

    found = {}
    for level in LEVELS:
        model = SplitConformalRegressor(
            Column().fit(x, y), confidence_level=level, conformity_score="absolute", prefit=True
        )
        bounds = model.conformalize(x, y).predict_interval(new)[1]
        found[str(level)] = bounds[:, :, 0].T.tolist()
    return found


def quantiles(x, y, new):
    from mapie.regression import ConformalizedQuantileRegressor

    found = {}
    for level in LEVELS:
        parts = [Column(column).fit(x, y) for column in (1, 2, 0)]
        model = ConformalizedQuantileRegressor(parts, confidence_level=level, prefit=True)
        bounds = model.conformalize(x, y).predict_interval(new, symmetric_correction=True)[1]
        found[str(level)] = bounds[:, :, 0].T.tolist()
    return found


def adaptive(x, y, new, truth, gamma=0.05, level=0.8):
    from mapie.conformity_scores import AbsoluteConformityScore
    from mapie.regression import TimeSeriesRegressor

    model = TimeSeriesRegressor(
        Column().fit(x, y), method="aci", cv="prefit", conformity_score=AbsoluteConformityScore()
    ).fit(x, y)
    path, bounds = [], []
    for row, found in zip(new, truth, strict=True):
        said = model.predict(row[None], confidence_level=level, allow_infinite_bounds=True)[1]
        bounds.append(said[0, :, 0].tolist())
        model.adapt_conformal_inference(
            row[None], np.array([found]), gamma=gamma, confidence_level=level
        )
        path.append(float(next(iter(model.current_alpha.values()))))
    return {"gamma": gamma, "level": level, "alpha": path, "bounds": bounds}


def enbpi(x, y, new, truth, level=0.8):
    from mapie.conformity_scores import AbsoluteConformityScore
    from mapie.regression import TimeSeriesRegressor
    from mapie.subsample import BlockBootstrap

    blocks = BlockBootstrap(n_resamplings=20, length=6, overlapping=True, random_state=1)
    model = TimeSeriesRegressor(
        LinearRegression(),
        method="enbpi",
        cv=blocks,
        agg_function="mean",
        conformity_score=AbsoluteConformityScore(),
    ).fit(x, y)
    members = [one.predict(x) for one in model.estimator_.estimators_]
    in_bag = np.isnan(model.estimator_.k_).T
    first, means, bounds, scores = None, [], [], []
    for row, found in zip(new, truth, strict=True):
        mean, said = model.predict(
            row[None], ensemble=True, confidence_level=level, allow_infinite_bounds=True
        )
        first = np.array(model.conformity_scores_) if first is None else first
        means.append(float(mean[0]))
        bounds.append(said[0, :, 0].tolist())
        model.update(row[None], np.array([found]), ensemble=True)
        scores.append(float(model.conformity_scores_[-1]))
    return {
        "level": level,
        "members": np.array(members).tolist(),
        "in_bag": in_bag.astype(int).tolist(),
        "first": first.tolist(),
        "means": means,
        "bounds": bounds,
        "scores": scores,
    }


def main():
    warnings.simplefilter("ignore")
    mean = RNG.normal(size=60)
    half = RNG.uniform(0.2, 1.5, 60)
    x = np.stack([mean, mean - half, mean + 2 * half], axis=1)
    y = mean + half * RNG.standard_t(4, 60)
    cal, new = slice(0, 40), slice(40, 60)
    time = np.arange(54.0)
    line = np.stack([time / 54, np.sin(time / 5)], axis=1)
    series = line @ [2.0, 1.0] + 0.3 * RNG.normal(size=54) * (1 + (time > 40))
    early, late = slice(0, 42), slice(42, 54)
    golden = {
        "x": x.tolist(),
        "y": y.tolist(),
        "split": split(x[cal], y[cal], x[new]),
        "quantiles": quantiles(x[cal], y[cal], x[new]),
        "adaptive": adaptive(x[cal], y[cal], x[new], y[new]),
        "series": series.tolist(),
        "enbpi": enbpi(line[early], series[early], line[late], series[late]),
    }
    Path(__file__).with_name("mapie.json").write_text(json.dumps(golden))


if __name__ == "__main__":
    main()
