"""Functions that a configuration names as `module:function`; the one place that imports them.

A module that lies beside the configuration is named by its file once the configuration is
resolved, so that it is found again from a run's folder, and from another process.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from shoal.run.errors import Refused


def imported(name: str, beside: str | Path = ".") -> Callable[..., Any]:
    """The function that a name stands for.

    Args:
        name: `package.module:function`, or `path/to/file.py:function`.
        beside: a folder whose modules are found as well, first.

    Raises:
        Refused: there is no such module or function.

    >>> imported("math:sqrt")(9)
    3.0
    """
    module_name, _, attribute = placed(name, beside).rpartition(":")
    found: Any = _from_file(module_name) if module_name.endswith(".py") else _module(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise Refused(f"{name}: {module_name} has no {attribute!r}; check the spelling")
        found = getattr(found, part)
    if not callable(found):
        raise Refused(f"{name}: is no function but {type(found).__name__}; name a function")
    return found


def placed(name: str, folder: str | Path) -> str:
    """The name with the absolute path of its file, where the module lies in a folder.

    >>> placed("math:sqrt", "/nowhere")
    'math:sqrt'
    """
    module_name, _, attribute = name.rpartition(":")
    relative = module_name if module_name.endswith(".py") else module_name.replace(".", "/") + ".py"
    path = Path(folder) / relative
    return f"{path.resolve()}:{attribute}" if path.is_file() else name


def check_findable(name: str) -> None:
    """Refuses a module that is nowhere, without importing one that is.

    >>> check_findable("nowhere_at_all:f")
    Traceback (most recent call last):
    shoal.run.errors.Refused: nowhere_at_all:f: there is no module 'nowhere_at_all'; install it, ...
    """
    root = name.rpartition(":")[0]
    if not root.endswith(".py") and find_spec(root.split(".")[0]) is None:
        raise _missing(name, root.split(".")[0])


def _missing(name: str, module: str | None) -> Refused:
    return Refused(
        f"{name}: there is no module {module!r}; install it, or put its file beside the "
        "configuration"
    )


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(name, error.name) from None


def _from_file(path: str) -> ModuleType:
    """The module in a file, which is run once in a process."""
    name = f"shoal_user_{Path(path).stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise Refused(f"{path}: there is no such file; check the path")
    sys.modules[name] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
