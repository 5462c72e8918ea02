"""What became of a trial, into the study, unless somebody else gave the trial up meanwhile."""

from __future__ import annotations

from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from shoal.tune.counting import FACTS
from shoal.tune.results import COMPLETE, PRUNED, Result


def tell(study: Study, trial: Trial, result: Result) -> FrozenTrial | None:
    """What became of a trial, into the study; None where somebody else gave it up before."""
    try:
        return _told(study, trial, result)
    except UpdateFinishedTrialError:
        return None
    except ValueError:  # the study's word for the same, where it looked before it wrote
        if study._storage.get_trial(trial._trial_id).state.is_finished():
            return None
        raise


def _told(study: Study, trial: Trial, result: Result) -> FrozenTrial:
    trial.set_user_attr(FACTS, facts(result))
    if len(study.directions) == 1:
        known = study._storage.get_trial(trial._trial_id).intermediate_values  # a pruner's
        for epoch in sorted(result.curve.keys() - known.keys()):
            trial.report(result.curve[epoch], epoch)
    if result.state == COMPLETE:
        return study.tell(trial, result.values)
    pruned = result.state == PRUNED
    return study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


def facts(result: Result) -> dict[str, Any]:
    """What a study keeps of a result besides its values, as JSON."""
    return {
        "reason": result.reason,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": round(result.seconds, 3),
        "losses": list(result.losses),
        "curve": {str(epoch): value for epoch, value in result.curve.items()},
    }
