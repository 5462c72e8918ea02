"""Members with common matrices, from YAML."""

from contextlib import chdir

import numpy as np
import pytest

from shoal.bundle import load, save
from shoal.run import load_config
from shoal.run.crowd import collective
from shoal.run.errors import Refused
from shoal.run.members import fit_options, new_population, prepare_data

CONFIG = """\
data:
  path: wave.csv
  time: t
  features: [a]
  targets: [a]
  window: 4
  split: {valid: 0.2, calibration: 0.2}
model: {kind: gru, units: 3, likelihood: normal}
training: {epochs: 2, batch_size: 16, learning_rate: 1.0e-2}
ensemble: {enabled: true, n_models: 3, sharing: {kind: batch_ensemble}}
export: {enabled: false}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharing")
    rows = ["t,a", *(f"{t},{np.sin(t / 3):.4f}" for t in range(90))]
    (folder / "wave.csv").write_text("\n".join(rows) + "\n")
    (folder / "c.yaml").write_text(CONFIG)
    return folder


def test_a_shared_crowd_is_trained_weighed_and_saved(folder):
    config = load_config(folder / "c.yaml")
    with chdir(folder):
        prepared = prepare_data(config)
    people = new_population(config, prepared)
    assert people.groups[0].sharing.kind == "batch_ensemble"
    from shoal.population import fit

    blocks = [prepared.scaling.encode_sequences(b) for b in (prepared.train, prepared.valid)]
    options = fit_options(config, folder, "", force=False) | {"checkpoint": None}
    crowd = collective(config, prepared, fit(people, *blocks, **options))
    again = load(save(crowd, folder / "crowd.shoal"))
    one, other = crowd.predict(prepared.valid), again.predict(prepared.valid)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-5)
    np.testing.assert_allclose(one.std, other.std, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ensemble.regime.kind": "snapshot"}, "one after the other"),
        ({"ensemble.regime.kind": "gradient_boosting", "model.likelihood": "point"}, "remove one"),
        ({"ensemble.regime.kind": "joint"}, "set it to all"),
        ({"training.batch_size": 2}, "leaves members without a row"),
        ({"model.kind": "ltc", "model.implicit_param_constraints": False}, "cannot be clipped"),
        ({"ensemble.sharing.kind": "batchensemble"}, "batch_ensemble"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, changes, told):
    with pytest.raises(Refused, match=told):
        load_config(folder / "c.yaml", changes)


def test_a_regime_that_sees_all_answers_needs_all_rows(folder):
    changes = {"ensemble.regime.kind": "joint", "ensemble.sharing.rows": "all"}
    assert load_config(folder / "c.yaml", changes).ensemble.sharing.rows == "all"
