"""An LTC crowd and simple detectors beside each other, scored by average precision.

    python examples/anomaly/detect.py [--seeds 10 11 12 13 14] [--out examples/anomaly/results.json]

Every seed plants other faults and trains another crowd. The crowd's score of a month is the mean of
two negative log-likelihoods: of what it expected a month before, and a year before. Needs
scikit-learn for the isolation forest: pip install 'shoal[sklearn]'.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from faults import KINDS, TEST_FROM, planted, series
from rivals import RIVALS

import shoal
from shoal.data import windows_for_evaluation
from shoal.equations.outputs import Normal
from shoal.equations.prediction import Prediction
from shoal.run import train
from shoal.score import (
    anomaly_scores,
    anomaly_threshold,
    average_precision,
    event_counts,
    per_observation,
)

CONFIG = Path(__file__).with_name("config.yaml")
LEVEL = 0.98
CALIBRATION = ("1966-01", "1972-01")  # as in config.yaml
QUIET = {"report.enabled": False, "export.enabled": False}


def trained(seed: int, overrides: Mapping[str, Any] | None = None) -> Any:
    """A crowd of its own seeds."""
    settings = {**QUIET, "ensemble.base_seed": 42 + 100 * seed, **(overrides or {})}
    with tempfile.TemporaryDirectory() as folder:
        return shoal.load(train(CONFIG, settings, runs=folder).bundle)


def expected(crowd: Any, months: np.ndarray, y: np.ndarray) -> tuple[Any, Prediction]:
    """The windows of a series, and what the crowd says of what follows them."""
    table = {"month": [f"{month}-01" for month in months], "sst": y}
    windows = windows_for_evaluation(table, crowd.schema)
    windows = replace(windows, target_times=crowd.schema.dates(windows.target_times))
    return windows, crowd.predict(windows)


def strangeness(windows: Any, prediction: Prediction, months: np.ndarray) -> np.ndarray:
    """(n,) the score of every month, NaN where it has no window."""
    each = anomaly_scores(prediction, windows.y, windows.y_mask, measure="nll")
    days = months.astype("datetime64[ms]")
    when, score = per_observation(each, windows.target_times, days, "mean")
    scores = np.full(len(months), np.nan)
    scores[np.isin(days, when)] = score
    return scores


def alone(prediction: Prediction) -> list[Prediction]:
    """What each member says."""
    said = prediction.outputs
    parts = [Normal(said.mean[[i]], said.std[[i]]) for i in range(len(said.mean))]
    return [Prediction(part, np.ones(1)) for part in parts]


def precisions(scores: np.ndarray, kinds: np.ndarray) -> dict[str, float]:
    """Average precision of all anomalies, and of each kind among ordinary months."""
    found = {"all": average_precision(scores, kinds != "")}
    for kind in KINDS:
        rows = (kinds == kind) | (kinds == "")
        found[kind] = average_precision(scores[rows], kinds[rows] != "")
    return found


def calm_threshold(scores: np.ndarray, months: np.ndarray) -> float:
    """The threshold by the months that calibrate."""
    calm = (months >= CALIBRATION[0]) & (months < CALIBRATION[1])
    return anomaly_threshold(scores[calm], LEVEL)


def alarms(scores: np.ndarray, threshold: float, kinds: np.ndarray) -> dict[str, float]:
    """What the threshold comes to: point by point, and event by event."""
    flags, truth = scores > threshold, kinds != ""
    events = event_counts(flags, truth)
    return {
        "precision": float(truth[flags].mean()),
        "recall": float(flags[truth].mean()),
        "events found": events.found,
        "events": events.events,
        "false alarms": events.false_alarms,
        "ordinary": events.ordinary,
    }


def one_seed(seed: int, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The figures of one crowd, its members and its rivals on one set of planted faults."""
    months, sst = series()
    y, kinds = planted(months, sst, seed)
    crowd = trained(seed, overrides)
    test = months >= TEST_FROM
    known = int((~test).sum())
    windows, prediction = expected(crowd, months, y)
    scores = strangeness(windows, prediction, months)
    members = [strangeness(windows, one, months)[test] for one in alone(prediction)]
    each = [precisions(one, kinds[test]) for one in members]
    found = {"the crowd": precisions(scores[test], kinds[test])}
    found["one member, on average"] = {k: float(np.mean([one[k] for one in each])) for k in each[0]}
    for name, rival in RIVALS.items():
        found[name] = precisions(rival(y, known)[test], kinds[test])
    return {
        "seed": seed,
        "precision": found,
        "share": float((kinds[test] != "").mean()),
        "alarms": alarms(scores[test], calm_threshold(scores, months), kinds[test]),
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Mean ± standard deviation over the seeds."""
    columns = ("all", *KINDS)
    lines = [f"{'':>24}" + "".join(f"{column:>13}" for column in columns)]
    for name in runs[0]["precision"]:
        values = np.array([[run["precision"][name][c] for c in columns] for run in runs])
        cells = zip(values.mean(0), values.std(0, ddof=min(1, len(runs) - 1)), strict=True)
        lines.append(f"{name:>24}" + "".join(f"{m:7.2f} ± {s:.2f}" for m, s in cells))
    lines.append(f"by chance {np.mean([run['share'] for run in runs]):.2f}")
    alarm = {k: np.mean([run["alarms"][k] for run in runs]) for k in runs[0]["alarms"]}
    told = ", ".join(f"{name} {value:.2f}" for name, value in alarm.items())
    return "\n".join([*lines, f"the crowd at level {LEVEL}: {told}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12, 13, 14])
    parser.add_argument("--out", type=Path, default=Path("examples/anomaly/results.json"))
    asked = parser.parse_args()
    runs = [one_seed(seed) for seed in asked.seeds]
    print(table(runs))
    asked.out.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
