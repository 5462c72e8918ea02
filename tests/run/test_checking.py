"""What a configuration may hold, and how what it may not is refused."""

import pytest

from shoal.run.checking import check
from shoal.run.errors import Refused
from shoal.run.overrides import override
from shoal.run.paths import all_paths
from shoal.run.reading import parse

GOOD = """\
data: {path: a.csv, time: t, features: [x], targets: [x], window: 8}
model: {kind: cfc}
"""

CROWD = "{enabled: true, n_models: 3"


def messages(text, overrides=()):
    with pytest.raises(Refused) as caught:
        check(override(parse(text, "c.yaml"), overrides))
    return caught.value.problems


def test_the_ensemble_defaults_are_the_documented_ones():
    ensemble = check(parse(GOOD)).ensemble
    assert list(ensemble.model_dump())[:4] == [
        "enabled",
        "n_models",
        "base_seed",
        "save_all_models",
    ]
    assert (ensemble.enabled, ensemble.n_models, ensemble.base_seed) == (False, 5, 42)
    assert ensemble.save_all_models is False


def test_one_model_takes_the_top_level_seed():
    config = check(parse(GOOD + "seed: 7\n"))
    assert (config.n_members, config.base_seed) == (1, 7)
    config = check(override(parse(GOOD), ["ensemble.enabled=true"]))
    assert (config.n_members, config.base_seed) == (5, 42)


def test_resolved_configuration_is_a_configuration():
    config = check(parse(GOOD))
    again = check(
        parse(
            str(config.to_dict())
            .replace("None", "null")
            .replace("True", "true")
            .replace("False", "false")
        )
    )
    assert again == config


def test_several_problems_at_once_in_the_order_of_lines():
    found = messages("sed: 1\n" + GOOD + "training: {epocs: 5, batch_size: 0}\n")
    assert found == (
        "c.yaml:1: sed: unknown key; did you mean `seed`?",
        "c.yaml:4: training.epocs: unknown key; did you mean `epochs`?",
        "c.yaml:4: training.batch_size: must be at least 1, found 0; raise it",
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epochs=five", "training.epochs: must be a whole number, found 'five'"),
        ("training.epochs=1e2", "found 100.0; write `100`"),
        ("training.epochs=true", "must be a whole number, found true"),
        ("training.learning_rate=.inf", "must be a finite number"),
        ("training.learning_rate=0", "must be above 0, found 0"),
        ("training.dropout=1.0", "must be below 1, found 1.0"),
        ("training.optimizer=adm", "did you mean `adam`?"),
        ("training.devices=all", "must be 'auto' or a whole number, found 'all'"),
        ("training.loss=cross_entropy", "does not fit task 'forecast'"),
        ("training.loss=normal_nll", "does not fit model.likelihood 'point'"),
        ("training.warmup_epochs=100", "must be below training.epochs = 100"),
        ("ensemble.enabled=yes", "must be true or false, found 'yes'; write `true`"),
        ("ensemble.weighting={kind: unifrm}", "there is no 'unifrm'; did you mean `uniform`?"),
        ("ensemble.weighting={}", "ensemble.weighting.kind: is required; choose from uniform"),
        (f"ensemble={CROWD}, weighting: {{kind: fixed, weights: [1, 2]}}}}", "one per member (3)"),
        (
            f"ensemble={CROWD}, weighting: {{kind: fixed, weights: [0, 0, 0]}}}}",
            "one must be above 0",
        ),
        ("model.kind=cfs", "there is no 'cfs'; did you mean `cfc`?"),
        ("model.ode_unfolds=3", "it belongs to kind `ltc`"),
        ("model.units=3.5", "model.units: must be a whole number, found 3.5"),
        ("model.wiring={kind: auto_ncp, units: 8}", "model.wiring.outputs: is required"),
        ("model.wiring={kind: auto_ncp, units: 8, outputs: 7}", "must be at most 5"),
        ("data.features=x", "data.features: must be a list, found 'x'; write `[x]`"),
        ("data.features=[]", "must have at least 1 entry"),
        ("data.features=[x, x]", "data.features[1]: `x` is listed twice"),
        ("data.features=[t]", "`t` is the column of times"),
        ("data.features=[1]", "data.features[0]: must be a text, found 1; put it in quotes"),
        ("data.time=null", "a forecast needs the column of times"),
        ("data.window=null", "a forecast needs the observations per window"),
        ("data.split={valid: 0.5, test: 0.5}", "must leave rows to train on"),
        ("data.split.valid=-0.1", "data.split.valid: must be at least 0"),
        ("data.task=forcast", "did you mean `forecast`?"),
        ("calibration.level=90", "calibration.level: must be below 1"),
        ("export.name=a/b", "must be made of letters"),
        ("seed=-1", "seed: must be at least 0"),
        ("training.epoch=5", "did you mean `training.epochs`?"),
        ("learning_rate=5", "did you mean `training.learning_rate`?"),
        ("zzz=5", "there is no `zzz`"),
        ("seed", "must be path=value"),
        ("seed=[1", "is no YAML value"),
    ],
)
def test_values_are_refused_where_they_were_set(setting, message):
    found = messages(GOOD, [setting])
    assert any(message in line for line in found), found
    assert any(f"--set {setting}" in line for line in found), found


def test_missing_sections_and_twins():
    assert messages("seed: 1\n")[0].startswith("c.yaml: data: is required; add `data:`")
    found = messages(GOOD.replace("path", "pth"))
    assert "c.yaml:1: data.path: is required; rename `pth` to `path`" in found
    found = messages(GOOD.replace("targets", "target"))
    assert "c.yaml:1: data.target: unknown key; did you mean `targets`?" in found
    found = messages(GOOD.replace("targets: [x], ", ""))
    assert found[0].startswith("c.yaml:1: data.targets: is required; add `targets: [COLUMN, ...]`")


def test_key_of_another_section_is_sent_there():
    assert "it belongs to `training.epochs`" in messages(GOOD + "ensemble: {epochs: 3}\n")[0]


def test_overrides_reach_sections_that_the_file_lacks():
    config = check(override(parse(GOOD), ["ensemble.stopping.sigma=3", "training.patience=null"]))
    assert config.ensemble.stopping.sigma == 3.0
    assert config.training.patience is None


def test_a_time_format_needs_no_quotes_of_its_own():
    config = check(override(parse(GOOD), ["data.time_format=%d.%m.%Y"]))
    assert config.data.time_format == "%d.%m.%Y"


def test_nobody_is_told_to_feed_an_answer_to_a_regression():
    whole = ["data.task=regression", "data.series=s", "data.targets=[y]", "data.window=null"]
    found = messages(GOOD, [*whole, "data.target_transform=change"])
    assert len(found) == 1
    assert "'change' is for forecasts; use 'level'" in found[0]
    found = messages(GOOD, ["data.targets=[y]", "data.target_transform=change"])
    assert "add it, or set `target_transform: level`" in found[0]


def test_overrides_as_a_mapping():
    assert check(override(parse(GOOD), {"training.epochs": 5})).training.epochs == 5


def test_every_path_is_known():
    paths = {".".join(map(str, path)) for path in all_paths()}
    assert {"seed", "model.backbone_units", "model.wiring.sparsity_level"} <= paths
    assert {"ensemble.stopping.sigma", "training.checkpoint.every_seconds"} <= paths
