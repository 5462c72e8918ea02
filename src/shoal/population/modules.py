"""Training members that are modules of another framework, with its own optimisers.

The regimes, the order of the data, the best epoch, the statuses and the history are those of
`shoal.fit`; only who differentiates is another:

    f_i(batch) → J(f_1 … f_n) of `shoal.equations` → the framework's gradients → its optimisers

Members of unlike structure may stand side by side. JAX is not needed. Without validation samples
the training loss of an epoch is that of the parameters that it began with, and what the last epoch
ends with is asked once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoal.equations import losses
from shoal.equations.outputs import Categorical
from shoal.population.coupling import crowd_loss
from shoal.population.fitted import EpochInfo, Fitted, statuses
from shoal.population.history import COLUMNS, History
from shoal.population.labels import check_labels, holds_labels
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
        ValueError: for arguments that cannot be, class labels that the members do not know or that
            are all the same, and for regimes that train members in turns.
    """
    _check(epochs, batch_size, patience, loss)
    train = as_samples(train, "train")
    valid = None if valid is None else as_samples(valid, "valid")
    rule = resolve(regime)
    plan = _plan(rule, seeds, train, valid)
    if holds_labels(train) and not callable(loss):
        check_labels(train, valid, _logit_shapes(modules, train, len(seeds)))
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
    training.ask_the_last()
    told = statuses(training.seeds, training.ledger, training.history, interrupted=interrupted)
    lost = [one["index"] for one in told if one["status"] == "diverged" and not one["usable"]]
    return Fitted(modules.best(lost), modules.last(), training.history, told, "loop", rule)


def _logit_shapes(modules: Modules, samples: Samples, members: int) -> list[Any]:
    """The shape of every member's logits to one sample; None where it answers no classes."""
    first = Samples(*(None if part is None else modules.put(part[:1]) for part in samples))
    answers = modules.answers(first, range(members))
    return [tuple(a.logits.shape) if isinstance(a, Categorical) else None for a in answers]


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
        validates = self.data[1] is not None
        if not validates:
            self._remember(members)
        own, added = self._train(epoch, members)
        valid_own, crowd = self._validate(members)
        score = self._score(members, valid_own if validates else own, crowd)
        known = np.isfinite(score) & np.isfinite(own)
        finite = self._by_member(members, [self.modules.finite(i) for i in members])
        healthy, before = known & (finite == 1), None if validates else known & (epoch > 0)
        worth = valid_own if validates else own
        rules = self.stopping, self.patience, active
        judge(self.ledger, epoch, score, healthy, *rules, own=worth, known=before)
        if validates:
            self._remember(members)
        self._keep()
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

    def ask_the_last(self) -> None:
        """What they ended with, of those who trained to the end without validation samples."""
        members = np.flatnonzero(self.ledger.active).tolist()
        if self.data[1] is not None or not members:
            return
        epochs = self.history.epochs
        own, _ = self._evaluate(self.data[0], members, self._row_weights)
        score = self._score(members, own, None)
        known = np.isfinite(own) & np.isfinite(score)
        self._remember(members)
        self.ledger.enter(epochs - 1, score, own, known)
        for i in members:
            if not known[i]:
                self.ledger.diverge(i, epochs - 1, f"loss not finite after epoch {epochs}")
        self._keep()

    def _remember(self, members: list[int]) -> None:
        for i in members:
            self.modules.remember(i)

    def _keep(self) -> None:
        """What is remembered of those who were never better."""
        for i in np.flatnonzero(self.ledger.best_epoch > self.best_epoch):
            self.modules.keep(int(i))
        self.best_epoch = self.ledger.best_epoch.copy()

    def _score(self, members: list[int], own: np.ndarray, crowd: float | None) -> np.ndarray:
        """What is to be small: members' own losses, or that of the crowd that is coupled."""
        if self.plan.coupling is None:
            return own
        finite = own[members][np.isfinite(own[members])]
        mean = finite.mean() if len(finite) else np.nan
        return np.full(len(own), mean if crowd is None else crowd)

    def _validate(self, members: list[int]) -> tuple[np.ndarray, float | None]:
        valid = self.data[1]
        if valid is None:
            return self._by_member([], []), None
        return self._evaluate(valid, members, self._ones)

    def _evaluate(
        self, samples: Samples, members: list[int], weigh: Callable
    ) -> tuple[np.ndarray, float]:
        """Members' own mean losses of samples, without dropout, and the crowd's."""
        own, crowd, weight = np.zeros(len(members)), 0.0, np.zeros(len(members))
        order = in_order(samples.count, self.course[1])
        for rows, real in zip(order.rows, order.weights, strict=True):
            rows = rows[real > 0]
            weights = weigh(rows, members)
            batch, counts = self._put(samples, rows), counted(samples, rows, weights)
            answers = self.modules.answers(batch, members)
            weights = [self.modules.put(w) for w in weights]
            told = self.modules.compute(lambda a=answers, b=batch, w=weights: self._losses(a, b, w))
            own, crowd = own + told[0] * counts, crowd + told[1] * counts[0]
            weight = weight + counts
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._by_member(members, own / weight), float(crowd / weight[0])

    def _losses(self, answers: list[Any], batch: Samples, weights: list) -> list[np.ndarray]:
        objective = self.objective
        own = [objective.own(f, batch, w) for f, w in zip(answers, weights, strict=True)]
        told = self.modules.measured(own)
        if self.plan.coupling is None:
            return [np.array(told), np.zeros(())]
        everyone, shares = shared(objective.xp, answers)
        weights = objective.target_weights(batch, weights[0])
        crowd = crowd_loss(objective.xp, objective.loss, everyone, shares, batch.y, weights)
        return [np.array(told), self.modules.measured([crowd])[0]]

    def _put(self, samples: Samples, rows: np.ndarray) -> Samples:
        parts = (None if a is None else self.modules.put(np.asarray(a)[rows]) for a in samples)
        return Samples(*parts)

    def _row_weights(self, rows: np.ndarray, members: list[int]) -> list[np.ndarray]:
        """How much each row of a batch counts, for every member."""
        if self.plan.row_weights is None:
            return self._ones(rows, members)
        return [np.asarray(self.plan.row_weights[i][rows], np.float32) for i in members]

    def _ones(self, rows: np.ndarray, members: list[int]) -> list[np.ndarray]:
        return [np.ones(len(rows), np.float32)] * len(members)

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
