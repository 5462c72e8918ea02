"""`shoal predict --anomalies`: how strange each observation is, and whether it is one.

The threshold is the crowd's own conformal calibration: an observation is an anomaly where it lies
outside the interval. What that promises is in `shoal.equations.conformal`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.99


def check_detector(source: Path, crowd: Any, level: float) -> None:
    """Refuses crowds without a threshold.

    Raises:
        Refused: of classes, not calibrated, or on too few rows for the level.
    """
    import numpy as np

    from shoal.equations.conformal import rows_needed

    if crowd.schema.task == "classification":
        raise Refused(f"--anomalies: {source} tells classes; anomalies are of forecast numbers")
    if crowd.calibration is None:
        raise Refused(
            f"--anomalies: {source} has no calibration, from which the threshold comes; train it "
            "with data.split.calibration and `calibration: {method: conformal}`"
        )
    if not np.isfinite(crowd.calibration.quantile(level)).all():
        raise Refused(
            f"--anomalies: {source} was calibrated on {crowd.calibration.counts.min()} rows, and a "
            f"threshold of level {level:g} needs {rows_needed(level)}; lower --level, or enlarge "
            "data.split.calibration"
        )


def anomaly_columns(prediction: Any, windows: Any, level: float) -> dict[str, np.ndarray]:
    """`observed`, `anomaly_score` and `anomaly`, each of the prediction's shape; NaN where unknown.

    The score is |y − mean|/std, or |y − mean| where the calibration is of absolute errors.
    """
    import numpy as np

    from shoal.score import anomaly_scores

    y, y_mask = np.asarray(windows.y, float), windows.y_mask
    known = np.isfinite(y) if y_mask is None else np.isfinite(y) & y_mask
    observed = np.where(known, y, np.nan)
    if getattr(prediction.calibration, "score", "scaled") == "absolute":
        scores = np.abs(observed - prediction.mean)
    else:
        scores = anomaly_scores(prediction, observed, combine=None)
    lower, upper = prediction.interval(level)
    outside = np.where(known, (observed < lower) | (observed > upper), np.nan)
    return {"observed": observed, "anomaly_score": scores, "anomaly": outside}


def said_of(frame: Any, level: float) -> str:
    """The closing line.

    >>> import pandas as pd
    >>> said_of(pd.DataFrame({"anomaly": [True, False, None]}), 0.99)
    '1 of 2 observations are anomalies, outside the 0.99 interval'
    """
    flags = frame["anomaly"].dropna()
    count = int(flags.sum())
    verb = "is an anomaly" if count == 1 and len(flags) == 1 else "are anomalies"
    return f"{count} of {len(flags)} observations {verb}, outside the {level:g} interval"
