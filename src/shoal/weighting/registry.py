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


def resolve(given: Any) -> Weighting:
    """The rule that is meant.

    Args:
        given: a rule itself, its name, its dict with `kind`, one number per member, or a function
            that selects.

    Raises:
        ValueError: it is none of these, the kind is unknown, or an option lacks or is wrong.

    >>> resolve("uniform"), resolve([1, 1])
    (Uniform(), Fixed(values=(1.0, 1.0)))
    >>> resolve({"kind": "fixed", "weights": [1, 1]})
    Fixed(values=(1.0, 1.0))
    """
    if isinstance(given, str):
        given = {"kind": given}
    if isinstance(given, Mapping):
        return _of_dict(dict(given))
    if isinstance(given, type):
        raise ValueError(f"`weighting` must be a rule, got its class; write {given.__name__}()")
    if callable(getattr(given, "weights", None)):
        return given
    if callable(given):
        return Selector(given)
    if _are_numbers(given):
        return Fixed(given)
    raise ValueError(
        "`weighting` must be a rule, its name, its dict, one number per member or a function that "
        f"selects; got {given!r}"
    )


def suited(rule: Weighting, n_models: int, schema: Any = None) -> Weighting:
    """The rule as a crowd has it: told what the data are, refused for another number of members.

    Args:
        rule: a weighting.
        n_models: how many members the crowd has.
        schema: of its data, if it has one.

    Raises:
        ValueError: the rule is for another number of members.

    >>> suited(Fixed([1, 2]), 2)
    Fixed(values=(1.0, 2.0))
    """
    members = getattr(rule, "members", None)
    if members is not None and members != n_models:
        own = "has {} weights" if hasattr(rule, "values") else "is for {} members"
        raise ValueError(
            f"weighting {rule.kind!r} {own.format(members)}, but there are {n_models} members; "
            "give as many, or use 'uniform'"
        )
    told = getattr(rule, "for_schema", None)
    return rule if schema is None or told is None else told(schema)


def learns_from(rule: Any) -> str:
    """What a rule learns from: "nothing", "losses" or "predictions"; one that does not say, losses.

    >>> learns_from(Uniform()), learns_from(Learned())
    ('nothing', 'predictions')
    """
    return getattr(rule, "learns", "losses")


def _of_dict(given: dict[str, Any]) -> Weighting:
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
        return RULES[kind].from_dict(given)
    except KeyError as error:
        raise ValueError(f"weighting {kind!r} lacks {error}") from error
    except TypeError as error:
        raise ValueError(f"weighting {kind!r} cannot be made of {given}: {error}") from error


def _are_numbers(given: Any) -> bool:
    try:
        return np.asarray(given, float).ndim == 1
    except (TypeError, ValueError):
        return False


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
