"""`shoal predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shoal.app.anomalies import LEVEL, anomaly_columns, check_detector, said_of
from shoal.run.devices import prepare_jax
from shoal.run.errors import Refused, refusing
from shoal.run.files import replacing
from shoal.run.folder import check_writable
from shoal.run.source import find_source

if TYPE_CHECKING:
    import pandas as pd

_WRITTEN = (".csv", ".parquet", ".pq")


def predict(
    source: Path,
    data: Path | None,
    out: Path | None,
    every: bool,
    level: float | None,
    novelty: bool = False,
    anomalies: bool = False,
) -> None:
    """Predict for the windows of `data`; for a run's own data when it is absent."""
    level = (LEVEL if anomalies else 0.9) if level is None else level
    _check(out, level)
    found = find_source(source)
    path = data or (Path(found.config().data.path) if found.run else None)
    if path is None:
        raise Refused(f"{source}: is a bundle; name the data to predict for with --data FILE")
    prepare_jax(1)
    from shoal.data import windows_for_evaluation, windows_for_prediction

    crowd = found.load()
    _check_crowd(source, crowd, level, novelty)
    if anomalies:
        check_detector(source, crowd, level)
    with refusing(str(path)):
        if anomalies:
            windows = windows_for_evaluation(path, crowd.schema)
        else:
            windows = windows_for_prediction(path, crowd.schema, every_origin=every)
        prediction = crowd.predict(windows)
    known = crowd.novelty if novelty else None
    frame = table(prediction, windows, crowd.schema, level, known, anomalies)
    if out is None:
        typer.echo(frame.to_csv(index=False), nl=False)
    else:
        write(frame, out)
        typer.echo(f"wrote {len(frame)} rows to {out}", err=True)
    if anomalies:
        typer.echo(said_of(frame, level), err=True)


def _check(out: Path | None, level: float) -> None:
    if not 0 < level < 1:
        raise Refused(f"--level: must lie between 0 and 1, found {level:g}; for 90 % write 0.9")
    if out is not None and out.suffix.lower() not in _WRITTEN:
        known = ", ".join(_WRITTEN)
        raise Refused(f"--out {out}: cannot write {out.suffix or 'no extension'!r}; use {known}")
    if out is not None and not out.parent.is_dir():
        raise Refused(f"--out {out}: there is no folder {out.parent}; make it first")
    if out is not None:
        check_writable(out.parent, f"--out {out}")


def _check_crowd(source: Path, crowd: Any, level: float, novelty: bool) -> None:
    if novelty and crowd.novelty is None:
        raise Refused(
            f"--novelty: {source} has no reference of validated rows; train it with validation "
            "data and `calibration: {novelty: auto}`, by members that can disagree or that predict "
            "their spread"
        )
    if crowd.calibration is not None:
        with refusing("--level"):
            crowd.calibration.quantile(level)


def table(
    prediction: Any,
    windows: Any,
    schema: Any,
    level: float,
    novelty: Any = None,
    anomalies: bool = False,
) -> pd.DataFrame:
    """One row per window, step and target; for classes one per window."""
    import pandas as pd

    rows = len(windows)
    base: dict[str, Any] = {}
    if windows.series is not None and (schema.series is not None or schema.arrays):
        base["series"] = windows.series
    if windows.origin is not None:
        base["origin"] = schema.dates(windows.origin)
    if novelty is not None:
        base["novelty"] = novelty.score(prediction)
        base["novelty_p"] = novelty.p_value(prediction)
    frame = pd.DataFrame(base, index=range(rows))
    if schema.task == "classification":
        return _classes(frame, prediction, schema)
    lower, upper = prediction.interval(level)
    values = {"mean": prediction.mean, "std": prediction.std, "lower": lower, "upper": upper}
    if anomalies:
        values |= anomaly_columns(prediction, windows, level)
    if schema.task == "regression":
        values = {name: value[:, None] for name, value in values.items()}
    return _long(frame, values, windows, schema)


def _long(frame: Any, values: dict[str, Any], windows: Any, schema: Any) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    rows, steps, targets = values["mean"].shape
    long = frame.loc[np.repeat(np.arange(rows), steps * targets)].reset_index(drop=True)
    if schema.task == "forecast":
        long["step"] = np.tile(np.repeat(schema.horizons, targets), rows)
        if windows.target_times is not None:
            long["time"] = np.repeat(schema.dates(windows.target_times).ravel(), targets)
    long["target"] = np.tile(np.array(schema.target_names, object), rows * steps)
    columns = pd.DataFrame({k: v.ravel() for k, v in values.items()})
    if "anomaly" in columns:
        columns = columns.astype({"anomaly": "boolean"})
    return pd.concat([long, columns], axis=1)


def _classes(frame: Any, prediction: Any, schema: Any) -> pd.DataFrame:
    import numpy as np

    best = prediction.probabilities.argmax(-1)
    frame["class"] = np.array(schema.classes, object)[best]
    for number, name in enumerate(schema.classes):
        frame[f"probability_{name}"] = prediction.probabilities[:, number]
    frame["std"] = np.take_along_axis(prediction.std, best[:, None], axis=1)[:, 0]
    return frame


def write(frame: pd.DataFrame, out: Path) -> None:
    """CSV or Parquet, whole or not at all."""
    with replacing(out) as temporary:
        if out.suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
