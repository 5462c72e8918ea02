"""From many opinions to one: a population with a weighting, and what it answers."""

from shoal.collective.collective import Collective
from shoal.equations.conformal import Calibration
from shoal.equations.prediction import Prediction

__all__ = ["Calibration", "Collective", "Prediction"]
