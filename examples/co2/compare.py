"""The crowd's forecasts of CO2 beside those of simple and statistical methods.

    python examples/co2/compare.py [RUN] [--fresh] [--json PATH]

RUN is a run's folder, or the name of runs (the newest counts). Root mean squared errors in ppm,
13, 26 and 52 weeks ahead, pooled over the test origins that the configuration fixes. The crowd was
trained once, before the first of them; Holt-Winters and ETS are fitted anew at every origin, on
all weeks before it, gaps interpolated. Their forecasts are kept in
`benchmarks/results/co2_baselines.json` with the data's hash and the origins; `--fresh` makes them
again, which needs

    pip install statsmodels statsforecast

Two habits of theirs cost accuracy, so that each is given a second chance:
Holt-Winters counts a year as 52 weeks, which is wrong by eight weeks after 44 years: it is fitted
to the last ten years as well. AutoETS drops any season longer than 24 steps: it also forecasts
what MSTL leaves when it has taken the season out, and a series of every fourth week (season 13).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HORIZONS = (13, 26, 52)
LEVEL = 0.9
YEAR = 52
CACHE = Path(__file__).parents[2] / "benchmarks" / "results" / "co2_baselines.json"
PACKAGES = ("statsmodels", "statsforecast")

Forecaster = Callable[[np.ndarray], np.ndarray]


def seasonal_naive(years: int) -> Forecaster:
    """Last year again, plus the mean yearly growth of the last so many years."""

    def forecast(weeks: np.ndarray) -> np.ndarray:
        growth = (weeks[-1] - weeks[-1 - years * YEAR]) / years
        return weeks[-YEAR:] + growth

    return forecast


def holt_winters(years: int | None = None) -> Forecaster:
    """Additive season, damped trend, by statsmodels, fitted to the last so many years, or all."""

    def forecast(weeks: np.ndarray) -> np.ndarray:
        from statsmodels.tsa.holtwinters import ExponentialSmoothing

        past = weeks if years is None else weeks[-years * YEAR :]
        options = {"trend": "add", "damped_trend": True, "seasonal": "add"}
        return ExponentialSmoothing(past, seasonal_periods=YEAR, **options).fit().forecast(YEAR)

    return forecast


def auto_ets(weeks: np.ndarray) -> np.ndarray:
    """AutoETS with a season of 52, which it drops."""
    from statsforecast.models import AutoETS

    return AutoETS(season_length=YEAR).forecast(weeks, YEAR)["mean"]


def mstl_ets(weeks: np.ndarray) -> np.ndarray:
    """AutoETS on what MSTL leaves without its season of 52, which repeats."""
    from statsforecast.models import MSTL, AutoETS

    model = MSTL(season_length=YEAR, trend_forecaster=AutoETS(model="ZZN"))
    return model.forecast(weeks, YEAR)["mean"]


def four_weekly_ets(weeks: np.ndarray) -> np.ndarray:
    """AutoETS on every fourth week, a season of 13; weeks between by straight lines."""
    from statsforecast.models import AutoETS

    sparse = weeks[::-1][::4][::-1]
    ahead = AutoETS(season_length=YEAR // 4).forecast(sparse, YEAR // 4)["mean"]
    return np.interp(np.arange(1, YEAR + 1), 4 * np.arange(14), [weeks[-1], *ahead])


FITTED: dict[str, Forecaster] = {
    "Holt-Winters, damped": holt_winters(),
    "Holt-Winters, damped, last 10 years": holt_winters(10),
    "AutoETS, season 52 (dropped)": auto_ets,
    "AutoETS after MSTL": mstl_ets,
    "AutoETS, every fourth week": four_weekly_ets,
}
NAIVE: dict[str, Forecaster] = {
    "seasonal-naive with drift": seasonal_naive(1),
    "seasonal-naive, drift of 5 years": seasonal_naive(5),
}


def history(series: Any, origin: float) -> np.ndarray:
    """Every week up to and with the origin, gaps interpolated."""
    known = np.isfinite(series.y[:, 0]) & (series.times <= origin + 1e-6)
    times, values = series.times[known], series.y[known, 0]
    count = int(np.floor(origin - times[0] + 1e-6)) + 1
    return np.interp(origin - np.arange(count)[::-1], times, values)


def forecasts(methods: Mapping[str, Forecaster], series: Any, origins: np.ndarray) -> dict:
    """name → (origins, horizons) of each method."""
    at = np.array(HORIZONS) - 1
    found: dict[str, list] = {name: [] for name in methods}
    for origin in origins:
        weeks = history(series, origin)
        for name, method in methods.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # statsmodels warns where a fit did not converge
                found[name].append(np.asarray(method(weeks))[at])
    return {name: np.array(rows) for name, rows in found.items()}


def fitted_forecasts(prepared: Any, data: Path, fresh: bool) -> tuple[dict, str]:
    """The statistical methods' forecasts, and a line that says where they are from."""
    dates = prepared.schema.dates(prepared.test.origin).astype("datetime64[D]").astype(str)
    facts = {
        "data": hashlib.sha256(data.read_bytes()).hexdigest(),
        "origins": dates.tolist(),
        "horizons": list(HORIZONS),
    }
    if not fresh and CACHE.is_file():
        kept = json.loads(CACHE.read_text())
        if all(kept[name] == value for name, value in facts.items()):
            made = ", ".join(f"{name} {number}" for name, number in kept["versions"].items())
            found = {name: np.array(rows) for name, rows in kept["forecasts"].items()}
            return found, f"statistical methods as kept in {CACHE.name} ({made})"
    versions, missing = _versions()
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        return {}, f"statistical methods are left out: {', '.join(missing)} missing; {remedy}"
    found = forecasts(FITTED, prepared.series[0], prepared.test.origin)
    rows = {name: values.round(4).tolist() for name, values in found.items()}
    command = "python examples/co2/compare.py RUN --fresh"
    content = {"command": command, "versions": versions, **facts, "forecasts": rows}
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    CACHE.write_text(json.dumps(content) + "\n")
    return found, f"statistical methods fitted now, and kept in {CACHE.name}"


def _versions() -> tuple[dict[str, str], list[str]]:
    found, missing = {}, []
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    return found, missing


def rmse(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(..., horizons) over the origins, where the truth is known."""
    return np.sqrt(np.nanmean((forecast - truth) ** 2, axis=-2))


def rows_of(crowd: Any, prepared: Any, others: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """name → errors at each horizon; the crowd's coverage last."""
    at = np.array(HORIZONS) - 1
    block = prepared.test
    known = np.isfinite(block.y) if block.y_mask is None else block.y_mask
    truth = np.where(known, block.y, np.nan)[:, at, 0]
    prediction = crowd.predict(block)
    members = rmse(prediction.members[..., at, 0], truth)
    low, high = (bound[:, at, 0] for bound in prediction.interval(LEVEL))
    inside = np.where(np.isfinite(truth), (low <= truth) & (truth <= high), np.nan)
    errors = {"the crowd": rmse(prediction.mean[:, at, 0], truth)}
    errors["one member, on average"] = members.mean(axis=0)
    errors |= {name: rmse(values, truth) for name, values in others.items()}
    errors[f"share of truths in the crowd's {LEVEL:.0%} interval"] = np.nanmean(inside, axis=0)
    return {name: [float(v) for v in values] for name, values in errors.items()}


def best_member(crowd: Any, prepared: Any, index: int) -> np.ndarray:
    """(origins, horizons) of the member with the least validation loss."""
    return crowd.select([index]).predict(prepared.test).mean[:, np.array(HORIZONS) - 1, 0]


def text(rows: Mapping[str, list[float]]) -> str:
    """The rows in columns."""
    wide = max(map(len, rows))
    lines = [" " * wide + "".join(f"{h:>6} wk" for h in HORIZONS)]
    return "\n".join(
        lines + [name.ljust(wide) + "".join(f"{v:9.2f}" for v in row) for name, row in rows.items()]
    )


def main(arguments: list[str] | None = None) -> None:
    from shoal.run.members import prepare_data
    from shoal.run.source import find_source

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", default="co2", help="a run's folder or the name of runs")
    parser.add_argument("--fresh", action="store_true", help="fit the statistical methods again")
    parser.add_argument("--json", type=Path, help="write the table here as well")
    asked = parser.parse_args(arguments)
    source = find_source(asked.run)
    config = source.config()
    prepared, crowd = prepare_data(config), source.load()
    facts = source.run.read_record()["metadata"]
    usable = [one["index"] for one in facts["members"] if one["usable"]]
    best = best_member(crowd, prepared, usable.index(facts["best_model_index"]))
    found, note = fitted_forecasts(prepared, Path(config.data.path), asked.fresh)
    naive = forecasts(NAIVE, prepared.series[0], prepared.test.origin)
    rows = rows_of(crowd, prepared, {"the best member": best, **naive, **found})
    dates = prepared.schema.dates(prepared.test.origin).astype("datetime64[D]")
    print(f"RMSE in ppm over {len(dates)} origins, {dates[0]} to {dates[-1]}; {note}\n")
    print(text(rows))
    if asked.json:
        asked.json.write_text(json.dumps({"horizons": HORIZONS, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
