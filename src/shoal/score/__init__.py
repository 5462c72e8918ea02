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
from shoal.score.anomaly import anomaly_scores, anomaly_threshold, per_observation
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
from shoal.score.detection import (
    BestF1,
    EventCounts,
    PrecisionRecall,
    average_precision,
    best_f1,
    event_counts,
    precision_recall,
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

__all__ = ["AdaptiveConformal", "Ambiguity", "BestF1", "BrierParts", "Calibration", "EnbPI"]
__all__ += ["EventCounts", "Novelty", "PrecisionRecall", "QuantileCalibration", "Temperature"]
__all__ += ["Uniformity", "VarianceScale", "accuracy", "anomaly_scores", "anomaly_threshold"]
__all__ += ["average_precision", "best_f1", "bias", "brier", "brier_ambiguity", "brier_parts"]
__all__ += ["classwise_ece", "closed_form_scale", "coverage", "cross_entropy_ambiguity"]
__all__ += ["crps_ensemble", "crps_mixture", "crps_normal", "disagreement", "double_fault", "ece"]
__all__ += ["error_correlation", "evaluate", "event_counts", "fit_calibration", "fit_novelty"]
__all__ += ["fit_quantile_calibration", "fit_recalibration", "fit_temperature", "fit_temperatures"]
__all__ += ["fit_variance", "flatten", "interval_score", "kohavi_wolpert", "log_loss", "mae"]
__all__ += ["member_scores", "nll_mixture", "nll_normal", "out_of_bag", "pair_mean"]
__all__ += ["per_observation", "persistence", "pit", "pit_histogram", "pit_uniformity"]
__all__ += ["precision_recall", "q_statistic", "quantile_loss", "reliability_table", "right"]
__all__ += ["right_correlation", "rmse", "rows_needed", "seasonal_naive", "sharpness", "skill"]
__all__ += ["spread_skill", "squared_ambiguity", "variance", "width"]
