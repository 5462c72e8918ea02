"""Where workers meet: a file's path, or a database's URL, with its password and without.

A password is for connecting only: what is written or printed goes through `shown` or
`without_secrets`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.run.errors import Refused

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_SECRET = ("password", "sslpassword")  # where a URL's query may hold one


def located(where: str) -> str:
    """A shared storage's whole address: a file's absolute path, or a database's URL.

    >>> located("postgresql://me:secret@db/studies")
    'postgresql+psycopg://me:secret@db/studies'

    Raises:
        Refused: several workers cannot share a study there.
    """
    scheme, mark, _ = where.partition("://")
    if not mark:
        return _file(where)
    if scheme.split("+")[0] not in ("postgresql", "postgres"):
        reason = "SQLite is unfit for several writers" if scheme.startswith("sqlite") else "unknown"
        raise Refused(
            f"storage: {scheme}: {reason}; name a journal file, such as study.journal, or "
            "postgresql://USER@HOST/DATABASE"
        )
    if find_spec("psycopg") is None or find_spec("sqlalchemy") is None:
        raise Refused(
            "storage: PostgreSQL needs psycopg; install it: pip install 'shoal[postgresql]'"
        )
    return _url(where).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def shown(where: str) -> str:
    """The address without its password.

    >>> shown("postgresql+psycopg://me:secret@db/studies?password=secret")
    'postgresql://me@db/studies'
    """
    if "://" not in where:
        return where
    url = _url(where)
    query = {name: value for name, value in url.query.items() if name not in _SECRET}
    bare = url.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    return bare.render_as_string()


def without_secrets(text: str, where: str) -> str:
    """A text in which the address's password may stand, without it."""
    if "://" not in where:
        return text
    url = _url(where)
    for secret in (url.password, *(url.query.get(name) for name in _SECRET)):
        text = text.replace(str(secret), "***") if secret else text
    return text


def _file(where: str) -> str:
    path = Path(where).expanduser().resolve()
    if path.is_dir():
        raise Refused(f"storage: {path} is a folder; name a file in it, such as study.journal")
    if not path.parent.is_dir():
        raise Refused(f"storage: {path}: its folder does not exist; make it, or name another file")
    return str(path)


def _url(where: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(where)
    except (ArgumentError, ValueError):  # whose own text may hold the password
        raise Refused(
            "storage: is no address of a database; write postgresql://USER@HOST:PORT/DATABASE"
        ) from None
