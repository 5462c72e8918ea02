"""A study that several workers share, and the search that it belongs to.

Whoever joins says which search it means: configuration, space, objectives, data. The first one to
say so owns the study. Two that come at the same moment both say it before they look at each other,
so that of two unlike searches never both go on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optuna.study import Study

from shoal.run.errors import Refused
from shoal.run.plan import differences
from shoal.tune.plan import MAY_CHANGE, TunePlan, tune_differences

CLAIM = "shoal:search:"  # and a digest: an attribute of the study
_NOT_OF_THE_NUMBERS = ("report", "export", "tune")


def search_of(plan: TunePlan) -> dict[str, Any]:
    """What workers on one study must agree in, wherever each of them runs."""
    config = plan.config.to_dict()
    tune = plan.tune.model_dump(mode="json")
    kept = {name: value for name, value in config.items() if name not in _NOT_OF_THE_NUMBERS}
    kept["data"] = {name: value for name, value in kept["data"].items() if name != "path"}
    if loss := kept["training"].get("loss"):
        kept["training"] = {**kept["training"], "loss": Path(loss).name}  # its folder is the host's
    return {
        "config": kept,
        "tune": {name: value for name, value in tune.items() if name not in MAY_CHANGE},
        "data": plan.folder.read_record().get("data_hash"),
    }


def join(study: Study, own: Mapping[str, Any], place: str) -> None:
    """Claims a study for a search, or finds that it is claimed for it.

    Args:
        own: of `search_of`.
        place: the storage as it is shown.

    Raises:
        Refused: it belongs to another search, or to another program.
    """
    key = CLAIM + hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]
    claims = _claims(study)
    if not claims and study.get_trials(deepcopy=False):
        raise Refused(f"{place}: study {study.study_name!r} is another program's; {_REMEDY}")
    if key not in claims:
        _refuse_others(claims, key, own, study.study_name, place)
        study.set_user_attr(key, dict(own))
    try:
        _refuse_others(_claims(study), key, own, study.study_name, place)
    except Refused:
        if key not in claims:
            study.set_user_attr(key, None)
        raise


_REMEDY = "take another storage, or another name: --set export.name=NAME"


def _claims(study: Study) -> dict[str, Any]:
    attributes = study.user_attrs
    return {key: value for key, value in attributes.items() if key.startswith(CLAIM) and value}


def _refuse_others(
    claims: Mapping[str, Any], key: str, own: Mapping[str, Any], name: str, place: str
) -> None:
    for other in (claim for which, claim in claims.items() if which != key):
        changes = list(_changes(other, own)) or ["it was claimed by another version of Shoal"]
        raise Refused(
            [f"{place}: study {name!r}: {change}" for change in changes]
            + [f"{place}: study {name!r} belongs to another search; {_REMEDY}"]
        )


def _changes(there: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    yield from differences(there["config"], own["config"])
    yield from tune_differences(there["tune"], own["tune"])
    if there["data"] != own["data"]:
        yield "the data differ"
