"""Members whose answers are not numbers: refused by name, never averaged in.

One NaN among a hundred members makes the crowd's answer NaN, or, where it is skipped in silence,
another crowd's. So it is asked before anything is combined, scored or fitted. A logit may be −inf
(a class that cannot be), but not all of a row's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.equations.outputs import Categorical, Normal


def usable(outputs: Any) -> np.ndarray:
    """(members, batch): where a member's whole answer to a row is finite.

    Args:
        outputs: points (members, batch, ...), or a `Normal` or `Categorical` of such arrays.

    >>> import numpy as np
    >>> usable(np.array([[[1.0], [2.0]], [[np.nan], [2.0]]])).tolist()
    [[True, True], [False, True]]
    """
    if isinstance(outputs, Categorical):
        logits = np.asarray(outputs.logits, float)
        highest = logits.max(axis=-1)
        fine = ~np.isnan(logits).any(axis=-1) & np.isfinite(highest)
    elif isinstance(outputs, Normal):
        fine = np.isfinite(np.asarray(outputs.mean, float) + np.asarray(outputs.std, float))
    else:
        fine = np.isfinite(np.asarray(outputs, float))
    return np.asarray(fine.all(axis=tuple(range(2, fine.ndim))))


def check_members(outputs: Any) -> None:
    """Refuses members whose answers are not finite.

    Args:
        outputs: as of `usable`.

    Raises:
        ValueError: naming the members and the first row.

    >>> import numpy as np
    >>> check_members(np.array([[[1.0], [2.0]], [[5.0], [np.nan]]]))
    Traceback (most recent call last):
        ...
    ValueError: member 1 of 2 has no finite answer to row 1 (1 of 2 rows); leave it out...
    """
    fine = usable(outputs)
    if fine.all():
        return
    bad = np.flatnonzero(~fine.all(axis=1))
    rows = np.flatnonzero(~fine.all(axis=0))
    names = ", ".join(str(i) for i in bad)
    one = len(bad) == 1
    raise ValueError(
        f"{'member' if one else 'members'} {names} of {len(fine)} {'has' if one else 'have'} no "
        f"finite answer to row {rows[0]} ({len(rows)} of {fine.shape[1]} rows); leave "
        f"{'it' if one else 'them'} out, as with `crowd.select`: not finite is not averaged in"
    )
