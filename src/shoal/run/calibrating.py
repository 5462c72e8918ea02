"""How sure a run's crowd may be: what the `calibration` section asks for, and on which rows.

validation rows     recalibration of what members say; the reference of the novelty score
calibration rows    conformal intervals, around the mean or of moved quantiles
training rows       each answered by the members that did not see it: intervals of bagged crowds
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused, refusing
from shoal.run.reading import Key

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared
    from shoal.run.schema import Config

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # that the report shows
NOT_SHARES = ("stacking", "hard_vote")  # weightings that do not average


def calibration_rules(config: Config) -> Iterator[tuple[Key, str]]:
    """What the section asks for that this task, these members or this regime cannot have."""
    wanted, classes = config.calibration, config.data.task == "classification"
    normal = config.model.likelihood == "normal"
    kind = wanted.recalibrate
    place = ("calibration", "recalibrate")
    if kind == "temperature" and not classes:
        rest = "use 'variance'" if normal else "remove it"
        yield place, f"'temperature' is for classes, and the task is {config.data.task!r}; {rest}"
    if kind == "variance" and classes:
        yield place, "'variance' is for real targets; use 'temperature' to classify"
    elif kind == "variance" and not normal:
        yield (
            place,
            "'variance' needs members that predict their spread; set model.likelihood: normal",
        )
    if kind == "temperature" and classes and votes(config):
        yield place, "hard votes stay the same at any temperature; remove it, or average instead"
    if wanted.method == "cqr" and not classes and not normal:
        yield (
            ("calibration", "method"),
            "'cqr' moves the quantiles that members predict; set model.likelihood: normal, "
            "or use 'conformal'",
        )
    if wanted.method == "enbpi":
        yield from _out_of_bag_rules(config)
    if wanted.novelty == "disagreement" and not classes:
        yield (
            ("calibration", "novelty"),
            "'disagreement' counts votes for classes; use 'epistemic'",
        )


def votes(config: Config) -> bool:
    """Whether members cast votes, by the weighting or by the regime."""
    ensemble = config.ensemble
    return ensemble.enabled and (
        ensemble.weighting.kind == "hard_vote" or ensemble.regime.kind == "adaboost"
    )


def _out_of_bag_rules(config: Config) -> Iterator[tuple[Key, str]]:
    ensemble, place = config.ensemble, ("calibration", "method")
    if not ensemble.enabled or ensemble.regime.kind != "bagging":
        yield (
            place,
            "'enbpi' lets each training row be answered by the members that did not see it; set "
            "ensemble.regime: {kind: bagging}, or use 'conformal'",
        )
    elif ensemble.weighting.kind in NOT_SHARES:
        yield place, f"'enbpi' averages members, and {ensemble.weighting.kind!r} does not"


def check_blocks(config: Config, prepared: Prepared) -> None:
    """Refuses, before anything is trained, what the data have no rows for.

    Raises:
        Refused: naming the key and the rows that are missing.
    """
    wanted = config.calibration
    asked = {"recalibrate": wanted.recalibrate, "novelty": wanted.novelty}
    for name, value in asked.items():
        explicit = value is not None and (name == "recalibrate" or value != "auto")
        if explicit and prepared.valid is None:
            raise Refused(
                f"calibration.{name}: {value!r} learns from validation data, and there is no "
                "validation block; set data.split.valid"
            )


def calibrated(config: Config, prepared: Prepared, crowd: Collective) -> Collective:
    """The weighted crowd, recalibrated, with intervals and a novelty reference, as asked."""
    check_blocks(config, prepared)
    crowd = _recalibrated(config, prepared.valid, crowd)
    crowd = _with_intervals(config, prepared, crowd)
    return _with_novelty(config, prepared.valid, crowd)


def _recalibrated(config: Config, block: Any, crowd: Collective) -> Collective:
    wanted = config.calibration
    classes = config.data.task == "classification"
    able = not votes(config) if classes else config.model.likelihood == "normal"
    if wanted.recalibrate is None or (wanted.recalibrate == "auto" and not able):
        return crowd
    with refusing("calibration.recalibrate"):
        return crowd.recalibrate(block, wanted.recalibrate, wanted.recalibrate_by)


def _with_intervals(config: Config, prepared: Prepared, crowd: Collective) -> Collective:
    wanted, block = config.calibration, prepared.calibration
    if config.data.task == "classification" or wanted.method is None:
        return crowd
    if wanted.method == "enbpi":
        with refusing("calibration.method"):
            return crowd.calibrate_out_of_bag(prepared.train, _bags(config, prepared, crowd))
    if block is None:
        return crowd
    if wanted.method == "cqr":
        return crowd.calibrate(block, method="cqr", levels=(*LEVELS, wanted.level))
    return crowd.calibrate(block, score=wanted.score)


def _bags(config: Config, prepared: Prepared, crowd: Collective) -> Any:
    """(members, rows) how often each training row was drawn: a bag follows from its seed."""
    import numpy as np

    from shoal.population.regimes.bagging import bag

    fraction, rows = getattr(config.ensemble.regime, "fraction", 1.0), len(prepared.train)
    return np.stack([bag(seed, rows, fraction) for seed in crowd.seeds])


def _with_novelty(config: Config, block: Any, crowd: Collective) -> Collective:
    wanted = config.calibration.novelty
    if wanted is None or block is None:
        return crowd
    if wanted != "auto":
        with refusing("calibration.novelty"):
            return crowd.with_novelty(block, wanted)
    try:
        return crowd.with_novelty(block, "epistemic")
    except ValueError:  # one member, or parts of a sum: nobody can disagree
        pass
    try:
        return crowd.with_novelty(block, "total")
    except ValueError:  # points: no spread at all
        return crowd
