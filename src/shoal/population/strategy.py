"""How the members of one structure share a machine: side by side, in turn, over devices.

`vmap` computes all members at once; when half of them have stopped, the others move together and
the program is compiled once more for half the members (at most log₂ n times). `loop` computes one
active member after the other: a stopped one costs nothing, nothing is compiled again, and a member
gets bit for bit what it would get alone. With several devices the members are dealt to them, each
device works through its own with either strategy.

Slots are where members live: an integer array (devices, slots per device) that holds the member's
place in its group, or −1 where the slot is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, PyTree

Strategy = Literal["vmap", "loop"]

EMPTY = -1
_ROOM = 2**20  # bytes of a member of which there is room for more than are needed


def prefers_loop(x: Any) -> bool:
    """Whether members are faster in turn: sequences on a CPU are, small dense members are not."""
    return x.ndim >= 3 and jax.default_backend() == "cpu"


def choose(strategy: str, x: Any) -> Strategy:
    """The strategy asked for, or for "auto" the one measured to be faster for `x`."""
    if strategy == "auto":
        return "loop" if prefers_loop(x) else "vmap"
    if strategy not in ("vmap", "loop"):
        raise ValueError(f"`strategy` must be 'auto', 'vmap' or 'loop', got {strategy!r}")
    return strategy  # type: ignore[return-value]


def map_members(function: Callable[..., PyTree], stacked: tuple, *, loop: bool) -> PyTree[Array]:
    """`function` of every member; the leading axis of `stacked` and of the result is members."""
    if loop:
        return jax.lax.map(lambda own: function(*own), stacked)
    return jax.vmap(function)(*stacked)


def quick_compile() -> dict[str, int] | None:
    """Options for a program that runs once: on a CPU, optimising it takes longer than running."""
    return {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None


def deal(places: np.ndarray, devices: int, per_device: int) -> np.ndarray:
    """The places dealt like cards to the devices; what is left over stays empty."""
    if len(places) > devices * per_device:
        raise AssertionError("more members than slots")
    slots = np.full(devices * per_device, EMPTY)
    slots[: len(places)] = places
    return slots.reshape(per_device, devices).T.copy()


def first_slots(n: int, devices: int, least: int = 0) -> np.ndarray:
    """Where `n` members start.

    With a `least` number of slots on a device there are so many, or a power of two above: what is
    empty is never computed in turn, and populations of many sizes need few programs.

    >>> first_slots(5, 2).tolist(), first_slots(3, 1, least=4).tolist()
    ([[0, 2, 4], [1, 3, -1]], [[0, 1, 2, -1]])
    """
    per_device = -(-n // devices)
    if least:
        per_device = max(least, 1 << (per_device - 1).bit_length())
    return deal(np.arange(n), devices, per_device)


def next_slots(slots: np.ndarray, active: np.ndarray, strategy: Strategy) -> np.ndarray:
    """Where members go next, given which places in the group are still `active` (n,).

    >>> slots = first_slots(8, devices=1)
    >>> active = np.array([1, 0, 0, 0, 1, 0, 0, 1], bool)
    >>> next_slots(slots, active, "vmap").tolist()
    [[0, 4, 7, -1]]
    >>> next_slots(slots, active, "loop") is slots
    True
    """
    return _halved(slots, active) if strategy == "vmap" else _balanced(slots, active)


def least_slots(params: PyTree, n: int, strategy: Strategy) -> int:
    """How many slots a device has at least: more than are needed where members are small."""
    if strategy != "loop":
        return 0
    small = sum(leaf.nbytes for leaf in jax.tree.leaves(params)) <= _ROOM * n
    return 8 if small else 1


def is_active(slots: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Which slots hold an active member."""
    return (slots != EMPTY) & active[slots]


def _halved(slots: np.ndarray, active: np.ndarray) -> np.ndarray:
    devices, per_device = slots.shape
    needed = -(-int(active.sum()) // devices)
    size = per_device
    while size > 1 and -(-size // 2) >= needed:
        size = -(-size // 2)
    everyone = np.isin(np.flatnonzero(active), slots).all()
    if size == per_device and everyone:
        return slots
    while devices * size < active.sum():  # those that begin later were not among the slots
        size += 1
    return deal(np.flatnonzero(active), devices, size)


def _balanced(slots: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Dealt anew when one device has two active members more than another."""
    counts = is_active(slots, active).sum(axis=1)
    if counts.max() - counts.min() < 2:
        return slots
    places = slots[slots != EMPTY]
    working = places[active[places]]
    return deal(np.concatenate([working, places[~active[places]]]), *slots.shape)
