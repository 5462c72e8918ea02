"""Any of Optuna's pruners as a stopping rule inside the one training.

After every epoch each trial's loss, the mean over its members, is reported to the study, and the
study's pruner is asked whether the trial goes on, as an objective of one's own would do it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from shoal.population.stopping import ACTIVE, EARLY, Ledger
from shoal.tune.halving import trial_scores


@dataclass(frozen=True)
class Pruning:
    """The rule.

    Args:
        trials: of the study that has the pruner, one for each candidate.
        owner: the candidate of each member; None where every member is one.
        rungs: none, since a pruner is asked after every epoch.
    """

    trials: tuple[Trial, ...]
    owner: tuple[int, ...] | None = None
    rungs: tuple[int, ...] = ()

    def part(self, places: Iterable[int]) -> Pruning:
        """The rule for some of the candidates."""
        return replace(self, trials=tuple(self.trials[place] for place in places))

    def ends(self, ledger: Ledger, epoch: int) -> Iterable[tuple[int, str]]:
        """The members of the trials that the pruner ends."""
        owner = np.arange(len(ledger.code)) if self.owner is None else np.array(self.owner)
        running = np.isin(ledger.code, (ACTIVE, EARLY))
        scores = trial_scores(ledger.last_loss, owner)
        late = set()
        for number, trial in enumerate(self.trials):
            if running[owner == number].all() and ledger.active[owner == number].any():
                trial.report(float(scores[number]), epoch + 1)
                if trial.should_prune():
                    late.add(number)
        own = [int(m) for m in np.flatnonzero(ledger.active) if int(owner[m]) in late]
        return [(member, f"pruned after {epoch + 1} epochs") for member in own]


def running(study: Study) -> list[FrozenTrial]:
    """Trials that are begun and not told, by number."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def begun(study: Study, before: Collection[int]) -> Pruning | None:
    """The rule for the trials that are running and were not before; None where nothing prunes."""
    if len(study.directions) > 1:
        return None  # Optuna has no pruners for several objectives
    asked = (trial for trial in running(study) if trial.number not in before)
    return Pruning(tuple(Trial(study, trial._trial_id) for trial in asked))
