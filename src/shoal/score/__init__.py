"""How good predictions are: errors, honesty of the uncertainty, classes, calibration.

Pure NumPy functions; rows lie on the first axis, and every output is scored on its own. NaN in the
truth counts as unobserved, like a False in the mask.
"""

from shoal.equations.conformal import Calibration, fit_calibration, rows_needed
from shoal.score.adaptive import AdaptiveConformal
from shoal.score.baselines import persistence, seasonal_naive
from shoal.score.classes import accuracy, brier, ece, log_loss, reliability_table
from shoal.score.distribution import crps_mixture, crps_normal, nll_mixture, nll_normal, pit
from shoal.score.evaluate import evaluate, flatten
from shoal.score.points import (
    bias,
    coverage,
    interval_score,
    mae,
    member_scores,
    rmse,
    skill,
    width,
)

__all__ = ["AdaptiveConformal", "Calibration", "accuracy", "bias", "brier", "coverage"]
__all__ += ["crps_mixture", "crps_normal", "ece", "evaluate", "fit_calibration", "flatten"]
__all__ += ["interval_score", "log_loss", "mae", "member_scores", "nll_mixture", "nll_normal"]
__all__ += ["persistence", "pit", "reliability_table", "rmse", "rows_needed", "seasonal_naive"]
__all__ += ["skill", "width"]
