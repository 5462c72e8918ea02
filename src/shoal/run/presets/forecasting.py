"""Forecasts many steps ahead: changes in place of levels, the calendar, and a search made ready."""

from __future__ import annotations

from shoal.run.presets.preset import Preset

_TEMPLATE = """\
# A forecast of many steps. Train with:  shoal train FILE
# Search for better settings with:       shoal tune FILE
# The report and `shoal tune` set it beside the last value and last season's values.

data:
  path: {path} #| CSV or Parquet, relative to this file
  time: {time} #| the column of times; gaps are welcome
  features: {features} #| what a model sees
  targets: {targets} #| what it predicts; each is a feature too
  series: {series} #| the column that tells several series apart
  window: {window} #| observations a model sees; a season or more
  window_every: 1 #| 4 sees four times as far back for the same cost
  horizon: {horizon} #| steps ahead; a list such as [1, 13, 26] predicts only those
  input_transform: change #| each value as its change from the window's last one
  target_transform: change #| forecasts as changes from the last value: they follow a trend
  calendar: {calendar} #| phases of time as features: year, week, day
  harmonics: 2 #| waves per cycle; 1 is a plain sine
  split: {{valid: 0.15, calibration: 0.15, test: 0.15}} #| in the order of time

model:
  kind: cfc
  units: 32
  backbone_units: 64
  likelihood: normal #| every member says how sure it is
  time_scaling: normalised

training:
  epochs: 60
  batch_size: 64
  learning_rate: 5.0e-3
  optimizer: adamw
  weight_decay: 0.01
  schedule: cosine
  warmup_epochs: 1
  clip_norm: 1.0
  patience: 20 #| epochs without progress before a member stops

ensemble:
  enabled: true
  n_models: 5
  base_seed: 42 #| members use 42, 43, 44, ...
  weighting: {{kind: uniform}}
  save_all_models: false #| false: only the best is exported

calibration:
  method: conformal #| intervals from the calibration block, for each step ahead
  level: 0.9

tune: #| shoal tune FILE; ends with the best as a file for shoal train
  trials: 24
  method: {{kind: asha, min_epochs: 6}}
  space:
    training.learning_rate: {{low: 5.0e-4, high: 2.0e-2, log: true}}
    training.weight_decay: {{low: 0.0, high: 0.1}}
    training.schedule: [constant, cosine]
    data.input_transform: [level, change]
    model.time_scaling: [log, normalised, bounded]
  compare: true #| held-out figures of start and best, as crowds, beside simple methods

export: {{name: {name}, dir: exported_models}}
"""

FORECASTING = Preset(_TEMPLATE)
