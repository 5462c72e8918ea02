"""Stacking on folds, from YAML: trained, saved, taken up again, and refused where it leaks."""

import os
import signal

import numpy as np
import pytest

import shoal
from shoal.run import Interrupted, Refused, load_config, train
from shoal.run.folds import check_folds, fold_predictions, without_diverged
from shoal.run.members import prepare_data
from shoal.run.progress import Silent

FOLDED = {
    "model": {"kind": "gru", "units": 2, "likelihood": "normal"},
    "ensemble.weighting": {"kind": "stacking", "folds": 3},
    "export.enabled": False,
    "report.enabled": False,
}


class StopsInTheFolds(Silent):
    """Asks the run to stop as soon as its folds begin."""

    def say(self, text):
        if "folds of" in text:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_with_folds_is_taken_up_again(workspace):
    with pytest.raises(Interrupted) as stopped:
        train("c.yaml", FOLDED, progress=StopsInTheFolds())
    run = train(resume=stopped.value.folder)
    crowd = shoal.load(run.bundle)
    assert (crowd.weighting.kind, crowd.weighting.folds) == ("stacking", 3)

    config = load_config("c.yaml", FOLDED)
    prepared = prepare_data(config)
    found = fold_predictions(config, prepared)  # the same, in one go and without a checkpoint
    assert crowd.weighting == crowd.weighting.fit(found.evidence)
    # forecasts are folded in time, and answered in the targets' own units
    assert found.folds[0].train.max() < found.rows.min()
    np.testing.assert_array_equal(found.evidence.y, prepared.train.y[found.rows])
    assert found.evidence.predictions.mean.shape == (2, len(found.rows), 2, 1)
    assert np.isfinite(found.evidence.losses).all()


def test_leaks_are_refused_before_anything_is_trained(workspace):
    weighting = {"kind": "stacking", "folds": 3, "order": "shuffled"}
    config = load_config("c.yaml", {"ensemble.weighting": weighting})
    with pytest.raises(Refused, match="folds leak: windows that fold 0 trains on"):
        check_folds(config, prepare_data(config))
    with pytest.raises(Refused, match="folds: folds leak"):
        train("c.yaml", {"ensemble.weighting": weighting})
    assert not list((workspace / "runs").glob("wave-*"))


@pytest.mark.parametrize(
    ("weighting", "message"),
    [
        ({"meta": "logistic"}, "'logistic' is for classes"),
        ({"order": "time"}, "is of folds, and there are none"),
        ({"folds": 3, "order": "shuffled", "gap": 2.0}, "is of folds in time"),
        ({"folds": 1}, "greater than or equal to 2|at least 2"),
        ({"meta": "forest"}, "mlp"),
        ({"kind": "selector"}, "local"),
    ],
)
def test_what_makes_no_sense_is_refused(workspace, weighting, message):
    with pytest.raises(Refused, match=message):
        load_config("c.yaml", {"ensemble.weighting": {"kind": "stacking", **weighting}})


def test_members_that_diverge_on_a_fold_are_left_out_and_named():
    from shoal.collective import OutOfFold
    from shoal.population import Fitted
    from shoal.weighting import Evidence

    status = [{"index": i, "usable": True, "status": "finished", "reason": ""} for i in range(3)]
    fitted = Fitted(None, None, None, status, "vmap")
    said = np.ones((3, 4, 1))
    found = OutOfFold(Evidence(np.ones(3), said, np.ones((4, 1))), np.arange(4), (), ((1, 0),))
    kept = without_diverged(fitted, found)
    assert kept.usable == found.usable == [0, 2]
    assert "trained on fold 0" in kept.status[1]["reason"]
    assert found.select([0, 2]).evidence.predictions.shape == (2, 4, 1)
    every = OutOfFold(found.evidence, found.rows, (), ((0, 0), (1, 0), (2, 1)))
    with pytest.raises(Refused, match="every member had no finite loss"):
        without_diverged(fitted, every)
