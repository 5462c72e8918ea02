"""Anomalies: a crowd of liquid networks forecasts each next observation, and what it did not expect
stands out. Read with `shoal predict RUN --data FILE --anomalies`.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.run.presets.preset import Preset
from shoal.run.template import Guess


def _adapt(guess: Guess) -> Guess:
    """Every column is watched, one step ahead."""
    return replace(guess, targets=guess.features, horizon=1)


_TEMPLATE = """\
# A detector of anomalies. Train with:  shoal train FILE
# Then score observations with:         shoal predict {name} --data FILE --anomalies
# Train it on a stretch without anomalies, or with few: it takes what it learns from for normal.

data:
  path: {path} #| CSV or Parquet, relative to this file
  time: {time} #| the column of times; gaps are welcome
  features: {features} #| what a model sees
  targets: {targets} #| what is watched; each gets a score of its own
  series: {series} #| the column that tells several series apart
  window: {window} #| observations a model sees
  horizon: {horizon} #| steps ahead; [1, 12] also finds what sets in slowly
  target_transform: level #| level | change (where the series drifts)
  input_transform: level
  calendar: {calendar} #| phases of time as features: year, week, day
  split: {{valid: 0.15, calibration: 0.2, test: 0.1}} #| thresholds come from `calibration`

model:
  kind: ltc #| liquid time-constant neurons
  units: 16 #| leave it out where a wiring is given
  wiring: null #| e.g. {{kind: auto_ncp, units: 24, outputs: 4}}
  likelihood: normal #| how large an error may be is learned, too
  time_scaling: normalised

training:
  epochs: 60
  batch_size: 32
  learning_rate: 1.0e-2
  optimizer: adamw
  weight_decay: 0.01
  schedule: cosine
  warmup_epochs: 1
  clip_norm: 1.0
  patience: 15

ensemble:
  enabled: true
  n_models: 5
  base_seed: 42
  weighting: {{kind: uniform}}
  save_all_models: false

calibration:
  method: conformal
  score: scaled #| |error| / spread: the anomaly score
  level: 0.99 #| what the report's intervals hold; 99 calibration rows or more
  recalibrate: variance #| spreads made honest on the validation block

export: {{name: {name}, dir: exported_models}}
"""

ANOMALY = Preset(_TEMPLATE, _adapt)
