"""What every section of a configuration with one shape builds on, and the smaller sections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Function = Annotated[str, Field(pattern=r"^[^:]+:[A-Za-z_][\w.]*$")]  # module:function
Word = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A mapping with known keys and strict types."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Checkpoint(Section):
    """How often the whole state of training is saved, whichever comes first."""

    every_epochs: Count | None = Field(default=None, description="save after so many epochs")
    every_seconds: Positive | None = Field(
        default=30.0, description="save when so many seconds passed"
    )


class Training(Section):
    """How members are fitted."""

    epochs: Count = Field(default=100, description="passes over the training windows")
    batch_size: Count = Field(default=64, description="windows per step")
    learning_rate: Positive = 1.0e-3
    data_seed: Seed = Field(default=0, description="the order of the data, shared by all members")
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "lion"] = "adam"
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: Whole = 0
    clip_norm: Positive | None = None
    weight_decay: NonNegative = 0.0
    dropout: Rate | None = None
    loss: Function | Literal["mse", "mae", "huber", "normal_nll", "cross_entropy"] | None = None
    patience: Count | None = Field(
        default=None, description="epochs without progress before a stop"
    )
    strategy: Literal["auto", "vmap", "loop"] = "auto"
    devices: Literal["auto"] | Count = Field(default="auto", description="host devices of the CPU")
    checkpoint: Checkpoint = Checkpoint()

    @property
    def criterion(self) -> Any:
        """The loss as `shoal.fit` takes it: a name, None, or the user's own function."""
        from shoal.run.importing import imported

        return imported(self.loss) if self.loss is not None and ":" in self.loss else self.loss


class Calibration(Section):
    """How sure the crowd may be: fitted on validation rows, and on a calibration block."""

    method: Literal["conformal", "cqr", "enbpi"] | None = "conformal"
    score: Literal["auto", "scaled", "absolute"] = "auto"
    level: Share = 0.9
    recalibrate: Literal["auto", "temperature", "variance"] | None = None
    recalibrate_by: Literal["crowd", "member"] = "crowd"
    novelty: Literal["auto", "epistemic", "total", "share", "disagreement"] | None = "auto"


class Export(Section):
    """What is written for deployment, and under which name."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = None
    dir: Word = "exported_models"
    enabled: bool = True
    stablehlo: bool = True
    pickle: bool = False


class Report(Section):
    """The HTML page of a run."""

    enabled: bool = True
    title: Word | None = None
