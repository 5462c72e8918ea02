"""The regimes by name, so that YAML can say which is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol

from shoal.population.regimes.adaboost import AdaBoost
from shoal.population.regimes.bagging import Bagging
from shoal.population.regimes.correlation import Correlation
from shoal.population.regimes.gradient_boosting import GradientBoosting
from shoal.population.regimes.independent import Independent
from shoal.population.regimes.joint import Joint
from shoal.population.regimes.negative_correlation import NegativeCorrelation
from shoal.population.regimes.plan import Plan
from shoal.population.regimes.snapshot import Snapshot
from shoal.population.samples import Samples


class Regime(Protocol):
    """What every regime does; see the head of `shoal.population.regimes`."""

    kind: ClassVar[str]

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan: ...


_ALL = (Independent, Joint, NegativeCorrelation, Correlation, Bagging, Snapshot)
_ALL += (GradientBoosting, AdaBoost)
REGIMES: dict[str, Any] = {regime.kind: regime for regime in _ALL}


def resolve(given: Regime | Mapping[str, Any] | str) -> Regime:
    """The regime that a name, a dict with `kind`, or a regime itself stands for.

    Raises:
        ValueError: the kind is unknown, or does not have an argument.

    >>> resolve({"kind": "negative_correlation", "weight": 0.5})
    NegativeCorrelation(weight=0.5)
    """
    if isinstance(given, str):
        given = {"kind": given}
    if not isinstance(given, Mapping):
        return given
    kind = given.get("kind")
    if kind not in REGIMES:
        near = get_close_matches(str(kind), REGIMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(REGIMES)}"
        raise ValueError(f"unknown regime kind {kind!r}; {hint}")
    try:
        return REGIMES[kind](**{name: value for name, value in given.items() if name != "kind"})
    except TypeError as error:
        raise ValueError(f"regime {kind!r}: {error}") from error
