"""How much each member counts: w_i(x, Δt) in y = Σ_i w_i(x, Δt) · f_i(x, Δt).

A rule is a small immutable object, one file each:

    kind                                   its name in YAML and in bundles
    rule.fit(evidence) -> rule             the rule with what it learns from validation data in it
    rule.weights(n_models, x, timespans)   (n_models,) or (n_models, batch), ≥ 0, summing to one
    rule.select(indices) -> rule           the rule for some of the members
    rule.to_dict(), from_dict(d)           JSON and back

A new rule is one file and one line in `registry.py`; the contract tests then hold it to all this.
"""

from shoal.weighting.evidence import Evidence
from shoal.weighting.fixed import Fixed
from shoal.weighting.inverse_loss import InverseLoss
from shoal.weighting.registry import RULES, Weighting, describe, resolve
from shoal.weighting.softmax_loss import SoftmaxLoss
from shoal.weighting.uniform import Uniform

__all__ = ["RULES", "Evidence", "Fixed", "InverseLoss", "SoftmaxLoss", "Uniform", "Weighting"]
__all__ += ["describe", "resolve"]
