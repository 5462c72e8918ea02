"""Functions that a configuration names as `module:function`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from shoal.run.errors import Refused


def imported(name: str, beside: str | Path = ".") -> Callable[..., Any]:
    """The function that a name stands for.

    Args:
        name: `package.module:function`.
        beside: a folder whose modules are found as well, first.

    Raises:
        Refused: there is no such module or function.

    >>> imported("math:sqrt")(9)
    3.0
    """
    module_name, _, attribute = name.partition(":")
    folder = str(Path(beside).resolve())
    sys.path.insert(0, folder)
    try:
        found = import_module(module_name)
    except ModuleNotFoundError as error:
        raise Refused(
            f"{name}: there is no module {error.name!r}; install it, or put it beside the "
            f"configuration, into {folder}"
        ) from None
    finally:
        sys.path.remove(folder)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise Refused(f"{name}: {module_name} has no {attribute!r}; check the spelling")
        found = getattr(found, part)
    if not callable(found):
        raise Refused(f"{name}: is no function but {type(found).__name__}; name a function")
    return found
