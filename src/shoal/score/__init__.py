"""How good predictions are: errors, diversity, honesty of the uncertainty, classes, calibration.

Pure NumPy functions; rows lie on the first axis, members before them, and every output is scored
on its own. NaN in the truth counts as unobserved, like a False in the mask; NaN of a member is
refused.
"""

from shoal.equations.conformal import Calibration, fit_calibration, rows_needed
from shoal.equations.conformal_quantile import QuantileCalibration, fit_quantile_calibration
from shoal.equations.recalibration import fit_recalibration
from shoal.equations.temperature import Temperature, fit_temperature, fit_temperatures
from shoal.equations.variance import VarianceScale, closed_form_scale, fit_variance
from shoal.score.adaptive import AdaptiveConformal
from shoal.score.ambiguity import (
    Ambiguity,
    brier_ambiguity,
    cross_entropy_ambiguity,
    squared_ambiguity,
)
from shoal.score.baselines import persistence, seasonal_naive
from shoal.score.classes import (
    BrierParts,
    accuracy,
    brier,
    brier_parts,
    classwise_ece,
    ece,
    log_loss,
    reliability_table,
)
from shoal.score.distribution import (
    crps_ensemble,
    crps_mixture,
    crps_normal,
    nll_mixture,
    nll_normal,
    pit,
)
from shoal.score.diversity import (
    disagreement,
    double_fault,
    error_correlation,
    kohavi_wolpert,
    pair_mean,
    q_statistic,
    right,
    right_correlation,
    variance,
)
from shoal.score.enbpi import EnbPI, out_of_bag
from shoal.score.evaluate import evaluate, flatten
from shoal.score.novelty import Novelty, fit_novelty
from shoal.score.points import (
    bias,
    coverage,
    interval_score,
    mae,
    member_scores,
    quantile_loss,
    rmse,
    sharpness,
    skill,
    spread_skill,
    width,
)
from shoal.score.uniformity import Uniformity, pit_histogram, pit_uniformity

__all__ = ["AdaptiveConformal", "Ambiguity", "BrierParts", "Calibration", "EnbPI", "Novelty"]
__all__ += ["QuantileCalibration", "Temperature", "Uniformity", "VarianceScale", "accuracy"]
__all__ += ["bias", "brier", "brier_ambiguity", "brier_parts", "classwise_ece"]
__all__ += ["closed_form_scale", "coverage", "cross_entropy_ambiguity", "crps_ensemble"]
__all__ += ["crps_mixture", "crps_normal", "disagreement", "double_fault", "ece"]
__all__ += ["error_correlation", "evaluate", "fit_calibration", "fit_novelty"]
__all__ += ["fit_quantile_calibration", "fit_recalibration", "fit_temperature"]
__all__ += ["fit_temperatures", "fit_variance", "flatten", "interval_score", "kohavi_wolpert"]
__all__ += ["log_loss", "mae", "member_scores", "nll_mixture", "nll_normal", "out_of_bag"]
__all__ += ["pair_mean", "persistence", "pit", "pit_histogram", "pit_uniformity", "q_statistic"]
__all__ += ["quantile_loss", "reliability_table", "right", "right_correlation", "rmse"]
__all__ += ["rows_needed", "seasonal_naive", "sharpness", "skill", "spread_skill"]
__all__ += ["squared_ambiguity", "variance", "width"]
