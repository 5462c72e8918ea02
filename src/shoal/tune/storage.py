"""Where a study is kept: in memory, in a journal file, or in a database."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study


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

    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise Refused(
            f"{path}: the study cannot be kept there ({error.strerror}); name another file"
        ) from None
    except ValueError as error:
        raise Refused(f"{path}: is no journal of a study ({error}); name another file") from None


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
