"""Modules of any framework as members: how one is called, and what its answer means.

A module is called as `model(x, timespans)`, with `mask=` where there is one, or as `model(x)` where
it takes nothing else; an argument that is called `timespans` is given by that name, wherever it
stands. It answers with an array, a `Normal`, a `Categorical`, or a tuple that begins
with one of them. A plain array is read by `likelihood`:

    None, "point"   the numbers themselves
    "normal"        the last axis: means first, then as many σ before softplus(·) + 0.001
    "categorical"   the last axis: logits of the classes
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from shoal.equations.outputs import LIKELIHOODS, Categorical, Normal, interpret


def ask(xp, member: Callable, x, timespans=None, mask=None, likelihood: str | None = None) -> Any:
    """What one member answers, an array, `Normal` or `Categorical`.

    Args:
        xp: the array namespace of the member's framework.
        member: the module, or a function.
        x, timespans, mask: arrays of its framework, or None.
        likelihood: how a plain array is read; see the head of this file.

    Raises:
        ValueError: the member cannot be told of timespans or a mask that there are, or its answer
            cannot be read as the likelihood says.

    >>> import numpy as np
    >>> ask(np, lambda x: x[:, :1], np.ones((2, 3))).shape
    (2, 1)
    """
    places, names = _signature(member)
    name = type(member).__name__
    if mask is not None and "mask" not in names:
        raise ValueError(f"{name} has no argument `mask`, and cannot be told of one")
    by_name = "timespans" in names
    if timespans is not None and places < 2 and not by_name:
        raise ValueError(
            f"{name} takes x alone, and cannot be told of `timespans`; "
            "leave them out, or give it a second argument"
        )
    given = (x, timespans) if places > 1 and not by_name else (x,)
    named = ({"timespans": timespans} if by_name else {}) | ({} if mask is None else {"mask": mask})
    return read(xp, member(*given, **named), likelihood)


def read(xp, answer: Any, likelihood: str | None = None) -> Any:
    """The answer itself, of what a module returned.

    >>> import numpy as np
    >>> read(np, (np.zeros((2, 3)), "state"), "categorical").logits.shape
    (2, 3)
    """
    if isinstance(answer, Normal | Categorical):
        return answer
    if isinstance(answer, tuple | list):
        answer = answer[0] if answer else None
        return read(xp, answer, likelihood)
    if not hasattr(answer, "shape"):
        raise ValueError(
            f"a member must answer an array, a Normal or a Categorical, got {type(answer).__name__}"
        )
    if likelihood in (None, "point"):
        return answer
    count = answer.shape[-1]
    if likelihood == "normal" and count % 2:
        raise ValueError(
            "likelihood 'normal' needs as many standard deviations as means on the last axis, "
            f"an even number; a member answered {tuple(answer.shape)}"
        )
    return interpret(xp, answer, (count // 2 if likelihood == "normal" else count,), likelihood)


def check_likelihood(likelihood: str | None) -> None:
    """Refuses a name that is none."""
    if likelihood is not None and likelihood not in LIKELIHOODS:
        raise ValueError(
            f"`likelihood` must be one of {', '.join(LIKELIHOODS)}, or None; got {likelihood!r}"
        )


def each(function: Callable, *answers: Any) -> Any:
    """The function of arrays over answers that may be a `Normal` or a `Categorical` of them.

    >>> each(lambda a: a + 1, Normal(1, 2))
    Normal(mean=2, std=3)
    """
    if isinstance(answers[0], Normal | Categorical):
        return type(answers[0])(*(function(*parts) for parts in zip(*answers, strict=True)))
    return function(*answers)


def stacked(xp, answers: Sequence[Any]) -> Any:
    """The members' answers with the axis members first.

    Raises:
        ValueError: they answer in unlike kinds or shapes.

    >>> import numpy as np
    >>> stacked(np, [np.zeros((2, 1)), np.zeros((2, 3))])
    Traceback (most recent call last):
        ...
    ValueError: members must answer alike: member 0 gives an array (2, 1), member 1 an array (2, 3)
    """
    check_alike(answers)
    return each(lambda *parts: xp.stack(parts, 0), *answers)


def check_alike(answers: Sequence[Any]) -> None:
    """Refuses answers of unlike kinds or shapes, by the members' numbers."""
    found = [_described(answer) for answer in answers]
    for index, what in enumerate(found):
        if what != found[0]:
            raise ValueError(
                f"members must answer alike: member 0 gives {found[0]}, member {index} {what}"
            )


def _described(answer: Any) -> str:
    if isinstance(answer, Normal | Categorical):
        first = answer[0]
        return f"a {type(answer).__name__} {tuple(first.shape)}"
    return f"an array {tuple(answer.shape)}"


def _signature(member: Callable) -> tuple[int, frozenset[str]]:
    """How many arguments it takes by place, and what those it takes by name are called."""
    member = getattr(member, "_orig_mod", member)  # of what torch.compile made
    call = getattr(member, "forward", member)
    if not inspect.isroutine(call) and inspect.isfunction(type(call).__call__):
        call = call.__call__
    function = getattr(call, "__func__", None)
    if function is None:
        return _places(call)
    places, names = _places(function)
    return places - 1, names


@lru_cache(maxsize=512)
def _places(function: Callable) -> tuple[int, frozenset[str]]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # built in: nothing is known
        return 2, _ANY
    kinds = [p.kind for p in parameters.values()]
    places = sum(k in (_PLACE, inspect.Parameter.POSITIONAL_ONLY) for k in kinds)
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        places = 3  # as many as there are
    named = frozenset(parameters)
    return places, named | _ANY if inspect.Parameter.VAR_KEYWORD in kinds else named


_PLACE = inspect.Parameter.POSITIONAL_OR_KEYWORD
_ANY = frozenset({"mask"})  # what a member that takes any name may be given
