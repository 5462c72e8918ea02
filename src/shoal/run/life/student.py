"""The student: one member that is taught to say what the crowd says, and how sure the crowd is.

It is trained by the one loop of `shoal.fit` on targets that are the crowd's own answers: mean and
total spread of a normal distribution, or the probabilities of classes. The loss is the expected
surprise of `shoal.equations.distillation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from shoal.equations import scalers
from shoal.equations.distillation import class_lesson, normal_lesson
from shoal.equations.outputs import LEAST_STD, Categorical, Normal
from shoal.population import Population, fit
from shoal.run.errors import Fruitless, refusing
from shoal.run.progress import Progress
from shoal.run.sections import Training

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences
    from shoal.population import Fitted


class Pupil(eqx.Module):
    """A normal member that answers one array, means and then stds on the last axis."""

    member: Any

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        said = self.member(x, timespans, mask=mask, key=key)
        return jnp.concatenate([said.mean, said.std], axis=-1)


def lessons(crowd: Collective, block: Sequences) -> Sequences:
    """The encoded sequences, with the crowd's answers in the place of the truth.

    y is (n, ..., 2·targets), scaled means and then scaled spreads, or (n, classes) probabilities.
    """
    said = crowd.predict(block)
    encoded = replace(crowd.scaling.encode_sequences(block), y_mask=None)
    if isinstance(said.outputs, Categorical):
        return replace(encoded, y=said.probabilities.astype(np.float32))
    mean = crowd.scaling.encode_targets(np, said.mean, block.x, block.mask)
    std = said.std / scalers.constant(np, crowd.scaling.target_std, said.std)
    y = np.concatenate([mean, np.maximum(std, LEAST_STD)], axis=-1)
    return replace(encoded, y=y.astype(np.float32))


def normal_loss(prediction: Any, y: Any, y_mask: Any) -> Any:
    """H of a `Pupil`'s answer, once for the mean's place and once for the spread's."""
    half = y.shape[-1] // 2
    said = Normal(prediction[..., :half], prediction[..., half:])
    values = normal_lesson(jnp, said, y[..., :half], y[..., half:])
    return jnp.concatenate([values, values], axis=-1)


def class_loss(prediction: Any, y: Any, y_mask: Any) -> Any:
    """H of a student of classes."""
    return class_lesson(jnp, prediction, y)


def teach(
    make: Callable[[Any], Any],
    crowd: Collective,
    blocks: Mapping[str, Sequences],
    training: Training,
    seed: int,
    progress: Progress,
) -> tuple[Population, Fitted]:
    """The taught student, as a population of one, and what its training left.

    Args:
        make: `make(key) -> member`, which answers normals or classes.
        blocks: "train" is taught, "valid" decides when to stop.

    Raises:
        Fruitless: it has no finite loss.
    """
    classes = crowd.schema.task == "classification"
    with refusing("seed"):
        fresh = Population.init(make if classes else lambda key: Pupil(make(key)), 1, seed)
    try:
        fitted = fit(
            fresh,
            lessons(crowd, blocks["train"]),
            lessons(crowd, blocks["valid"]),
            **training.model_dump(exclude={"devices", "checkpoint", "loss"}),
            loss=class_loss if classes else normal_loss,
            stopping=None,
            on_epoch=progress.epoch,
        )
    finally:
        progress.close()
    if not fitted.usable:
        raise Fruitless(
            f"training: the student has no finite loss ({fitted.status[0]['reason']}); lower "
            "training.learning_rate or set training.clip_norm. Nothing was written"
        )
    taught = fitted.population.member(0)
    return Population.of([taught if classes else taught.member], [seed]), fitted
