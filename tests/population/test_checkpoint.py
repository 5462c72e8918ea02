"""Resuming: bit for bit what an uninterrupted training gives, whenever it was cut off."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import shoal
from shoal.population import Checkpoint, Population, checkpoint

SETTINGS = {
    "epochs": 9,
    "batch_size": 16,
    "learning_rate": 3e-2,
    "dropout": 0.2,
    "patience": 3,
    "schedule": "cosine",
    "warmup_epochs": 1,
}


@pytest.fixture(scope="module")
def train(dense, samples):
    """`train(strategy, **more)`: two kinds of members, some of which stop on the way."""

    population = Population.init([dense, lambda key: dense(key, width=5)], 6)

    def run(strategy="loop", **more):
        data = samples("dense", 37), samples("dense", 20, seed=1)
        return shoal.fit(population, *data, **{**SETTINGS, "strategy": strategy, **more})

    return run


@pytest.fixture(scope="module")
def whole(train):
    return {strategy: train(strategy) for strategy in ("vmap", "loop")}


def equal(a, b, same):
    assert same(a.population, b.population)
    assert same(a.last, b.last)
    assert a.status == b.status
    for name, column in a.history.columns().items():
        if name != "seconds":
            np.testing.assert_array_equal(column, b.history.columns()[name])
    return True


def test_some_members_stop_on_the_way(whole):
    for fitted in whole.values():
        assert {s["status"] for s in fitted.status} == {"early", "finished"}


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
@pytest.mark.parametrize("cut", [1, 5, 8])
def test_an_interrupted_training_resumes_to_the_same_result(
    train, whole, same, tmp_path, strategy, cut
):
    asked = iter(range(1, 100))
    first = train(
        strategy,
        checkpoint=Checkpoint(tmp_path, every_epochs=None, every_seconds=None),
        should_stop=lambda: next(asked) == cut,
    )
    assert first.interrupted
    assert first.history.epochs == cut
    rest = []
    second = train(strategy, checkpoint=Checkpoint(tmp_path, resume=True), on_epoch=rest.append)
    assert rest[0].epoch == cut
    assert equal(second, whole[strategy], same)


def test_a_finished_training_resumes_to_itself(train, whole, same, tmp_path):
    train(checkpoint=tmp_path)
    again = train(checkpoint=Checkpoint(tmp_path, resume=True), on_epoch=pytest.fail)
    assert equal(again, whole["loop"], same)


def test_a_training_without_a_checkpoint_to_resume_begins(train, whole, same, tmp_path):
    assert equal(train(checkpoint=Checkpoint(tmp_path, resume=True)), whole["loop"], same)


def test_a_folder_with_a_checkpoint_is_not_overwritten(train, tmp_path):
    train(checkpoint=tmp_path, epochs=1)
    with pytest.raises(ValueError, match="resume=True"):
        train(checkpoint=tmp_path, epochs=1)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"data_seed": 1}, "data_seed"),
        ({"strategy": "vmap"}, "strategy"),
        ({"dropout": 0.3}, "frozen"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"epochs": 20}, "epochs"),
    ],
)
def test_another_training_is_refused_by_name(train, tmp_path, change, name):
    train(checkpoint=tmp_path, should_stop=lambda: True)
    with pytest.raises(ValueError, match=f"differs in {name}"):
        train(checkpoint=Checkpoint(tmp_path, resume=True), **change)


def test_other_data_are_refused_and_a_mismatch_can_be_forced(train, tmp_path):
    train(checkpoint=Checkpoint(tmp_path, data_hash="abc"), should_stop=lambda: True)
    with pytest.raises(ValueError, match="data: saved 'abc', now"):
        train(checkpoint=Checkpoint(tmp_path, resume=True))
    forced = train(
        checkpoint=Checkpoint(tmp_path, resume=True, force=True), learning_rate=1e-3, epochs=3
    )
    assert forced.history.epochs == 3


@pytest.mark.parametrize("name", ["device_count", "platform", "jax"])
def test_another_machine_is_refused_by_name(train, tmp_path, name):
    train(checkpoint=tmp_path, should_stop=lambda: True)
    state = checkpoint.newest(tmp_path) / "state.json"
    facts = json.loads(state.read_text())
    facts["fingerprint"][name] = "another"
    state.write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=f"differs in {name}: saved 'another', now"):
        train(checkpoint=Checkpoint(tmp_path, resume=True))


def test_other_members_are_refused_by_path_even_when_forced(dense, samples, tmp_path):
    train = samples("dense", 20)
    shoal.fit(Population.init(dense, 2), train, epochs=1, checkpoint=tmp_path)
    wider = Population.init(lambda key: dense(key, width=9), 2)
    keep = Checkpoint(tmp_path, resume=True, force=True)
    with pytest.raises(ValueError, match=r"layers\[0\].weight is float32\(2, 8, 3\)"):
        shoal.fit(wider, train, epochs=2, checkpoint=keep)


def test_members_of_another_mode_are_refused(tmp_path):
    def make(mode):
        def of_mode(key):
            rnn = shoal.CfC(3, 4, backbone_units=4, mode=mode, key=key)
            return shoal.SequenceModel(rnn, shoal.Head(4, (1,), key=key))

        return of_mode

    x = np.ones((8, 5, 3), np.float32)
    data, cut = (x, x[:, 0, :1]), {"checkpoint": tmp_path, "should_stop": lambda: True}
    shoal.fit(Population.init(make("default"), 2), data, epochs=3, **cut)
    keep = Checkpoint(tmp_path, resume=True)
    with pytest.raises(ValueError, match="differs in members"):
        shoal.fit(Population.init(make("no_gate"), 2), data, epochs=3, checkpoint=keep)
    again = shoal.fit(Population.init(make("default"), 2), data, epochs=3, checkpoint=keep)
    assert again.history.epochs == 3


def test_cadence():
    by_epochs = Checkpoint("x", every_epochs=3, every_seconds=None)
    assert not by_epochs.is_due(2, 1e9)
    assert by_epochs.is_due(3, 0)
    assert Checkpoint("x", every_epochs=None, every_seconds=5).is_due(1, 5.0)
    assert not Checkpoint("x", every_epochs=None, every_seconds=5).is_due(100, 4.9)


def test_arrays_of_every_kind_come_back(tmp_path):
    arrays = {
        "f32": np.arange(6, dtype=np.float32).reshape(2, 3),
        "bf16": np.arange(4).astype(ml_dtypes.bfloat16),
        "bool": np.array([True, False]),
        "empty": np.zeros((0, 3)),
        "scalar": np.array(3, np.int32),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "special": np.array([np.nan, np.inf, -0.0]),
    }
    folder = checkpoint.save(tmp_path, 3, arrays, {"note": "x"})
    read, facts = checkpoint.read(folder)
    assert facts["note"] == "x"
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_one_whole_checkpoint_is_kept_and_drafts_are_ignored(tmp_path):
    for epoch in (9, 10, 100):
        checkpoint.save(tmp_path, epoch, {"a": np.arange(epoch)}, {})
    (tmp_path / ".draft-1").mkdir()
    assert checkpoint.newest(tmp_path).name == "epoch-000100"
    assert [p.name for p in tmp_path.glob("epoch-*")] == ["epoch-000100"]


def test_a_failed_write_leaves_the_last_good_one(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"a": np.arange(3)}, {})

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(tmp_path, 2, {"a": np.arange(4)}, {})
    arrays, facts = checkpoint.read(checkpoint.newest(tmp_path))
    assert facts["epoch"] == 1
    np.testing.assert_array_equal(arrays["a"], np.arange(3))


def test_bfloat16_members_resume(dense, samples, same, tmp_path):
    def half(key):
        return jax.tree.map(
            lambda a: a.astype(jnp.bfloat16) if isinstance(a, jax.Array) else a, dense(key)
        )

    x, y = samples("dense", 32)
    data = (x.astype(ml_dtypes.bfloat16), y)
    quick = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2}
    whole = shoal.fit(Population.init(half, 2), data, **quick)
    cut = {"checkpoint": tmp_path, "should_stop": lambda: True}
    shoal.fit(Population.init(half, 2), data, **quick, **cut)
    keep = Checkpoint(tmp_path, resume=True)
    again = shoal.fit(Population.init(half, 2), data, **quick, checkpoint=keep)
    assert again.last[0].mlp.layers[0].weight.dtype == jnp.bfloat16
    assert same(again.last, whole.last)


KILLED = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
from conftest import train_killable
from shoal.population import Checkpoint
keep = Checkpoint(sys.argv[1], every_epochs=1, every_seconds=None, resume=True)
np.savez(sys.argv[2], *train_killable(keep, lambda info: print(info.epoch, flush=True)))
"""


def test_killed_at_any_moment_it_resumes_to_the_same_result(killable, tmp_path):
    script = KILLED.format(folder=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, str(tmp_path / "saved"), str(tmp_path / "out.npz")]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    chance = random.Random(0)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    for _ in range(chance.randint(2, 40)):
        process.stdout.readline()
    time.sleep(chance.random() * 0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = checkpoint.newest(tmp_path / "saved")
    assert 1 <= json.loads((saved / "state.json").read_text())["epoch"] < 120
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, timeout=300)
    resumed, whole = np.load(tmp_path / "out.npz"), killable()
    assert len(whole) > 3
    for name, array in zip(resumed.files, whole, strict=True):
        np.testing.assert_array_equal(resumed[name], array)
