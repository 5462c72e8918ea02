"""A particle swarm as a sampler of Optuna: hyper-parameters fly through the unit cube.

Numbers are scaled to [0, 1], logarithmic ones by their logarithm; a categorical parameter of k
choices is k numbers, the greatest of which is chosen. What a particle knows is written into its
trials (the system attribute `swarm`) and read from the study's storage for every new one, so that
many workers fly one swarm, a study goes on after it was interrupted, and a worker that dies costs
the trial it was at. The particle that moves next is the one that has moved least; nobody waits for
a whole generation. Trials from elsewhere (enqueued, or before the space was known) all can hear.

The equation is that of `motion.py`; first places are drawn evenly (Latin hypercube).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    from optuna._transform import _SearchSpaceTransform
    from optuna.distributions import BaseDistribution, distribution_to_json
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.search_space import IntersectionSearchSpace
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise ImportError("SwarmSampler needs Optuna: pip install 'shoal[tune]'") from error

from shoal.equations.checks import require_above_zero, require_positive
from shoal.swarm import motion

Space = dict[str, BaseDistribution]

ATTRIBUTE = "swarm"

_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)


class SwarmSampler(BaseSampler):
    """Samples by flying a swarm, one trial after the other; single-objective studies.

    Args:
        n_particles: how many; their first trials are spread evenly over the space.
        inertia, cognitive, social: w, c₁, c₂ of `motion.py`; constriction by default.
        velocity_limit: the most a particle moves at once in one dimension, as a share of its range.
        seed: of all random numbers; with it, the number of a trial decides what is drawn for it.
        independent_sampler: for parameters that not all trials have; random by default.

    Raises:
        ValueError: for sizes that are not positive; in studies of several objectives.

    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> study = optuna.create_study(sampler=SwarmSampler(n_particles=6, seed=0))
    >>> study.optimize(lambda trial: trial.suggest_float("x", -5, 5) ** 2, n_trials=60)
    >>> study.best_value < 0.05
    True
    """

    def __init__(
        self,
        n_particles: int = 10,
        *,
        inertia: float = motion.INERTIA,
        cognitive: float = motion.COGNITIVE,
        social: float = motion.SOCIAL,
        velocity_limit: float = 0.5,
        seed: int | None = None,
        independent_sampler: BaseSampler | None = None,
    ):
        require_positive(n_particles=n_particles)
        require_above_zero(velocity_limit=velocity_limit)
        self._n, self._pulls = n_particles, (inertia, cognitive, social)
        self._limit = velocity_limit
        self._seed = int(np.random.default_rng().integers(2**63)) if seed is None else seed
        self._independent = independent_sampler or RandomSampler(seed=seed)
        self._intersection = IntersectionSearchSpace()

    def reseed_rng(self) -> None:
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        found = self._intersection.calculate(study)
        return {name: kind for name, kind in found.items() if not kind.single()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        self._raise_error_if_multi_objective(study)
        sample = self._independent.sample_independent
        return sample(study, trial, param_name, param_distribution)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Space
    ) -> dict[str, Any]:
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        scale = _SearchSpaceTransform(search_space, transform_0_1=True)
        seen = _Seen(study, trial, search_space, scale, self._n)
        particle = seen.next()
        # the same seed in several workers: a trial's number is its own
        random = np.random.default_rng([self._seed, trial.number])
        x, v = (
            self._first(particle, scale)
            if seen.is_new(particle)
            else self._move(seen, particle, random)
        )
        said = {"particle": particle, "position": x.tolist(), "velocity": v.tolist()}
        said["space"] = seen.space
        study._storage.set_trial_system_attr(trial._trial_id, ATTRIBUTE, said)
        chosen = scale.untransform(x)
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in chosen.items()}

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._independent.after_trial(study, trial, state, values)

    def _first(self, particle: int, scale: _SearchSpaceTransform) -> tuple:
        """A place of a Latin hypercube, which the seed alone decides; half way to another."""
        random, dims = np.random.default_rng([self._seed]), len(scale.bounds)
        rows = np.stack([random.permutation(self._n) for _ in range(dims)], axis=1)
        places = (rows + random.uniform(size=rows.shape)) / self._n
        return places[particle], 0.5 * (random.permutation(places)[particle] - places[particle])

    def _move(self, seen: _Seen, particle: int, random: np.random.Generator) -> tuple:
        x, v = seen.last(particle)
        own, heard = seen.best(particle), seen.best()
        own, heard = (x if place is None else place for place in (own, heard))
        u = (random.uniform(size=x.shape), random.uniform(size=x.shape))
        v = motion.limited(motion.velocity(v, x, own, heard, u, self._pulls), self._limit, np)
        there = x + v
        outside = (there < 0) | (there > 1)
        return np.clip(there, 0, 1), np.where(outside, 0.0, v)


class _Seen:
    """What the study's trials say of the swarm."""

    def __init__(
        self, study: Study, trial: FrozenTrial, search_space: Space, scale, n_particles: int
    ):
        kinds = json.dumps([[k, distribution_to_json(d)] for k, d in search_space.items()])
        self.space = hashlib.sha256(kinds.encode()).hexdigest()[:16]
        trials = study._get_trials(deepcopy=False, states=_STATES)  # what others do now counts
        trials = [t for t in trials if t.number != trial.number]
        self._sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        self._flights: list[list[FrozenTrial]] = [[] for _ in range(n_particles)]
        self._others = []
        for t in trials:
            said = t.system_attrs.get(ATTRIBUTE, {})
            if said.get("space") == self.space and said["particle"] < n_particles:
                self._flights[said["particle"]].append(t)
            elif all(t.distributions.get(k) == d for k, d in search_space.items()):
                self._others.append(t)
        self._scale = scale

    def next(self) -> int:
        """The particle that has moved least."""
        return int(np.argmin([len(flight) for flight in self._flights]))

    def is_new(self, particle: int) -> bool:
        return not self._flights[particle]

    def last(self, particle: int) -> tuple[np.ndarray, np.ndarray]:
        """Where a particle was last sent, and how fast."""
        said = max(self._flights[particle], key=lambda t: t.number).system_attrs[ATTRIBUTE]
        return np.array(said["position"]), np.array(said["velocity"])

    def best(self, particle: int | None = None) -> np.ndarray | None:
        """The best place of one particle, or of all and of trials from elsewhere."""
        if particle is None:
            trials = [t for flight in (*self._flights, self._others) for t in flight]
        else:
            trials = self._flights[particle]
        known = [t for t in trials if t.state == TrialState.COMPLETE and _finite(t)]
        return self._place(min(known, key=lambda t: self._sign * t.values[0])) if known else None

    def _place(self, trial: FrozenTrial) -> np.ndarray:
        """Where a trial was: where it was sent, unless some of its values were fixed by others."""
        said = trial.system_attrs.get(ATTRIBUTE, {})
        if said.get("space") == self.space:
            sent = np.array(said["position"])
            if self._scale.untransform(sent).items() <= trial.params.items():
                return sent
        return self._scale.transform(trial.params)


def _finite(trial: FrozenTrial) -> bool:
    return bool(trial.values) and bool(np.isfinite(trial.values[0]))
