"""The rules by name, so that YAML and bundles can say which is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol

import numpy as np

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
from shoal.weighting.selector import Selector
from shoal.weighting.softmax_loss import SoftmaxLoss
from shoal.weighting.stacking import Stacking
from shoal.weighting.time_curve import TimeCurve
from shoal.weighting.time_table import TimeTable
from shoal.weighting.uniform import Uniform


class Weighting(Protocol):
    """What every rule does; see the head of `shoal.weighting`."""

    kind: ClassVar[str]

    def fit(self, evidence: Evidence) -> Weighting: ...
    def weights(
        self,
        n_models: int,
        x: Any = None,
        timespans: Any = None,
        mask: Any = None,
        outputs: Any = None,
    ) -> np.ndarray: ...
    def select(self, indices: Sequence[int]) -> Weighting: ...
    def to_dict(self) -> dict[str, Any]: ...


_ALL = (Uniform, Fixed, InverseLoss, SoftmaxLoss, Learned, Stacking, Greedy, Pruned, TimeTable)
_ALL += (TimeCurve, Pair, Local, Confidence, HardVote, Pooled)
RULES: dict[str, Any] = {rule.kind: rule for rule in _ALL}


def resolve(given: Weighting | Mapping[str, Any] | str) -> Weighting:
    """The rule that a name, a dict with `kind`, a selecting function, or a rule itself stands for.

    Raises:
        ValueError: the kind is unknown, or lacks what it needs.

    >>> resolve("uniform")
    Uniform()
    >>> resolve({"kind": "fixed", "weights": [1, 1]})
    Fixed(values=(1.0, 1.0))
    """
    if isinstance(given, str):
        given = {"kind": given}
    if not isinstance(given, Mapping):
        return Selector(given) if callable(given) and not hasattr(given, "weights") else given
    kind = given.get("kind")
    if kind == Selector.kind:
        raise ValueError(
            "weighting 'selector' is a function, which only Python can give; use 'local', which "
            "learns from validation data who answers where"
        )
    if kind not in RULES:
        near = get_close_matches(str(kind), RULES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RULES)}"
        raise ValueError(f"unknown weighting kind {kind!r}; {hint}")
    try:
        return RULES[kind].from_dict(dict(given))
    except KeyError as error:
        raise ValueError(f"weighting {kind!r} lacks {error}") from error


def describe(rule: Weighting) -> dict[str, Any]:
    """The rule as JSON; refused for rules that the registry does not know.

    >>> describe(Uniform())
    {'kind': 'uniform'}
    """
    if isinstance(rule, Selector):
        return rule.to_dict()  # which says why not
    if RULES.get(getattr(rule, "kind", "")) is not type(rule):
        raise ValueError(
            f"{type(rule).__name__} is no registered weighting, so it cannot be saved; "
            f"there are {', '.join(RULES)}"
        )
    return rule.to_dict()
