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
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shoal.bundle.crowd import Crowd
from shoal.bundle.manifest import BundleError
from shoal.equations.combine import moments, softmax
from shoal.equations.outputs import Categorical, Normal
from shoal.torch.recurrent import Recurrent
from shoal.torch.scanned import scanned

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


def to_program(what: Crowd | nn.Module, *, length: int | None = None, features: int = 0) -> Any:
    """The `torch.onnx.ONNXProgram` that `export` writes."""
    _require_onnx()
    if length is not None and length < 1:
        raise ValueError(f"`length` must be at least 1, got {length}")
    module = _pure(what)
    if length is None:
        _scan_over_time(module)
    example = _example(what, features, OBSERVATIONS if length is None else length)
    sizes: dict[int, Any] = {0: torch.export.Dim("batch")}
    if length is None:
        sizes[1] = torch.export.Dim("time")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter's own code
            return torch.onnx.export(
                module,
                example,
                dynamo=True,
                verbose=False,
                input_names=["x", "timespans"],
                output_names=module.names,
                dynamic_shapes={"x": sizes, "timespans": sizes},
            )
    except Exception as error:  # the exporter may raise anything
        said = str(error).strip().splitlines()[0] if str(error) else repr(error)
        raise BundleError(
            f"PyTorch {torch.__version__} cannot export this to ONNX; with `length` the loop over "
            f"time is unrolled, which older versions can do. It says: {said}"
        ) from error


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


class _Crowd(nn.Module):
    """Raw values in, what the whole crowd says out."""

    names = ("mean", "std", "members")

    def __init__(self, crowd: Crowd):
        super().__init__()
        self.scaling = crowd.scaling
        self.members = nn.ModuleList([_single(member) for member in crowd.members])
        self.register_buffer("weights", torch.tensor(_weights(crowd), dtype=torch.float32))

    def forward(self, x: Tensor, timespans: Tensor):
        encoded = x if self.scaling is None else self.scaling.encode(torch, x, timespans)
        answers = [self._decoded(member(encoded, timespans), x) for member in self.members]
        if isinstance(answers[0], Categorical):
            members = torch.stack([softmax(torch, answer.logits) for answer in answers])
            found = moments(self.weights, members)
            return found.mean, found.epistemic.sqrt(), members
        stds = None
        if isinstance(answers[0], Normal):
            stds = torch.stack([answer.std for answer in answers])
            answers = [answer.mean for answer in answers]
        members = torch.stack(answers)
        found = moments(self.weights, members, stds)
        return found.mean, found.total.sqrt(), members

    def _decoded(self, answer: Any, x: Tensor) -> Any:
        return answer if self.scaling is None else self.scaling.decode(torch, answer, x)


class _Member(nn.Module):
    """A member alone: encoded values in, scaled answers out."""

    def __init__(self, member: Any):
        super().__init__()
        self.member = _single(member)
        self.names = ("mean", "std") if member.head.likelihood == "normal" else ("mean",)
        self.names = ("probabilities",) if member.head.likelihood == "categorical" else self.names

    def forward(self, x: Tensor, timespans: Tensor):
        answer = self.member(x, timespans)
        if isinstance(answer, Categorical):
            return softmax(torch, answer.logits)
        return tuple(answer) if isinstance(answer, Normal) else answer


class _Neuron(nn.Module):
    """A neuron alone."""

    names = ("output",)

    def __init__(self, rnn: Recurrent):
        super().__init__()
        self.rnn = _single(rnn)
        self.rnn.batch_first = True

    def forward(self, x: Tensor, timespans: Tensor):
        return self.rnn(x, timespans=timespans)[0]


def _pure(what: Crowd | nn.Module) -> Any:
    if isinstance(what, Crowd):
        return _Crowd(what).eval()
    kind = _Neuron if isinstance(what, Recurrent) else _Member
    if kind is _Member and not hasattr(what, "head"):
        raise TypeError(
            f"{type(what).__name__} is no crowd, SequenceModel or neuron of shoal.torch; a module "
            "of your own goes through torch.onnx.export, its sequences of a fixed length"
        )
    return kind(what).eval()  # pyright: ignore


def _single(module: Any) -> Any:
    """A copy in single precision on the CPU; the module itself stays as it is."""
    return copy.deepcopy(module).cpu().float()


def _scan_over_time(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, Recurrent):
            part.plan = scanned(part.plan)


def _example(what: Any, features: int, length: int) -> tuple[Tensor, Tensor]:
    if isinstance(what, Crowd):
        features = features if what.scaling is None else len(what.scaling.names)
        features = features or what.members[0].rnn.input_size
    else:
        features = (what if isinstance(what, Recurrent) else what.rnn).input_size
    return torch.ones(ROWS, length, features), torch.ones(ROWS, length)


def _weights(crowd: Crowd) -> np.ndarray:
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
