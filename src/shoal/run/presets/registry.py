"""The presets by name, and the one that is asked for."""

from __future__ import annotations

from pathlib import Path

from shoal.run.errors import Refused, suggestion
from shoal.run.presets.anomaly import ANOMALY
from shoal.run.presets.forecasting import FORECASTING
from shoal.run.presets.preset import Preset
from shoal.run.template import Guess

PRESETS: dict[str, Preset] = {"forecasting": FORECASTING, "anomaly": ANOMALY}


def preset(name: str, guess: Guess | None = None) -> str:
    """The commented configuration of a preset, as text.

    Args:
        name: "forecasting" or "anomaly".
        guess: what the columns of the data are for; of `guess_columns`.

    Raises:
        Refused: there is no such preset, or it does not fit the data.

    >>> preset("anomaly").splitlines()[0]
    '# A detector of anomalies. Train with:  shoal train FILE'
    """
    if name not in PRESETS:
        raise Refused(
            f"--preset {name}: there is no such preset; {suggestion(name, list(PRESETS))}"
        )
    guess = guess or Guess()
    if Path(guess.path).suffix.lower() == ".npz":
        raise Refused(
            f"--preset {name}: is for tables with a column of times, and {guess.path} holds "
            "arrays; give a CSV or Parquet file, or leave --preset out"
        )
    return PRESETS[name].render(guess)
