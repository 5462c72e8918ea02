"""Training a population: what is asked for, and what it leaves; the loop is in `loop.py`.

Everything that a member's training depends on is its seed, the data, their order (`data_seed` and
the epoch's number) and its own settings, so that a member trained in a crowd is the member trained
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from shoal.population import optimiser
from shoal.population.checkpoint import Checkpoint
from shoal.population.fitted import EpochInfo, Fitted, statuses, with_out_of_bag
from shoal.population.history import History
from shoal.population.labels import check_labels, holds_labels
from shoal.population.lessons import Course, Teacher
from shoal.population.loop import Training
from shoal.population.members import Population
from shoal.population.objective import Loss, check_loss, logit_shapes
from shoal.population.out_of_bag import out_of_bag
from shoal.population.regimes.registry import resolve
from shoal.population.resume import fingerprint
from shoal.population.samples import as_samples, data_hash
from shoal.population.shared_training import sharings, training_group
from shoal.population.stages import Progress, answers_of
from shoal.population.stopping import Ledger, Rule, Stopping
from shoal.population.strategy import choose
from shoal.population.subset import shown
from shoal.population.training_group import assembled, check_coupled, device_mesh


def fit(
    population: Population,
    train: Any,
    valid: Any = None,
    *,
    epochs: int = 100,
    batch_size: int = 64,
    learning_rate: Any = 1e-3,
    weight_decay: Any = 0.0,
    dropout: Any = None,
    optimizer: str | optax.GradientTransformation = "adam",
    schedule: str = "constant",
    warmup_epochs: float = 0,
    clip_norm: float | None = None,
    loss: Loss = None,
    data_seed: int = 0,
    patience: int | None = None,
    stopping: Rule | None = Stopping(),  # noqa: B008 (frozen)
    strategy: str = "auto",
    regime: Any = "independent",
    checkpoint: Checkpoint | str | Path | None = None,
    on_epoch: Callable[[EpochInfo], Any] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Fitted:
    """Trains every member of a population, all in one program per structure.

    Args:
        population: the members; left as it is.
        train: samples: (x, y), (x, timespans, y), or anything with x, timespans, mask, y and
            y_mask, such as `shoal.data.Sequences`; already encoded.
        valid: samples for choosing each member's best epoch and for stopping. Without them the
            training loss serves: parameters are judged by the epoch that begins with them, the
            last ones by a pass over `train` in which no step is taken.
        epochs, batch_size: passes over `train`; every sample counts once in each, also those of
            the last batch.
        learning_rate, weight_decay, dropout: a number or one per member, (n_models,). Weight decay
            is decoupled. `dropout=None` leaves the members' own rates.
        optimizer: "adam", "adamw" (the same: decay is always decoupled), "sgd", "rmsprop",
            "lion", or an Optax direction (see `shoal.population.optimiser`).
        schedule: "constant" or "cosine"; after `warmup_epochs` of linear warm-up.
        clip_norm: bound of the global norm of each member's gradient.
        loss: a name or a function (see `shoal.population.objective`); by default it follows from
            the kind of prediction.
        data_seed: the order of the data, shared by all members.
        patience: epochs without a better loss after which a member stops.
        stopping: the rule across the ensemble (`Stopping`, or another with its method `ends`), None
            for none.
        strategy: "vmap", "loop", or "auto" (see `shoal.population.strategy`).
        regime: how members are trained with regard to one another: a regime of
            `shoal.population.regimes`, its name, or a dict with its `kind`. Those that couple
            members train them side by side, and none is stopped for being behind.
        checkpoint: where to save, or a `Checkpoint`.
        on_epoch: called with an `EpochInfo` after every epoch.
        should_stop: asked after every epoch; True ends the training, saved and "interrupted".

    Raises:
        ValueError: for arguments that cannot be, class labels that the members do not know or that
            are all the same, and for a checkpoint of another training.
    """
    check_loss(loss)
    if patience is not None and patience < 1:
        raise ValueError(f"`patience` must be at least 1, or None for never, got {patience}")
    course = Course(epochs, batch_size, data_seed, schedule, warmup_epochs)
    train = as_samples(train, "train")
    valid = None if valid is None else as_samples(valid, "valid")
    if holds_labels(train) and not callable(loss):  # a function may mean anything by them
        check_labels(train, valid, logit_shapes(population, train, batch_size))
    settings = {
        "seed": np.array(population.seeds, np.uint32),
        "learning_rate": optimiser.per_member(learning_rate, len(population), "learning_rate"),
        "weight_decay": optimiser.per_member(weight_decay, len(population), "weight_decay"),
    }
    chosen, mesh = choose(strategy, train.x), device_mesh()
    direction = optimiser.direction(optimizer, clip_norm)
    rule = resolve(regime)
    plan = rule.plan(len(population), population.seeds, train, valid)
    if plan.coupling is not None:
        check_coupled(rule.kind, population, loss)
        chosen, stopping = "vmap", None
    groups = [
        training_group(group, settings, plan.loss or loss, direction, chosen, mesh, plan)
        for group in shown(_with_dropout(population, dropout), plan.features)
    ]
    answers = answers_of(groups, population, train, valid)
    training = Training(
        groups,
        Teacher.prepare(course, train, valid, mesh),
        Ledger.start(len(population)),
        History(population.seeds),
        settings["learning_rate"],
        stopping if plan.stages is None else None,
        patience,
        Progress(plan.stages, len(population), answers),
    )
    if checkpoint is not None:
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = Checkpoint(checkpoint)
        program = {
            **asdict(course),
            "epochs": epochs if schedule != "constant" else "any",
            "optimizer": _name(optimizer),
            "clip_norm": clip_norm,
            "loss": _name(loss),
            "patience": patience,
            "stopping": repr(stopping),
            "strategy": chosen,
            "regime": repr(rule),
            **sharings(population),
            "data": checkpoint.data_hash or data_hash(train, valid),
        }
        training.open_record(checkpoint, fingerprint(program, settings, groups))
    interrupted = training.run(on_epoch, should_stop)
    status = statuses(population.seeds, training.ledger, training.history, interrupted=interrupted)
    unseen = None
    if plan.row_weights is not None and not interrupted:
        usable = [one["index"] for one in status if one["usable"]]
        unseen = out_of_bag(loss, answers, train, plan.row_weights, usable)
    lost = [one["index"] for one in status if one["status"] == "diverged" and not one["usable"]]
    return Fitted(
        population=assembled(population, groups, "best", lost),
        last=assembled(population, groups, "params"),
        history=training.history,
        status=status if unseen is None else with_out_of_bag(status, unseen.members),
        strategy=chosen,
        regime=rule,
        weighting=None if plan.stages is None else training.progress.finish(interrupted),
        out_of_bag=unseen,
    )


def _name(choice: Any) -> str | None:
    """What a fingerprint can say of a name or a function."""
    if choice is None or isinstance(choice, str):
        return choice
    return getattr(choice, "__qualname__", type(choice).__qualname__)


def _with_dropout(population: Population, dropout: Any) -> tuple[Any, ...]:
    if dropout is None:
        return population.groups
    rates = optimiser.per_member(dropout, population.n_models, "dropout")
    if (rates >= 1).any():
        raise ValueError(f"`dropout` must lie in [0, 1), got {dropout}")
    return tuple(g.with_dropout(jnp.asarray(rates[list(g.indices)])) for g in population.groups)
