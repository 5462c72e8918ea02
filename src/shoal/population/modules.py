"""Training members that are modules of another framework, with its own optimisers.

The regimes, the order of the data, the best epoch, the statuses and the history are those of
`shoal.fit`; only who differentiates is another:

    f_i(batch) → J(f_1 … f_n) of `shoal.equations` → the framework's gradients → its optimisers

Members of unlike structure may stand side by side. JAX is not needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoal.equations import losses
from shoal.population.coupling import crowd_loss
from shoal.population.fitted import EpochInfo, Fitted, statuses
from shoal.population.history import COLUMNS, History
from shoal.population.modules_protocol import Modules
from shoal.population.objective_of_modules import Objective, counted, shared
from shoal.population.regimes.plan import Plan
from shoal.population.regimes.registry import resolve
from shoal.population.samples import Samples, as_samples, in_order, shuffled
from shoal.population.stopping import NAMES, Ledger, Stopping, judge


def train_modules(
    modules: Modules,
    train: Any,
    valid: Any,
    *,
    seeds: Sequence[int],
    regime: Any,
    loss: Any,
    epochs: int,
    batch_size: int,
    data_seed: int,
    patience: int | None,
    stopping: Stopping | None,
    on_epoch: Callable[[EpochInfo], Any] | None,
    should_stop: Callable[[], bool] | None,
) -> Fitted:
    """Trains the members; arguments as of `shoal.fit`.

    Raises:
        ValueError: for arguments that cannot be, and for regimes that train members in turns.
    """
    _check(epochs, batch_size, patience, loss)
    train = as_samples(train, "train")
    valid = None if valid is None else as_samples(valid, "valid")
    rule = resolve(regime)
    plan = _plan(rule, seeds, train, valid)
    training = _Training(
        modules=modules,
        data=(train, valid),
        plan=plan,
        objective=Objective(modules.xp, modules.stop, loss, plan.coupling),
        seeds=tuple(seeds),
        course=(epochs, batch_size, data_seed),
        stopping=stopping if plan.coupling is None else None,
        patience=patience,
        ledger=Ledger.start(len(seeds)),
        history=History(tuple(seeds)),
    )
    interrupted = training.run(on_epoch, should_stop)
    told = statuses(training.seeds, training.ledger, training.history, interrupted=interrupted)
    return Fitted(modules.best(), modules.last(), training.history, told, "loop", rule)


def _check(epochs: int, batch_size: int, patience: int | None, loss: Any) -> None:
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}")
    if isinstance(loss, str) and loss not in losses.ELEMENTWISE:
        known = ", ".join(losses.ELEMENTWISE)
        raise ValueError(f"`loss` must be one of {known}, or a function, got {loss!r}")


def _plan(rule: Any, seeds: Sequence[int], train: Samples, valid: Samples | None) -> Plan:
    plan = rule.plan(len(seeds), tuple(seeds), train, valid)
    known = {"coupling", "row_weights"}
    asked = {name for name, value in vars(plan).items() if value is not None} - known
    if asked:
        raise ValueError(
            f"regime {rule.kind!r} asks for {', '.join(sorted(asked))}, which is for members in "
            "JAX: use `shoal.fit`; here there are independent, joint, negative_correlation, "
            "correlation, and bagging with all features"
        )
    return plan


@dataclass
class _Training:
    """Everything that changes while members train."""

    modules: Modules
    data: tuple[Samples, Samples | None]
    plan: Plan
    objective: Objective
    seeds: tuple[int, ...]
    course: tuple[int, int, int]  # epochs, batch size, the seed of the order
    stopping: Stopping | None
    patience: int | None
    ledger: Ledger
    history: History
    best_epoch: np.ndarray = field(init=False)

    def __post_init__(self):
        self.best_epoch = np.full(len(self.seeds), -1)

    def run(self, on_epoch: Callable | None, should_stop: Callable | None) -> bool:
        """The loop over epochs. Returns whether it was interrupted."""
        began = time.monotonic()
        for epoch in range(self.course[0]):
            if not self.ledger.active.any():
                break
            info = self.epoch(epoch, began)
            if on_epoch is not None:
                on_epoch(info)
            last = epoch + 1 == self.course[0] or not self.ledger.active.any()
            if not last and should_stop is not None and should_stop():
                return True
        return False

    def epoch(self, epoch: int, began: float) -> EpochInfo:
        """Trains the active members for one epoch and judges them."""
        start, active = time.monotonic(), self.ledger.active
        members = np.flatnonzero(active).tolist()
        rates = self._by_member(members, [self.modules.rate(i) for i in members])
        own, added = self._train(epoch, members)
        valid_own, crowd = self._evaluate(members)
        if self.plan.coupling is None:
            score = own if crowd is None else valid_own
        else:
            score = np.full(len(own), np.nanmean(own[members]) if crowd is None else crowd)
        finite = self._by_member(members, [self.modules.finite(i) for i in members])
        healthy = np.isfinite(score) & np.isfinite(own) & (finite == 1)
        judge(self.ledger, epoch, score, healthy, self.stopping, self.patience, active)
        for i in np.flatnonzero(self.ledger.best_epoch > self.best_epoch):
            self.modules.keep(int(i))
        self.best_epoch = self.ledger.best_epoch.copy()
        told = {"train_loss": own, "valid_loss": valid_own, "diversity": added}
        return self._told(epoch, start, began, active, rates, told)

    def _train(self, epoch: int, members: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Members' own mean losses over the batches, and what the coupling added for each."""
        train = self.data[0]
        _, batch_size, data_seed = self.course
        order = shuffled(train.count, batch_size, data_seed, epoch)
        own, added, weight = np.zeros(len(members)), np.zeros(()), np.zeros(len(members))
        for number, (rows, real) in enumerate(zip(order.rows, order.weights, strict=True)):
            rows = rows[real > 0]
            weights = self._row_weights(rows, members)
            batch, counts = self._put(train, rows), counted(train, rows, weights)
            weights = [self.modules.put(w) for w in weights]
            seeds = [(self.seeds[i], epoch, number) for i in members]

            def objective(answers, batch=batch, weights=weights):
                return self.objective(answers, batch, weights)

            told, extra = self.modules.step(objective, batch, members, seeds)
            own, added = own + told * counts, added + extra * counts[0]
            weight = weight + counts
        added = np.broadcast_to(added / weight[0], len(members))
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._by_member(members, own / weight), self._by_member(members, added)

    def _evaluate(self, members: list[int]) -> tuple[np.ndarray, float | None]:
        """Members' own mean losses of the validation samples, and the crowd's."""
        valid = self.data[1]
        if valid is None:
            return self._by_member([], []), None
        own, crowd, weight = np.zeros(len(members)), 0.0, 0.0
        order = in_order(valid.count, self.course[1])
        for rows, real in zip(order.rows, order.weights, strict=True):
            rows = rows[real > 0]
            ones = np.ones(len(rows), np.float32)
            batch, count = self._put(valid, rows), counted(valid, rows, [ones])[0]
            answers = self.modules.answers(batch, members)
            weights = self.modules.put(ones)
            told = self.modules.compute(lambda a=answers, b=batch, w=weights: self._losses(a, b, w))
            own, crowd, weight = own + told[0] * count, crowd + told[1] * count, weight + count
        return self._by_member(members, own / weight), float(crowd / weight)

    def _losses(self, answers: list[Any], batch: Samples, ones: Any) -> list[np.ndarray]:
        objective = self.objective
        own = [objective.own(f, batch, ones) for f in answers]
        told = self.modules.measured(own)
        if self.plan.coupling is None:
            return [np.array(told), np.zeros(())]
        everyone, shares = shared(objective.xp, answers)
        weights = objective.target_weights(batch, ones)
        crowd = crowd_loss(objective.xp, objective.loss, everyone, shares, batch.y, weights)
        return [np.array(told), self.modules.measured([crowd])[0]]

    def _put(self, samples: Samples, rows: np.ndarray) -> Samples:
        parts = (None if a is None else self.modules.put(np.asarray(a)[rows]) for a in samples)
        return Samples(*parts)

    def _row_weights(self, rows: np.ndarray, members: list[int]) -> list[np.ndarray]:
        """How much each row of a batch counts, for every member."""
        if self.plan.row_weights is None:
            return [np.ones(len(rows), np.float32)] * len(members)
        return [np.asarray(self.plan.row_weights[i][rows], np.float32) for i in members]

    def _by_member(self, members: list[int], values: Any) -> np.ndarray:
        every = np.full(len(self.seeds), np.nan)
        every[members] = values
        return every

    def _told(self, epoch, start, began, active, rates, told) -> EpochInfo:
        now = time.monotonic()
        unknown = dict.fromkeys(COLUMNS, np.zeros(len(self.seeds)))
        known = told | {"learning_rate": rates, "code": self.ledger.code, "worked": active}
        self.history.add(now - start, **(unknown | known))
        return EpochInfo(
            epoch=epoch,
            epochs=self.course[0],
            train_loss=told["train_loss"],
            valid_loss=told["valid_loss"],
            best_loss=self.ledger.best_loss.copy(),
            active=active,
            status=[NAMES[code] for code in self.ledger.code],
            seconds=now - start,
            elapsed=now - began,
        )
