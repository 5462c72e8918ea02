"""ONNX: a crowd, a member or a neuron as one file that onnxruntime runs, without PyTorch or Shoal.

    export(crowd, "co2.onnx")      x, timespans -> mean, std, members   raw units in and out
    export(model, "member.onnx")   x, timespans -> mean (, std)         encoded x, scaled answers
    export(rnn, "cfc.onnx")        x, timespans -> output

x is (batch, time, features), timespans (batch, time), both float32 whatever the module's type. The
loop over time is an ONNX Scan, so that batch and time are symbolic: any size runs. `length=` makes
the time fixed and the loop unrolled, for runtimes that have no Scan; file and export time then
grow with it. As in StableHLO exports, everything is in single precision and no value is checked.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shoal.bundle.crowd import Crowd
from shoal.bundle.manifest import BundleError
from shoal.equations.combine import moments, softmax
from shoal.equations.outputs import Categorical, Normal
from shoal.torch.mlp import MLP
from shoal.torch.model import SequenceModel
from shoal.torch.recurrent import Recurrent
from shoal.torch.scanned import exportable, scanned
from shoal.unrolled.plans import stack_of
from shoal.unrolled.stack import run_stack
from shoal.weighting import pool_of

ROWS, OBSERVATIONS = 3, 5  # of the example that is traced; what is alike would become one symbol


def export(
    what: Crowd | nn.Module, path: str | Path, *, length: int | None = None, features: int = 0
) -> Path:
    """Writes what is asked as an ONNX file.

    Args:
        what: a crowd of `shoal.torch.load`, a `SequenceModel`, or a neuron such as `CfC`.
        path: the file, which is replaced.
        length: observations of every sequence, for an unrolled loop; None for any number.
        features: columns of x; known but for a crowd of members without a scaling.

    Returns:
        The path.

    Raises:
        ImportError: onnx or onnxscript is missing.
        BundleError: PyTorch cannot export it, or its weighting depends on x.
    """
    path = Path(path)
    program = to_program(what, length=length, features=features)
    program.save(path, external_data=False)
    return path


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without its lines about packages that nothing here needs."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def to_program(what: Crowd | nn.Module, *, length: int | None = None, features: int = 0) -> Any:
    """The `torch.onnx.ONNXProgram` that `export` writes."""
    _require_onnx()
    if length is not None and length < 1:
        raise ValueError(f"`length` must be at least 1, got {length}")
    _check_neurons(what)
    module = _pure(what, scan=length is None)
    example = _example(what, features, OBSERVATIONS if length is None else length)
    sizes: dict[int, Any] = {0: torch.export.Dim("batch")}
    if length is None:
        sizes[1] = torch.export.Dim("time")
    try:
        with _quiet_exporter(), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter's own code
            shapes = {"x": sizes, "timespans": sizes}
            traced = torch.export.export(module, example, dynamic_shapes=shapes, strict=True)
            names = {"input_names": ["x", "timespans"], "output_names": module.names}
            options = {"dynamo": True, "verbose": False, "dynamic_shapes": shapes}
            return torch.onnx.export(traced, **options, **names)
    except Exception as error:  # the exporter may raise anything
        said = str(error).strip().splitlines()[0] if str(error) else repr(error)
        raise BundleError(
            f"PyTorch {torch.__version__} cannot export this to ONNX; with `length` the loop over "
            f"time is unrolled, which older versions can do. It says: {said}"
        ) from error


def _check_neurons(what: Crowd | nn.Module) -> None:
    members = what.members if isinstance(what, Crowd) else [what]
    for index, member in enumerate(members):
        if isinstance(member, MLP):
            raise BundleError(
                f"member {index} is an MLP, and ONNX exports hold neurons; export it as StableHLO "
                "from JAX, or by torch.onnx itself"
            )


def export_bundle(
    bundle: str | Path, folder: str | Path, name: str, *, length: int | None = None
) -> Path:
    """Writes the crowd of a bundle as `NAME.onnx`, whole or not at all.

    Args:
        bundle: the folder of a bundle.
        folder: where to; created where it is missing.
        name: NAME.
        length: as of `export`.

    Raises:
        ImportError, BundleError: as of `export`; a file that was there stays.
    """
    import re

    from shoal.bundle.sets import FileSet, check_name
    from shoal.torch.loading import load

    check_name(name)
    _require_onnx()

    def contents():
        program = to_program(load(bundle), length=length)
        yield f"{name}.onnx", program.model_proto.SerializeToString()

    pattern = re.compile(rf"{re.escape(name)}\.onnx")
    return FileSet(Path(folder), f"{name}+onnx", pattern, ".files.json").replace(contents)[0]


class _Neuron(nn.Module):
    """A neuron alone, over the plain cells of `shoal.unrolled`."""

    names = ("output",)

    def __init__(self, rnn: Recurrent, scan: bool):
        super().__init__()
        arguments = dict(rnn.arguments)
        stack = stack_of(arguments.pop("kind"), arguments)
        self.stack, self.whole = scanned(stack) if scan else stack, rnn.return_sequences
        arrays = {name: array.detach().cpu().float() for name, array in rnn.layout().items()}
        arrays |= {name: torch.as_tensor(array) for name, array in stack.buffers().items()}
        self.places = {name: name.replace(".", "/") for name in arrays}
        for name, array in arrays.items():
            self.register_buffer(self.places[name], array)

    def forward(self, x: Tensor, timespans: Tensor) -> Tensor:
        return self.run(x, timespans, self.whole)

    def run(self, x: Tensor, timespans: Tensor, whole: bool) -> Tensor:
        """All outputs, or the last."""
        params = {name: getattr(self, place) for name, place in self.places.items()}
        state = self.stack.initial_state(x.new_zeros, x.shape[0])
        return run_stack(torch, self.stack, params, whole, x, timespans, None, state)[0]


class _Member(nn.Module):
    """A member alone: encoded values in, scaled answers out."""

    seen: Tensor | None

    def __init__(self, member: SequenceModel, scan: bool):
        super().__init__()
        self.rnn = _Neuron(member.rnn, scan)
        self.head = copy.deepcopy(member.head).cpu().float()
        self.time_scaling = copy.deepcopy(member.time_scaling).cpu().float()
        self.names = _ANSWERS[member.head.likelihood]
        seen = member.feature_mask
        self.register_buffer("seen", None if seen is None else seen.detach().cpu().float())

    def forward(self, x: Tensor, timespans: Tensor):
        answer = self.answer(x, timespans)
        if isinstance(answer, Categorical):
            return softmax(torch, answer.logits)
        return tuple(answer) if isinstance(answer, Normal) else answer

    def answer(self, x: Tensor, timespans: Tensor) -> Any:
        x = x if self.seen is None else x * self.seen
        return self.head(self.rnn.run(x, self.time_scaling(timespans), False))


class _Crowd(nn.Module):
    """Raw values in, what the whole crowd says out."""

    names = ("mean", "std", "members")

    def __init__(self, crowd: Crowd, scan: bool):
        super().__init__()
        self.scaling, self.xp = crowd.scaling, exportable(scan)
        self.recalibration: Any = crowd.recalibration
        self.members = nn.ModuleList([_Member(member, scan) for member in crowd.members])
        self.register_buffer("weights", torch.tensor(_weights(crowd), dtype=torch.float32))

    def forward(self, x: Tensor, timespans: Tensor):
        encoded = x if self.scaling is None else self.scaling.encode(self.xp, x, timespans)
        answers = [member.answer(encoded, timespans) for member in self.members]  # pyright: ignore
        if self.scaling is not None:
            answers = [self.scaling.decode(self.xp, answer, x) for answer in answers]
        said = _stacked(answers)
        if self.recalibration is not None:
            said = self.recalibration.apply(torch, said)
        if isinstance(said, Categorical):
            members = softmax(torch, said.logits)
            found = moments(self.weights, members)
            return found.mean, found.epistemic.sqrt(), members
        members, stds = said if isinstance(said, Normal) else (said, None)
        found = moments(self.weights, members, stds)
        return found.mean, found.total.sqrt(), members


def _stacked(answers: list) -> Any:
    if isinstance(answers[0], Normal | Categorical):
        return type(answers[0])(*map(torch.stack, zip(*answers, strict=True)))
    return torch.stack(answers)


_ANSWERS = {"point": ("mean",), "normal": ("mean", "std"), "categorical": ("probabilities",)}


def _pure(what: Crowd | nn.Module, scan: bool) -> Any:
    if isinstance(what, Crowd):
        return _Crowd(what, scan).eval()
    if isinstance(what, Recurrent):
        return _Neuron(what, scan).eval()
    if isinstance(what, SequenceModel):
        return _Member(what, scan).eval()
    raise TypeError(
        f"{type(what).__name__} is no crowd, SequenceModel or neuron of shoal.torch; a module of "
        "your own goes through torch.onnx.export, with sequences of a fixed length"
    )


def _example(what: Any, features: int, length: int) -> tuple[Tensor, Tensor]:
    if isinstance(what, Crowd):
        features = features if what.scaling is None else len(what.scaling.names)
        features = features or what.members[0].rnn.input_size
    else:
        features = (what if isinstance(what, Recurrent) else what.rnn).input_size
    make = partial(torch.ones, dtype=torch.float32)  # whatever the default is
    return make(ROWS, length, features), make(ROWS, length)


def _weights(crowd: Crowd) -> np.ndarray:
    pool = pool_of(crowd.weighting).kind
    if pool != "mixture":
        raise BundleError(
            f"the weighting {crowd.weighting.kind!r} pools its members by {pool!r}, ONNX exports "
            "hold mixtures; export members alone"
        )
    try:
        weights = np.asarray(crowd.weighting.weights(crowd.n_models))
    except Exception as error:
        raise BundleError(_DEPENDS.format(crowd.weighting.kind)) from error
    if weights.shape != (crowd.n_models,):
        raise BundleError(_DEPENDS.format(crowd.weighting.kind))
    return weights


_DEPENDS = "the weighting {!r} depends on x, which ONNX exports do not hold; export members alone"


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the export needs onnx and onnxscript: pip install 'shoal[onnx]'"
        ) from error
