"""How the members of a population are trained with regard to one another.

A regime is a small immutable object, one file each:

    kind                                      its name in YAML
    regime.plan(n_models, seeds, train, valid) -> Plan   what it asks of the one training loop

and a plan is an objective, a data plan and a schedule (see `plan.py`). A new regime is one file and
one line in `registry.py`; the contract tests then hold it to all this.
"""

from shoal.population.regimes.adaboost import AdaBoost
from shoal.population.regimes.bagging import Bagging
from shoal.population.regimes.correlation import Correlation
from shoal.population.regimes.gradient_boosting import GradientBoosting
from shoal.population.regimes.independent import Independent
from shoal.population.regimes.joint import Joint
from shoal.population.regimes.negative_correlation import NegativeCorrelation
from shoal.population.regimes.plan import Changes, Plan, Stages
from shoal.population.regimes.registry import REGIMES, Regime, resolve
from shoal.population.regimes.snapshot import Snapshot

__all__ = ["REGIMES", "AdaBoost", "Bagging", "Changes", "Correlation", "GradientBoosting"]
__all__ += [
    "Independent",
    "Joint",
    "NegativeCorrelation",
    "Plan",
    "Regime",
    "Snapshot",
    "Stages",
    "resolve",
]
