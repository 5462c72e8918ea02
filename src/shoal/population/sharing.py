"""How members may share their matrices.

    member i's matrix = W ∘ r_i s_iᵀ,  W of all members, r_i and s_i its own

    batch_ensemble   every r and s starts from random signs; every batch is divided among the
                     members, so that a step costs about what one member's does
    tabm             only the s of the first matrix starts from random signs, all others from 1;
                     every member has a head of its own, and learns from every row

Everything that is no matrix (biases, time constants, rates of dropout) is a member's own.

Sources: Wen, Tran & Ba, "BatchEnsemble", ICLR 2020; Gorishniy, Kotelnikov & Babenko, "TabM",
ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

ROWS = ("divided", "all")
STARTS = ("signs", "normal")


@dataclass(frozen=True)
class BatchEnsemble:
    """Members that differ in all of their matrices from the start.

    Args:
        rows: "divided" gives each row of a batch to one member, "all" every row to every member.
        start: of r and s: "signs" draws ±1, "normal" around 1 with standard deviation `spread`.
        spread: of "normal", above 0.
        fast_rate: how much faster r and s learn than the rest; above 0.
    """

    rows: str = "divided"
    start: str = "signs"
    spread: float = 0.5
    fast_rate: float = 1.0
    kind: ClassVar[str] = "batch_ensemble"
    own_head: ClassVar[bool] = False
    first_only: ClassVar[bool] = False

    def __post_init__(self):
        _check(self)


@dataclass(frozen=True)
class TabM:
    """Members that begin alike but for the signs of what they read, each with its own head.

    Args:
        rows, start, spread, fast_rate: as of `BatchEnsemble`, for the s of the first matrix.
    """

    rows: str = "all"
    start: str = "signs"
    spread: float = 0.5
    fast_rate: float = 1.0
    kind: ClassVar[str] = "tabm"
    own_head: ClassVar[bool] = True
    first_only: ClassVar[bool] = True

    def __post_init__(self):
        _check(self)


Sharing = BatchEnsemble | TabM
KINDS: dict[str, Any] = {one.kind: one for one in (BatchEnsemble, TabM)}


def resolve(given: Sharing | Mapping[str, Any] | str | None) -> Sharing | None:
    """The sharing that a name, a dict with `kind`, or a sharing itself stands for.

    None and the kind "none" stand for members that share nothing.

    Raises:
        ValueError: the kind is unknown, or does not have an argument.

    >>> resolve({"kind": "batch_ensemble", "rows": "all"})
    BatchEnsemble(rows='all', start='signs', spread=0.5, fast_rate=1.0)
    """
    if isinstance(given, str):
        given = {"kind": given}
    if not isinstance(given, Mapping):
        return given
    kind = given.get("kind")
    if kind == "none":
        return None
    if kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are none, {', '.join(KINDS)}"
        raise ValueError(f"unknown sharing kind {kind!r}; {hint}")
    try:
        return KINDS[kind](**{name: value for name, value in given.items() if name != "kind"})
    except TypeError as error:
        raise ValueError(f"sharing {kind!r}: {error}") from error


def _check(sharing: Sharing) -> None:
    for name, known in (("rows", ROWS), ("start", STARTS)):
        if getattr(sharing, name) not in known:
            raise ValueError(
                f"`{name}` of {sharing.kind} must be one of {', '.join(known)}, "
                f"got {getattr(sharing, name)!r}"
            )
    for name in ("spread", "fast_rate"):
        if not 0 < getattr(sharing, name) < float("inf"):
            raise ValueError(
                f"`{name}` of {sharing.kind} must be above 0, got {getattr(sharing, name)}"
            )
