"""Where a study is kept: in memory, in a journal file, or in a PostgreSQL database."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused
from shoal.tune.addresses import shown, without_secrets

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

_SECONDS = 10  # until a server that does not answer counts as unreachable
_IDLE = 60  # until the server ends a transaction in which nothing happens
_LOCK = 0x5A0A1  # of the database, while its tables are made


def in_memory(metrics: Sequence[str], directions: Sequence[str]) -> Study:
    """A new study that lives as long as the process."""
    return new_study(None, "shoal", metrics, directions)


def journal(path: str | Path) -> BaseStorage:
    """A file to which every change is appended.

    Raises:
        Refused: it cannot be written, or is no journal.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from shoal.tune.locking import KernelLock

    lock: Any = KernelLock(str(path))
    try:
        return JournalStorage(JournalFileBackend(str(path), lock))
    except OSError as error:
        raise Refused(
            f"{path}: the study cannot be kept there ({error.strerror}); name another file"
        ) from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise Refused(f"{path}: is no journal of a study ({error}); name another file") from None


def shared(where: str) -> BaseStorage:
    """The storage at an address that `located` gave.

    Raises:
        Refused: it cannot be reached, written, or understood.
    """
    if "://" not in where:
        return journal(where)
    with reaching(where):
        return _database(where)


@contextmanager
def reaching(where: str, remedy: str = "") -> Iterator[None]:
    """A storage that fails inside the block is refused in a sentence without secrets.

    Args:
        where: as `located` gave it.
        remedy: what to do; by default, for a start that failed.

    Raises:
        Refused: the storage failed. Other errors pass.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    remedy = remedy or "check the server, the address, user and password (PGPASSWORD or ~/.pgpass)"
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = without_secrets(_cause(error), where)
    except OSError as error:
        if not str(error.filename).startswith(where):  # neither the journal nor its lock
            raise
        cause = error.strerror or type(error).__name__
    else:
        return
    raise Refused(f"{shown(where)}: the study cannot be reached ({cause}); {remedy}") from None


def new_study(
    storage: BaseStorage | None, name: str, metrics: Sequence[str], directions: Sequence[str]
) -> Study:
    """The study of a name: made, or taken up."""
    import optuna

    from shoal.tune.study import quiet

    quiet()
    ways: list[Any] = list(directions)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=ways, load_if_exists=True
    )
    if not study.metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names are said to be experimental
            study.set_metric_names(list(metrics))
    return study


def _database(where: str) -> BaseStorage:
    """Its tables are made by one worker at a time."""
    from optuna.storages import RDBStorage
    from sqlalchemy import create_engine, event, text

    options = {"pool_pre_ping": True, "connect_args": {"connect_timeout": _SECONDS}}
    try:
        engine = create_engine(where, **options)
    except ImportError as error:  # psycopg without a library to talk to the server
        raise Refused(f"{shown(where)}: {error}; pip install 'shoal[postgresql]'") from None
    event.listen(engine, "connect", _lets_go)
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
            storage = RDBStorage(where, engine_kwargs=options)
    except RuntimeError as error:  # tables of another version of Optuna
        raise Refused(f"{shown(where)}: {error}") from None
    finally:
        engine.dispose()  # and with the connection goes the lock
    storage.engine.dispose()
    event.listen(storage.engine, "connect", _lets_go)
    return storage


def _lets_go(connection: Any, record: object) -> None:
    """A worker that is cut off, or suspended, while it holds a lock does not hold it for long."""
    connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE}s'")
    connection.commit()


def _cause(error: BaseException) -> str:
    """The database's own words, in one line."""
    found: BaseException | None = error
    while found is not None and getattr(found, "orig", None) is None:
        found = found.__cause__
    words = " ".join(str(getattr(found, "orig", None) or error).split())
    return words if len(words) <= 240 else words[:237] + "..."
