"""A crowd brought up to date: what changes, what does not, and what is refused."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import shoal
from shoal.bundle import BundleError, saving
from shoal.data.blocks import blocks_for_training
from shoal.neurons.model import build_model
from shoal.run import update
from shoal.run.errors import Fruitless, Refused
from shoal.run.life.existing import existing
from shoal.run.life.members import losses_of
from shoal.run.life.newcomers import newcomers, next_seed
from shoal.run.life.roster import Roster
from shoal.score import evaluate

SPLIT = {"valid": 0.2, "calibration": 0.2, "test": 0.2}
SHORT = {"training.epochs": 2}


def contents(folder):
    """Every file of a folder, byte for byte."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def leaves(member):
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(member)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


@pytest.fixture(scope="module")
def done(home, tmp_path_factory):
    """One update with everything in it: the worst goes, one joins, the others train on."""
    bundle = shutil.copytree(home.bundle(), tmp_path_factory.mktemp("u") / "bundle")
    before, new = contents(bundle), home.data["forecast"]
    said = []
    progress = SimpleNamespace(say=said.append, epoch=lambda info: None, close=lambda: None)
    found = update(bundle, new, add=1, replace="worst", retrain="0,1,2", progress=progress)
    blocks = blocks_for_training(new, shoal.load(bundle).schema, SPLIT)
    return SimpleNamespace(
        bundle=bundle, untouched=contents(bundle) == before, found=found, said=said, blocks=blocks
    )


def test_the_old_bundle_is_untouched_and_the_new_one_whole(done):
    assert done.untouched
    assert done.found.path == done.bundle.with_name("bundle-2")
    crowd, test = shoal.load(done.found.path), done.blocks["test"]
    assert_array_equal(crowd.predict(test).mean, done.found.crowd.predict(test).mean)
    assert crowd.scaling == shoal.load(done.bundle).scaling


def test_members_are_who_they_are_said_to_be(done):
    old, new = shoal.load(done.bundle), done.found.crowd
    statuses = [one["status"] for one in done.found.members]
    worst = next(i for i, status in enumerate(statuses) if status.startswith("new for"))
    losses = losses_of(old.population, old.scaling, done.blocks["valid"], None)
    assert worst == losses.argmax()
    assert statuses[3:] == ["new"]
    assert sorted(set(new.seeds) - set(old.seeds)) == [45, 46]
    for place in range(3):
        kept = statuses[place] == "kept"
        assert same(old.population.member(place), new.population.member(place)) == kept
    assert next_seed(existing(done.found.path)) == 47


def test_losses_and_weights_are_of_the_new_validation_block(done):
    crowd, valid = done.found.crowd, done.blocks["valid"]
    losses = losses_of(crowd.population, crowd.scaling, valid, None)
    assert_allclose(losses, [one["best_loss"] for one in done.found.members], rtol=1e-5)
    expected = np.exp(-(losses - losses.min()))
    assert_allclose(crowd.predict(valid).weights, expected / expected.sum(), rtol=1e-4)
    retrained = [one for one in done.found.members if one["status"] == "retrained"]
    assert retrained
    assert all(one["best_loss"] < one["before"] for one in retrained)


def test_intervals_are_of_rows_that_nothing_else_saw(done):
    crowd, block = done.found.crowd, done.blocks["calibration"]
    alone = replace(crowd, calibration=None).calibrate(block)
    assert_allclose(crowd.calibration.scores, alone.calibration.scores)
    assert block.target_times.min() > done.blocks["valid"].target_times.max()
    assert block.target_times.max() < done.blocks["test"].target_times.min()


def test_before_and_after_are_the_scores_on_the_held_out_block(done):
    test = done.blocks["test"]
    for crowd, figures in ((shoal.load(done.bundle), done.found.before), (None, done.found.after)):
        said = (crowd or done.found.crowd).predict(test)
        expected = evaluate(said, test.y, test.y_mask)["overall"]["rmse"]
        assert figures["overall"]["rmse"] == pytest.approx(expected)
    table = next(text for text in done.said if "held-out" in text)
    assert "before" in table
    assert "after" in table


def test_the_bundle_says_what_was_done(done):
    facts = existing(done.found.path).facts
    (entry,) = facts["updates"]
    assert entry["data"]["sequences"] == {name: len(b) for name, b in done.blocks.items()}
    assert len(entry["data"]["sha256"]) == 64
    assert entry["from"]["manifest_sha256"] == existing(done.bundle).digest
    assert {one["index"] for one in entry["changed"]} == {
        one["index"] for one in done.found.members if one["status"] != "kept"
    }
    assert facts["best_model_index"] == int(np.argmin(facts["validation_losses"]))


def test_again_and_again_the_history_grows(done, home):
    found = update(done.found.path, home.data["forecast"])  # nobody trains: weights, intervals
    try:
        assert found.path.name == "bundle-3"
        entries = existing(found.path).facts["updates"]
        assert [len(entry["changed"]) > 0 for entry in entries] == [True, False]
        pairs = zip(found.crowd.population, done.found.crowd.population, strict=True)
        assert all(same(one, other) for one, other in pairs)
    finally:
        shutil.rmtree(found.path)


class Killed(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize("in_place", [False, True])
def test_killed_at_any_write_the_old_bundle_stands(bundle, home, monkeypatch, in_place):
    old, real, step = contents(bundle), saving.files.write, [0, 0]

    def write(path, data):
        step[0] += 1
        if step[0] == step[1]:
            path.write_bytes(data[: len(data) // 2])  # cut short
            raise Killed
        return real(path, data)

    monkeypatch.setattr(saving.files, "write", write)
    killed = 0
    while True:
        step[:] = [0, step[1] + 1]
        try:
            found = update(bundle, home.data["forecast"], in_place=in_place)
            break
        except Killed:
            killed += 1
            now = contents(bundle)
            assert all(now[name] == data for name, data in old.items())
            assert shoal.load(bundle).seeds == (42, 43, 44)
            assert not bundle.with_name("bundle-2").exists()
    assert killed == len(old)  # each of its files
    assert len(existing(found.path).facts["updates"]) == 1
    assert sorted(contents(found.path)) == sorted(contents(bundle))


def test_in_place_is_refused_when_somebody_else_was_there_first(bundle, home):
    def say(text):
        manifest = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(json.dumps({**manifest, "info": {"by": "other"}}))

    progress = SimpleNamespace(say=say, epoch=lambda info: None, close=lambda: None)
    with pytest.raises(Refused, match="was changed by somebody meanwhile"):
        update(bundle, home.data["forecast"], in_place=True, progress=progress)
    assert existing(bundle).facts == {"by": "other"}


def test_a_newcomer_that_diverges_is_left_out_and_named(bundle, home):
    old = shoal.load(bundle)
    described = shoal.bundle.registry.describe(old.population.member(0))[1]

    def make(key):
        import jax
        import jax.numpy as jnp

        member = build_model(described, key)
        seed = jax.random.key_data(key)[-1]
        bad = jnp.where(seed >= 45, jnp.nan, 1.0)
        return jax.tree.map(lambda a: a * bad if a.dtype == jnp.float32 else a, member)

    known = {"overrides": SHORT, "make": make, "retrain": "0"}
    found = update(bundle, home.data["forecast"], replace="1", **known)
    assert "the new member with seed 45 for the place of 1 diverged" in " ".join(found.notes)
    assert found.crowd.seeds == (42, 43, 44)
    with pytest.raises(Fruitless, match="Nothing was written"):
        update(bundle, home.data["forecast"], add=2, **{**known, "retrain": None})
    assert not bundle.with_name("bundle-3").exists()


def test_who_gets_no_better_stays_as_it_was(bundle, home):
    wild = {"training.epochs": 1, "training.learning_rate": 5.0, "training.patience": None}
    found = update(bundle, home.data["forecast"], retrain=True, overrides=wild)
    old = shoal.load(bundle)
    assert len(found.notes) == 3
    assert all("got no better" in note for note in found.notes)
    for place in range(3):
        assert same(found.crowd.population.member(place), old.population.member(place))


def test_unlike_members_are_joined_by_their_likes_in_turn(bundle):
    old = shoal.load(bundle)
    described = shoal.bundle.registry.describe(old.population.member(0))[1]
    wide = build_model({**described, "units": 9}, 1)
    crowd = shoal.Collective.of([old.population.member(0), wide], scaling=old.scaling)
    path = shoal.save(replace(crowd, schema=old.schema), bundle.with_name("unlike"))
    found = newcomers(existing(path), Roster(2, added=3, replaced=(1,)))
    assert [member.rnn.state_size for member in found.members] == [9, 6, 9, 6]
    assert found.seeds == [2, 3, 4, 5]


def refuse(message, bundle, data, **asked):
    with pytest.raises(Refused, match=message):
        update(bundle, data, **asked)
    assert not bundle.with_name("bundle-2").exists()


def test_requests_that_cannot_be(bundle, home):
    data = home.data["forecast"]
    refuse("add: must be a whole number from 1, found 0", bundle, data, add=0)
    refuse("replace: there is no member '9'; name worst, or of 0, 1, 2", bundle, data, replace=9)
    refuse("leave out --output", bundle, data, in_place=True, output="x")
    refuse("exists already; write over it with --in-place", bundle, data, output=bundle)
    refuse("exists already; name another", bundle, data, output=home.folder)
    refuse("is the bundle of a run", home.bundle(), data, in_place=True)
    late = {"data.split.test_from": 1100.0}
    refuse("need a valid block, .*; set data.split.valid_from too", bundle, data, overrides=late)
    refuse("was decided when the crowd was made", bundle, data, overrides=["model.units=9"])
    refuse("did you mean `training.epochs`", bundle, data, overrides=["training.epocs=9"])
    refuse("training.epochs: must be at least 1", bundle, data, overrides=["training.epochs=0"])
    refuse("need a valid block", bundle, data, overrides={"data.split.valid": 0.0})
    refuse("has no config.yaml", bundle.parent, data)
    hard = {"ensemble.weighting": {"kind": "hard_vote"}}
    refuse("weighting .hard_vote.: members answer real", bundle, data, add=1, overrides=hard)
    with pytest.raises(Refused, match=r"seed: .*2\*\*32"):
        update(bundle, data, add=1, seed=2**32)


def test_data_that_do_not_fit(bundle, home, tmp_path):
    rows = home.data["forecast"].read_text().splitlines()
    path = tmp_path / "bad.csv"

    def written(lines):
        path.write_text("\n".join(lines) + "\n")
        return path

    refuse(
        "bad.csv: `features` names 'b', which is no column",
        bundle,
        written([row.rsplit(",", 1)[0] for row in rows]),
    )
    refuse("bad.csv: too few rows: a window of 6", bundle, written(rows[:6]))
    refuse("bad.csv: `split` leaves no window .*; give more rows", bundle, written(rows[:12]))
    refuse("there is no such file", bundle, tmp_path / "nowhere.csv")


def saved(crowd, path, **parts):
    shoal.save(replace(crowd, calibration=None, novelty=None, **parts), path)
    return path


def test_weights_that_were_written_down_bind_the_members(bundle, home, tmp_path):
    crowd, data = shoal.load(bundle), home.data["forecast"]
    fixed = saved(crowd, tmp_path / "f", weighting={"kind": "fixed", "weights": [1, 2, 1]})
    with pytest.raises(Refused, match="written down for the members that there are"):
        update(fixed, data, add=1)
    found = update(fixed, data, retrain="1", overrides=SHORT)
    assert_allclose(found.crowd.weighting.weights(3), [0.25, 0.5, 0.25])
    rest = {"kind": "pooled", "weights": [1.0, 0.5, 0.5], "pool": "median"}
    boosted = saved(crowd, tmp_path / "b", weighting=rest)
    with pytest.raises(Refused, match="were boosted"):
        update(boosted, data, retrain=True)
    assert update(boosted, data).crowd.weighting.to_dict()["pool"] == "median"


def test_a_bundle_that_cannot_read_tables_is_refused(bundle, home, tmp_path):
    path = saved(shoal.load(bundle), tmp_path / "bare", schema=None)
    with pytest.raises(Refused, match="bare: has no schema"):
        update(path, home.data["forecast"])
    (bundle / "members.safetensors").write_bytes(b"")
    with pytest.raises(Refused, match=r"members\.safetensors"):
        update(bundle, home.data["forecast"])
    assert issubclass(BundleError, ValueError)
