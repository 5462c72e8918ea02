"""How commands end: 0 when done, 2 with place and remedy when refused, 1 when we are to blame."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from shoal.run.errors import Interrupted, Refused

REFUSED, UNEXPECTED = 2, 1
_DISK = {  # what a file system refuses, and what the asker can do
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOTDIR: "name a folder in place of the file",
    errno.EEXIST: "name a folder in place of the file",
    errno.EISDIR: "name a file in it",
    errno.ENOSPC: "make room, or name another disk",
    errno.EDQUOT: "make room, or name another disk",
}
NEWEST = "newest"


class Shell(TyperGroup):
    """Turns exceptions into messages and exit codes, for a process and for a test alike."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as error:
            if ctx.params.get("debug"):
                raise
            for problem in error.problems:
                typer.echo(f"error: {problem}", err=True)
            raise typer.Exit(REFUSED) from None
        except Interrupted as stop:
            typer.echo(str(stop), err=True)
            raise typer.Exit(128 + stop.signal) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(128 + signal.SIGPIPE) from None
        except Exception as error:
            if ctx.params.get("debug") or not _is_ours(error):
                raise
            if isinstance(error, OSError) and error.errno in _DISK:
                typer.echo(f"error: {_refusal(error)}", err=True)
                raise typer.Exit(REFUSED) from None
            typer.echo(f"unexpected {type(error).__name__}: {error}", err=True)
            typer.echo("run the command again as `shoal --debug ...` to see where", err=True)
            raise typer.Exit(UNEXPECTED) from None


def _is_ours(error: Exception) -> bool:
    """Whether no exception of the command line's own means of ending."""
    return not type(error).__module__.startswith("typer")


def _refusal(error: OSError) -> str:
    """
    >>> _refusal(OSError(errno.EACCES, "Permission denied", "runs"))
    'runs: permission denied; change its permissions, or name another place'
    """
    place = error.filename2 or error.filename or "disk"
    reason = (error.strerror or type(error).__name__).lower()
    return f"{place}: {reason}; {_DISK[error.errno or 0]}"


class OptionalValue(TyperCommand):
    """A command whose `--resume` may stand alone, then meaning the newest run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_value(args, "--resume", NEWEST))


class OptionalMembers(TyperCommand):
    """A command whose `--retrain` may stand alone, then meaning all members."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_members(args, "--retrain"))


def with_members(args: list[str], option: str) -> list[str]:
    """The arguments with "all" put behind an `option` that no members' numbers follow.

    >>> with_members(["new.csv", "--retrain", "--add", "1"], "--retrain")
    ['new.csv', '--retrain', 'all', '--add', '1']
    >>> with_members(["--retrain", "0,2", "new.csv"], "--retrain")
    ['--retrain', '0,2', 'new.csv']
    """
    result: list[str] = []
    for index, word in enumerate(args):
        result.append(word)
        following = args[index + 1] if index + 1 < len(args) else ""
        if word == option and not re.fullmatch(r"all|[\d,]+", following):
            result.append("all")
    return result


def with_value(args: list[str], option: str, value: str) -> list[str]:
    """The arguments with `value` put behind an `option` that has none.

    >>> with_value(["a.yaml", "--resume"], "--resume", "newest")
    ['a.yaml', '--resume', 'newest']
    >>> with_value(["--resume", "a.yaml"], "--resume", "newest")
    ['--resume', 'newest', 'a.yaml']
    >>> with_value(["--resume", "co2"], "--resume", "newest")
    ['--resume', 'co2']
    """
    result: list[str] = []
    for index, word in enumerate(args):
        result.append(word)
        following = args[index + 1] if index + 1 < len(args) else "-"
        if (word == option and following.startswith("-")) or (
            word == option and following.endswith((".yaml", ".yml"))
        ):
            result.append(value)
    return result


def plain_streams() -> bool:
    """Whether nobody watches: no terminal, so no colours and no moving lines."""
    return not sys.stdout.isatty()
