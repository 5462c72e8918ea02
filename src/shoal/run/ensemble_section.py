"""The `ensemble` section: how many members, how they are trained together, who counts how much."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shoal.run.model_section import Model
from shoal.run.sections import Count, NonNegative, Positive, Section, Seed, Whole
from shoal.run.sharing_section import NoSharing, Sharing


class UniformWeighting(Section):
    """Every member counts the same."""

    kind: Literal["uniform"] = "uniform"


class FixedWeighting(Section):
    """Weights written down, one per member."""

    kind: Literal["fixed"]
    weights: Annotated[list[NonNegative], Field(min_length=1)]


class InverseLossWeighting(Section):
    """Weights ∝ validation loss to the power −p; for losses above 0."""

    kind: Literal["inverse_loss"]
    power: Positive = 1.0


class SoftmaxLossWeighting(Section):
    """Weights ∝ exp(−validation loss / temperature)."""

    kind: Literal["softmax_loss"]
    temperature: Positive = 1.0


class LearnedWeighting(Section):
    """Weights that make the crowd's loss on validation data small; a softmax."""

    kind: Literal["learned"]
    strength: NonNegative = 0.01


class StackingWeighting(Section):
    """A model over the members' predictions, of validation data or of folds in the training."""

    kind: Literal["stacking"]
    meta: Literal["linear", "non_negative", "logistic", "mlp"] = "non_negative"
    ridge: NonNegative = 1.0e-3
    folds: Annotated[int, Field(ge=2)] | None = None
    order: Literal["shuffled", "time"] | None = None
    gap: NonNegative = 0.0
    seed: Seed = 0


class GreedyWeighting(Section):
    """Members added with replacement wherever the crowd's validation loss falls most."""

    kind: Literal["greedy"]
    rounds: Count = 50
    start: Count = 1
    bags: Whole = 0
    seed: Seed = 0


class PrunedWeighting(Section):
    """The smallest crowd that keeps the validation score."""

    kind: Literal["pruned"]
    tolerance: NonNegative = 0.0


class TimeTableWeighting(Section):
    """Weights by elapsed time: from a table, or from validation losses in each bin."""

    kind: Literal["time_table"]
    edges: Annotated[list[NonNegative], Field(min_length=1)]
    of: Literal["last", "sum", "mean"] = "last"
    per_batch: bool = False
    temperature: Positive = 1.0
    table: list[list[NonNegative]] | None = None


class TimeCurveWeighting(Section):
    """Weights that are a smooth function of elapsed time, learned from validation data."""

    kind: Literal["time_curve"]
    knots: Annotated[int, Field(ge=2)] = 6
    of: Literal["last", "sum", "mean"] = "last"
    per_batch: bool = False
    strength: NonNegative = 0.01


class PairWeighting(Section):
    """Two members: one for what is near, one for what is far."""

    kind: Literal["pair"]
    threshold: NonNegative = 10.0
    width: NonNegative = 0.0
    of: Literal["last", "sum", "mean", "horizon"] = "last"


class LocalWeighting(Section):
    """Who did well on the validation rows most like this one counts more."""

    kind: Literal["local"]
    neighbours: Count = 10
    temperature: Positive = 1.0


class ConfidenceWeighting(Section):
    """Who is surer of this row counts more; for classes and normal members."""

    kind: Literal["confidence"]
    of: Literal["probability", "entropy"] = "probability"
    power: Positive = 1.0


class HardVoteWeighting(Section):
    """One vote each; for classes."""

    kind: Literal["hard_vote"]


Weighting = Annotated[
    UniformWeighting
    | FixedWeighting
    | InverseLossWeighting
    | SoftmaxLossWeighting
    | LearnedWeighting
    | StackingWeighting
    | GreedyWeighting
    | PrunedWeighting
    | TimeTableWeighting
    | TimeCurveWeighting
    | PairWeighting
    | LocalWeighting
    | ConfidenceWeighting
    | HardVoteWeighting,
    Field(discriminator="kind"),
]


class IndependentRegime(Section):
    """Every member by itself."""

    kind: Literal["independent"] = "independent"


class JointRegime(Section):
    """One loss, of the crowd's own answer."""

    kind: Literal["joint"]


class NegativeCorrelationRegime(Section):
    """Every member's own loss, and a reward for standing apart from the crowd."""

    kind: Literal["negative_correlation"]
    weight: Annotated[float, Field(ge=0, le=1)] = 0.1


class CorrelationRegime(Section):
    """Every member's own loss, and a price on errors that go together."""

    kind: Literal["correlation"]
    weight: NonNegative = 0.1


class BaggingRegime(Section):
    """Every member on a bootstrap sample of its own; on some of the features, if asked."""

    kind: Literal["bagging"]
    fraction: Positive = 1.0
    features: Annotated[float, Field(gt=0, le=1)] = 1.0


class GradientBoostingRegime(Section):
    """Members one after the other, each on what those before it left over."""

    kind: Literal["gradient_boosting"]
    shrinkage: Annotated[float, Field(gt=0, le=1)] = 1.0


class AdaBoostRegime(Section):
    """Members one after the other, each looking harder at what those before it got wrong."""

    kind: Literal["adaboost"]


class SnapshotRegime(Section):
    """One network on a cyclic schedule; a member from the end of every cycle."""

    kind: Literal["snapshot"]


Regime = Annotated[
    IndependentRegime
    | JointRegime
    | NegativeCorrelationRegime
    | CorrelationRegime
    | BaggingRegime
    | GradientBoostingRegime
    | AdaBoostRegime
    | SnapshotRegime,
    Field(discriminator="kind"),
]


class Stopping(Section):
    """When a member that falls behind the others is stopped."""

    enabled: bool = True
    sigma: Positive = 2.0
    warmup: Whole = 5
    patience: Count = 3
    min_members: Annotated[int, Field(ge=2)] = 4


class Ensemble(Section):
    """Many members or one."""

    enabled: bool = False
    n_models: Count = 5
    base_seed: Seed = 42
    save_all_models: bool = False
    members: Annotated[list[Model], Field(min_length=1)] | None = Field(
        default=None, description="what differs from `model`, taken in turn by the members"
    )
    weighting: Weighting = UniformWeighting()
    regime: Regime = IndependentRegime()
    sharing: Sharing = NoSharing()
    stopping: Stopping = Stopping()
