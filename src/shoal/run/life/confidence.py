"""How sure a crowd may be after it changed: whatever the old crowd had, fitted anew.

validation rows     recalibration of what members say; the reference of the novelty score
calibration rows    conformal intervals; they are used for nothing else
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shoal.run.errors import refusing
from shoal.run.life.existing import Existing

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences


def renewed(
    old: Collective, crowd: Collective, blocks: Mapping[str, Sequences]
) -> tuple[Collective, list[str]]:
    """The crowd with recalibration, intervals and novelty as the old one had them; what was lost.

    Raises:
        Refused: the rows cannot serve.
    """
    crowd = replace(crowd, recalibration=None, calibration=None, novelty=None)
    notes: list[str] = []
    if old.recalibration is not None:
        by = "member" if len(old.recalibration.values) > 1 else "crowd"
        with refusing("recalibration"):  # of the kind that fits what they answer, as the old one
            crowd = crowd.recalibrate(blocks["valid"], "auto", by)
    if old.calibration is not None:
        crowd, notes = calibrated(old, crowd, blocks["calibration"])
    if old.novelty is not None:
        crowd, lost = _with_novelty(old, crowd, blocks["valid"])
        notes = [*notes, *lost]
    return crowd, notes


def _with_novelty(
    old: Collective, crowd: Collective, block: Sequences
) -> tuple[Collective, list[str]]:
    """By the old one's measure, or by the total spread where nobody is left to disagree."""
    assert old.novelty is not None
    found = ""
    for measure in (old.novelty.measure, "total"):
        try:
            return crowd.with_novelty(block, measure), []
        except ValueError as error:
            found = f"the novelty score is gone: {error}"
    return crowd, [found]


def calibrated(
    old: Collective, crowd: Collective, block: Sequences
) -> tuple[Collective, list[str]]:
    """The crowd with intervals by the old one's method, and a sentence where that cannot be."""
    given: Any = old.calibration
    if given.method == "cqr":
        with refusing("calibration"):
            return crowd.calibrate(block, method="cqr", levels=given.levels), []
    try:
        crowd = crowd.calibrate(block, score=given.score)
    except ValueError:  # scores were scaled by a spread that these members do not have
        crowd = crowd.calibrate(block)
    if given.method == "enbpi":
        note = "intervals are of the calibration block now, no longer of rows left out of bags"
        return crowd, [note]
    return crowd, []


def too_few(old: Existing, crowd: Collective) -> list[str]:
    """A sentence where the new calibration block is too small for the intervals that are shown."""
    from shoal.equations.conformal import rows_needed

    level, found = (old.config.get("calibration") or {}).get("level", 0.9), crowd.calibration
    if found is None or int(found.counts.min()) >= rows_needed(level):
        return []
    return [
        f"{level:.4g} intervals are infinite: the calibration block has {found.counts.min()} rows, "
        f"they need {rows_needed(level)}; give more data, or raise data.split.calibration"
    ]
