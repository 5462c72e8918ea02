"""A trial that is given up goes on as another one, whoever dies in between.

    running  →  failed, as lost  →  another one waits, which knows the lost one's number

The first step succeeds for one worker only, whatever the storage: a finished trial cannot be
changed. The second is one operation as well. Who dies between the two leaves an orphan, which
anybody may replace; of two that do, `counting.py` counts one.
"""

from __future__ import annotations

from collections.abc import Iterable

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from shoal.tune.counting import ENDED, FACTS, KNOWN, LOST, OWNER, RETRY

_OF_ONE = (FACTS, KNOWN, OWNER, ENDED)  # attributes that no other trial inherits


def claim(trial: Trial, worker: str) -> bool:
    """Says who trains a running trial; False where somebody gave it up before."""
    try:
        trial.set_user_attr(OWNER, worker)
    except UpdateFinishedTrialError:
        return False
    return True


def recover(study: Study, trials: Iterable[FrozenTrial]) -> list[int]:
    """Gives up trials whose worker is gone, and writes their points down to be trained again.

    Returns:
        The numbers of those that nobody else gave up, or finished, before.
    """
    gone = [t for t in trials if t.state == TrialState.RUNNING and end(study, t, LOST)]
    for trial in gone:
        replace(study, trial)
    return [trial.number for trial in gone]


def end(study: Study, trial: FrozenTrial | Trial, why: str) -> bool:
    """Fails a running trial without being told of it; False where it was finished before."""
    storage, own = study._storage, trial._trial_id
    try:
        storage.set_trial_user_attr(own, ENDED, why)
        return storage.set_trial_state_values(own, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False


def replace(study: Study, trial: FrozenTrial) -> None:
    """Writes a lost trial's point down again."""
    kept = {name: value for name, value in trial.user_attrs.items() if name not in _OF_ONE}
    point = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    study.enqueue_trial(point, user_attrs={**kept, RETRY: trial.number})
