"""`ensemble.members`: a crowd of several kinds and configurations, MLPs among them, from YAML."""

import numpy as np
import pytest
import yaml

import shoal
from shoal.bundle.arrays import named_leaves
from shoal.bundle.stablehlo import exported_member
from shoal.run import Refused, load_config, train
from shoal.run.checking import check
from shoal.run.members import make, prepare_data
from shoal.run.model_section import MLP
from shoal.run.overrides import override
from shoal.run.progress import Silent
from shoal.run.reading import parse

BASE = """\
data: {path: a.csv, time: t, features: [x], targets: [x], window: 8}
model: {kind: cfc, units: 4, backbone_units: 8, likelihood: normal, num_layers: 3}
ensemble:
  enabled: true
  members:
    - {}
    - {units: 2, backbone_units: 5}
    - {kind: gru}
    - {kind: mlp, units: 6}
"""


class Listens(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said += text.splitlines()


def problems(text, overrides=()):
    with pytest.raises(Refused) as caught:
        check(override(parse(text, "c.yaml"), overrides))
    return caught.value.problems


def test_entries_say_what_differs_from_the_model():
    same, narrow, gru, mlp = check(parse(BASE)).models
    assert same == check(parse(BASE)).model
    assert (narrow.units, narrow.backbone_units, narrow.num_layers) == (2, 5, 3)
    assert (gru.kind, gru.units, gru.num_layers, gru.likelihood) == ("gru", 4, 3, "normal")
    assert mlp == MLP(kind="mlp", units=6, num_layers=3, likelihood="normal")


def test_a_resolved_configuration_means_the_same():
    config = check(parse(BASE))
    again = check(parse(yaml.safe_dump(config.to_dict())))
    assert again == config
    assert again.models == config.models


def test_another_kind_takes_over_what_kinds_share_alone():
    text = BASE.replace("kind: cfc, units: 4, backbone_units: 8", "kind: ltc, solver: rk4")
    text = text.replace("units: 2, backbone_units: 5", "kind: ctrnn")  # whose `solver` is another
    assert check(parse(text)).models[1].solver == "exponential"
    wired = BASE.replace("backbone_units: 5", "wiring: {kind: auto_ncp, units: 8, outputs: 2}")
    wired = wired.replace("- {units: 2, ", "- {")
    assert check(parse(wired)).models[1].wiring.units == 8  # without the dense one's width


def test_without_members_all_are_the_model():
    config = check(override(parse(BASE), ["ensemble.members=null"]))
    assert config.models == [config.model]
    assert check(override(parse(BASE), ["ensemble.enabled=false"])).models == [config.model]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{kind: gruu}", "members[4].kind: there is no 'gruu'; did you mean `gru`?"),
        ("{unit: 3}", "members[4].unit: unknown key; did you mean `units`?"),
        ("{kind: gru, mode: pure}", "members[4].mode: unknown key; it belongs to kind `cfc`"),
        ("{kind: mlp, proj_size: 2}", "members[4].proj_size: unknown key; it belongs to kind"),
        ("{units: 0}", "members[4].units: must be at least 1, found 0"),
        ("cfc", "members[4]: must be a section of keys, found 'cfc'"),
        ("{likelihood: point}", "members must answer alike, and model.likelihood is 'normal'"),
        ("{kind: gru, time_scaling: zscore}", "members[4].time_scaling: 'zscore' gives elapsed"),
    ],
)
def test_impossible_entries_are_refused_with_their_place(entry, message):
    (found,) = problems(BASE + f"    - {entry}\n")
    assert found.startswith("c.yaml:10: ensemble.members[4]")
    assert message in found


def test_time_scalings_and_dropout_leave_members_alike():
    changes = {
        "ensemble.members": [{}, {"time_scaling": "log"}, {"dropout": 0.1}],
        "ensemble.regime.kind": "joint",
    }
    models = check(override(parse(BASE), changes)).models
    assert [one.time_scaling for one in models] == ["normalised", "log", "normalised"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ensemble.members=[]", "ensemble.members: must have at least 1 entry"),
        ("ensemble.n_models=3", "lists 4 and only 3 are trained; raise ensemble.n_models"),
        ("ensemble.regime.kind=snapshot", "'snapshot' makes every member from the one before"),
        ("ensemble.regime.kind=joint", "'joint' ties members of one structure together"),
        ("ensemble.sharing.kind=tabm", "members that share matrices ('tabm') are of one structure"),
        ("data.min_window=3", "members[3].kind: 'mlp' reads windows of one length"),
    ],
)
def test_what_unlike_members_cannot_do_is_refused(setting, message):
    (found,) = problems(BASE, [setting])
    assert message in found


def test_a_crowd_of_several_kinds_trains_and_is_saved(workspace):
    """Members take the entries in turn; the MLP is exported with the time that it reads."""
    changes = {
        "model": {"kind": "gru", "units": 2, "likelihood": "normal"},
        "ensemble.members": [{}, {"kind": "mlp", "units": 3, "num_layers": 1}],
        "ensemble.n_models": 3,
        "ensemble.weighting": {"kind": "greedy"},
        "ensemble.save_all_models": True,
        "training.epochs": 1,
    }
    progress = Listens()
    run = train("c.yaml", changes, progress=progress)
    assert any("members of kind 'mlp' do not see" in line for line in progress.said)
    crowd = shoal.load(run.bundle)
    kinds = [type(crowd.population.member(i)).__name__ for i in range(3)]
    assert kinds == ["SequenceModel", "MLP", "SequenceModel"]
    assert crowd.seeds == (42, 43, 44)

    prepared = prepare_data(load_config("c.yaml", changes))
    test = prepared.test
    found = crowd.predict(test)
    assert np.isfinite(found.mean).all()
    assert (workspace / "exported_models/wave_ensemble_1.mlir").is_file()
    member = crowd.population.member(1)
    module = exported_member(member, crowd.scaling, len(crowd.scaling.names))
    params = {path: np.asarray(leaf) for path, leaf in named_leaves(member).items()}
    said = module.call(params, test.x.astype(np.float32), test.timespans.astype(np.float32))
    np.testing.assert_allclose(said["mean"], found.members[1], rtol=1e-4, atol=1e-5)
    assert module.in_avals[-1].shape[1] == 8  # the time that it reads; of a neuron any


def test_sequences_of_different_lengths_are_refused_before_training(workspace):
    lines = ["name,t,a,y"]
    for name, count in (("p", 5), ("q", 6), ("r", 5), ("s", 7), ("u", 5), ("v", 5)):
        lines += [f"{name},{i},{i * 0.5},{len(lines)}" for i in range(count)]
    (workspace / "in/whole.csv").write_text("\n".join(lines) + "\n")
    text = """\
data:
  path: in/whole.csv
  time: t
  series: name
  features: [a]
  targets: [y]
  task: regression
  split: {valid: 0.2}
model: {kind: mlp}
"""
    (workspace / "m.yaml").write_text(text)
    with pytest.raises(Refused, match="model: 'mlp' reads a fixed number of values"):
        train("m.yaml")
    assert not list((workspace / "runs").glob("*")) if (workspace / "runs").exists() else True


def test_an_mlp_s_options_are_its_arguments():
    import inspect

    from shoal.neurons.mlp import MLP as Module

    taken = inspect.signature(Module).parameters
    ours = {"kind", "likelihood"}
    left_out = {"input_size", "output_shape", "dtype", "feature_mask", "key", "likelihood"}
    assert set(MLP.model_fields) - ours == set(taken) - left_out
    for name in ("activation", "dropout", "initializer", "likelihood"):
        assert MLP.model_fields[name].default == taken[name].default, name


def test_a_student_may_be_an_mlp_of_the_window(finished):
    from shoal.run.life.distilling import description_of
    from shoal.run.life.existing import existing

    old = existing(finished[1])
    kind, described = description_of(old, {"model.kind": "mlp", "model.units": 3})
    assert kind == "mlp"
    assert described["input_size"] == old.scaling.encoded_size * 8
    assert described["likelihood"] == "normal"


def test_mlps_can_be_searched_over(workspace):
    from shoal.tune.jobs import candidate

    config = load_config(
        "c.yaml", {"model": {"kind": "mlp", "units": 3}, "ensemble.enabled": False}
    )
    made = candidate(config)
    assert made.time_scaling is None
    member = made.make(0)
    assert member(np.ones((2, 8, member.layers[0]["weight"].shape[-1] // 8))).shape == (2, 2, 1)
    assert make(config, prepare_data(config))(0).head.shape == (2, 1)
