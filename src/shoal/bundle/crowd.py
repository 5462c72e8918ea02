"""A crowd of a bundle's members as modules of another framework: asked like a `Collective`.

    y = Σ_i w_i(x, Δt) · f_i(x, Δt)

Encoding, the way back and the weighting are NumPy in double precision, the very code of
`shoal.Collective`; only the members run in the framework, `shoal.torch` or `shoal.mlx`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shoal.bundle.contents import Member, read_around, read_members
from shoal.bundle.manifest import read_manifest
from shoal.data.asking import Inputs, checked, decoded, encoded, refuse_nan
from shoal.data.scaling import Scaling
from shoal.data.schema import Schema
from shoal.equations.conformal import Calibration
from shoal.equations.conformal_quantile import QuantileCalibrations
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.equations.recalibration import Recalibration, recalibrated
from shoal.score.novelty import Novelty
from shoal.weighting import Weighting, combined

ROWS, OBSERVATIONS = 4096, 2**17  # of one batch, at most

# (module, x, timespans or None, mask or None) -> an array, Normal or Categorical of NumPy arrays
Ask = Callable[[Any, np.ndarray, np.ndarray | None, np.ndarray | None], Any]


@dataclass(frozen=True)
class Crowd:
    """Many members, one answer; of `shoal.torch.load` and `shoal.mlx.load`.

    Attributes:
        members: the modules, a list; each can be trained on, saved and used like any other.
        seeds: one per member.
        weighting: how much each counts.
        scaling, schema, calibration, recalibration, novelty: as of `shoal.Collective`; None where
            the bundle has none.
        descriptions: JSON that says what each member is.
        ask: how a member is asked.
        dtype: what floats the members are given.
    """

    members: list[Any]
    seeds: tuple[int, ...]
    weighting: Weighting
    scaling: Scaling | None
    schema: Schema | None
    calibration: Calibration | QuantileCalibrations | None
    descriptions: tuple[dict[str, Any], ...]
    ask: Ask
    dtype: Any = np.float32
    recalibration: Recalibration | None = None
    novelty: Novelty | None = None

    @property
    def n_models(self) -> int:
        return len(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def predict(self, x: Any, timespans: Any = None, mask: Any = None) -> Prediction:
        """What the members say, and what it comes to.

        Args:
            x: (batch, time, features), or an object with `x`, `timespans` and `mask`. With a
                scaling: raw, NaN where missing.
            timespans: (batch, time), the time elapsed before each observation; 1 by default.
            mask: (batch, time), False in the padding.

        Returns:
            A `Prediction` of NumPy arrays with `.mean .std .aleatoric .epistemic .members
            .probabilities` and `.interval(level)`, in the targets' units.

        Raises:
            ValueError: inputs do not fit, or a member answers NaN: it is refused by number, never
                averaged in.
        """
        asked = checked(x, timespans, mask, gaps=self.scaling is not None)
        inputs = encoded(asked, self.scaling, self.dtype)
        answers = [_in_batches(self.ask, member, inputs) for member in self.members]
        outputs = decoded(_stacked(answers), self.scaling, asked)
        refuse_nan(outputs, self.seeds)
        said = combined(self.weighting, outputs, asked, self.calibration)
        return recalibrated(said, self.recalibration)

    def select(self, indices: Sequence[int]) -> Crowd:
        """The crowd of some members.

        Recalibration, calibration and novelty are dropped: they were the whole crowd's.

        Raises:
            ValueError: no member is named.
        """
        places = [range(self.n_models)[int(i)] for i in indices]
        if not places:
            raise ValueError("`indices` must name at least one member, got none")
        return replace(
            self,
            members=[self.members[i] for i in places],
            seeds=tuple(self.seeds[i] for i in places),
            descriptions=tuple(self.descriptions[i] for i in places),
            weighting=self.weighting.select(places),
            calibration=None,
            recalibration=None,
            novelty=None,
        )


def read_crowd(
    path: str | Path, build: Callable[[Member], Any], ask: Ask, dtype: Any = np.float32
) -> Crowd:
    """The crowd of the bundle in folder `path`; `build(member)` makes a module.

    Raises:
        BundleError: a file is missing or damaged, the version unknown, or a member cannot be built
            outside JAX: it is named, with the reason.
    """
    manifest = read_manifest(path)
    around = read_around(path, manifest)
    members = read_members(path, manifest)
    return Crowd(
        [build(member) for member in members],
        around.seeds,
        around.weighting,
        around.scaling,
        around.schema,
        around.calibration,
        tuple(member.description for member in members),
        ask,
        dtype,
        around.recalibration,
        around.novelty,
    )


def _in_batches(ask: Ask, member: Any, inputs: Inputs) -> Any:
    parts = [ask(member, *part) for part in _batches(inputs)]
    return _each(lambda *arrays: np.concatenate(arrays).astype(np.float64), *parts)


def _batches(inputs: Inputs) -> Iterator[Inputs]:
    time = inputs.x.shape[1] if inputs.x.ndim > 2 else 1
    size = min(ROWS, max(1, OBSERVATIONS // max(time, 1)))
    for start in range(0, len(inputs.x), size):
        rows = slice(start, start + size)
        yield Inputs(*(None if part is None else part[rows] for part in inputs))  # pyright: ignore


def _stacked(answers: Sequence[Any]) -> Any:
    kinds = [(type(answer).__name__, _each(np.shape, answer)) for answer in answers]
    for index, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                f"members must answer alike: member 0 gives {kinds[0]}, member {index} {kind}"
            )
    return _each(lambda *arrays: np.stack(arrays), *answers)


def _each(function: Callable, *answers: Any) -> Any:
    """The function of arrays over answers that may be a `Normal` or a `Categorical` of them."""
    if isinstance(answers[0], Normal | Categorical):
        return type(answers[0])(*(function(*parts) for parts in zip(*answers, strict=True)))
    return function(*answers)
