"""Members that see some of the features: what a regime decided, made part of them.

A member that has `with_feature_mask(mask)` keeps the mask itself, as `SequenceModel` and `MLP` do,
so that bundles hold it and every framework applies it; any other is wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from shoal.neurons.frozen import FeatureMask
from shoal.population.members import Group
from shoal.population.own_losses import answer_with_losses


class Subset(eqx.Module):
    """A member, or a stack of such, that is shown some of the features; the others are 0.

    >>> seen = Subset(lambda x, timespans, *, mask, key: x, FeatureMask(jnp.array([1.0, 0.0])))
    >>> seen(jnp.ones((1, 2))).tolist()
    [[1.0, 0.0]]
    """

    member: Any
    feature_mask: FeatureMask

    def __call__(
        self,
        x: Array,
        timespans: Array | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | None = None,
    ) -> PyTree:
        return self.member(self.feature_mask(jnp.asarray(x)), timespans, mask=mask, key=key)

    def with_losses(self, x, timespans=None, *, mask=None, key=None):
        """The prediction, and what the member's own modules add to its loss."""
        seen = self.feature_mask(jnp.asarray(x))
        return answer_with_losses(self.member, seen, timespans, mask=mask, key=key)


def shown(groups: Sequence[Any], masks: np.ndarray | None) -> tuple[Any, ...]:
    """The groups, each member seeing what its row of `masks` (members, columns) marks 1.

    Raises:
        ValueError: members share their matrices, and so what they see.
    """
    if masks is None:
        return tuple(groups)
    return tuple(_shown(group, masks[list(group.indices)]) for group in groups)


def _shown(group: Any, masks: np.ndarray) -> Group:
    if not isinstance(group, Group):
        raise ValueError(
            "members that share their matrices see the same features; set `features` of bagging to "
            "1, or share nothing"
        )
    given = getattr(group.members, "with_feature_mask", None)
    if given is not None:
        return Group(given(masks), group.indices)
    return Group(Subset(group.members, FeatureMask(jnp.asarray(masks))), group.indices)
