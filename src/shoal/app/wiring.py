"""`shoal wiring`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import typer

from shoal.run.errors import Refused, refusing, suggestion
from shoal.run.files import replacing

_KINDS = {
    "fully_connected": "FullyConnected",
    "random": "Random",
    "ncp": "NCP",
    "auto_ncp": "AutoNCP",
}
_DRAWN = (".svg", ".png", ".pdf")


def wiring(source: str, out: Path | None, inputs: int | None) -> None:
    """Draw the wiring of a configuration, or of an expression."""
    target = out or Path("wiring.svg")
    if target.suffix.lower() not in _DRAWN:
        raise Refused(f"--out {target}: cannot draw {target.suffix!r}; use {', '.join(_DRAWN)}")
    if inputs is not None and inputs < 1:
        raise Refused(f"--inputs: must be at least 1, found {inputs}; raise it")
    made, size = _from_file(source) if _is_file(source) else (from_text(source), None)
    count = inputs or size or made.input_dim or 4
    with refusing(source), replacing(target) as temporary:
        draw(made.build(count), temporary)
    typer.echo(f"wrote {target}: {made.units} neurons, {count} inputs")


def _is_file(source: str) -> bool:
    return source.endswith((".yaml", ".yml")) or Path(source).is_file()


def _from_file(source: str) -> tuple[Any, int | None]:
    """The wiring of a configuration, and how many features feed it at least."""
    from shoal.run.checking import load_config
    from shoal.run.model_section import wiring_dict
    from shoal.wirings import Wiring

    config = load_config(source)
    section = getattr(config.model, "wiring", None)
    if section is None:
        raise Refused(f"{source}: model.wiring: is not set; add e.g. {{kind: auto_ncp, ...}}")
    with refusing(f"{source}: model.wiring"):
        return Wiring.from_dict(wiring_dict(section)), len(config.data.features or []) or None


def from_text(text: str) -> Any:
    """A wiring from its class or kind with plain arguments.

    >>> from_text("auto_ncp(8, 2, seed=1)").units
    8

    Raises:
        Refused: another expression, an unknown kind, or arguments it does not take.
    """
    from shoal import wirings

    example = "write it as 'auto_ncp(64, 8)'"
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise Refused(f"{text}: is no wiring; {example}") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise Refused(f"{text}: is neither a file nor a wiring; {example}")
    names = {**_KINDS, **{kind.lower(): kind for kind in _KINDS.values()}}
    kind = names.get(call.func.id, names.get(call.func.id.lower()))
    if kind is None:
        raise Refused(
            f"{text}: there is no wiring {call.func.id!r}; {suggestion(call.func.id, list(_KINDS))}"
        )
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
        return getattr(wirings, kind)(*positional, **named)
    except (ValueError, TypeError) as error:
        raise Refused(f"{text}: {error}; {example}") from None


def draw(built: Any, target: Path) -> None:
    """The picture as a file; the format follows from the name."""
    from shoal.wiring_picture import write

    try:
        write(built, target)
    except ImportError as error:
        raise Refused(f"wiring: {error}") from None
