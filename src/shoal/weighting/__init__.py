"""How much each member counts: w_i(x, Δt) in y = Σ_i w_i(x, Δt) · f_i(x, Δt).

A rule is a small immutable object, one file each:

    kind                                   its name in YAML and in bundles
    rule.learns                            "nothing", from "losses", or from "predictions"
    rule.fit(evidence) -> rule             the rule with what it learns from validation data in it
    rule.weights(n_models, x, timespans, mask, outputs)
                                           (n_models,), (n_models, batch) or, of forecasts,
                                           (n_models, batch, steps), summing to one;
                                           arithmetic over the arrays' own namespace, so that it
                                           can be traced and serves every framework
    rule.pool                              how weighted answers become one, where not a mixture
    rule.select(indices) -> rule           the rule for some of the members
    rule.to_dict(), from_dict(d)           JSON and back

and, where there is something to say,

    rule.members                           how many members it is for, where not any number
    rule.for_schema(schema) -> rule        the rule with what it takes from the data's schema

A new rule is one file and one line in `registry.py`; the contract tests then hold it to all this.
"""

from shoal.weighting.apply import combined, moments_of, pool_of
from shoal.weighting.confidence import Confidence
from shoal.weighting.evidence import Evidence
from shoal.weighting.fixed import Fixed
from shoal.weighting.greedy import Greedy
from shoal.weighting.hard_vote import HardVote
from shoal.weighting.inverse_loss import InverseLoss
from shoal.weighting.learned import Learned
from shoal.weighting.local import Local
from shoal.weighting.pair import Pair
from shoal.weighting.pooled import Pooled
from shoal.weighting.pruned import Pruned
from shoal.weighting.registry import RULES, Weighting, describe, learns_from, resolve, suited
from shoal.weighting.selector import Selector
from shoal.weighting.softmax_loss import SoftmaxLoss
from shoal.weighting.stacking import Stacking
from shoal.weighting.time_curve import TimeCurve
from shoal.weighting.time_table import TimeTable
from shoal.weighting.uniform import Uniform

__all__ = ["RULES", "Confidence", "Evidence", "Fixed", "Greedy", "HardVote", "InverseLoss"]
__all__ += ["Learned", "Local", "Pair", "Pooled", "Pruned", "Selector", "SoftmaxLoss", "Stacking"]
__all__ += ["TimeCurve", "TimeTable", "Uniform", "Weighting", "combined", "describe", "moments_of"]
__all__ += ["learns_from", "pool_of", "resolve", "suited"]
