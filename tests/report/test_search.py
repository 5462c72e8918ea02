"""The report of a search: what is said, and what is drawn."""

import json
import re
from dataclasses import replace

import pytest

from shoal.report.search import Path, SearchResults, Trial, render_search
from shoal.report.search_figures import curves, fronts, importances, progress, slices
from shoal.report.search_page import sentences
from shoal.report.search_parallel import parallel

PATHS = (
    Path("training.learning_rate", log=True),
    Path("model.kind", choices=("cfc", "gru")),
    Path("model.backbone_units"),
)


def trial(number, rate, kind, loss, **more):
    point = {"training.learning_rate": rate, "model.kind": kind}
    if kind == "cfc":
        point["model.backbone_units"] = 16 * (number + 1)
    seconds = {"seconds": 10.0 - number}
    values = {"valid_loss": loss, **seconds} if loss is not None else {}
    state = more.pop("state", "complete" if values else "failed")
    return Trial(number, state, point, values, **more)


@pytest.fixture
def found():
    return SearchResults(
        "<co2>",
        ("valid_loss", "seconds"),
        ("minimize", "minimize"),
        PATHS,
        [
            trial(0, 1e-3, "cfc", 0.5, curve={1: 1.0, 9: 0.5}),
            trial(1, 1e-2, "gru", 0.3, curve={1: 0.8, 9: 0.3}),
            trial(2, 1e-1, "cfc", 40.0),
            trial(3, 1.0, "gru", None, reason="no member has a finite loss"),
        ],
        importances={"training.learning_rate": 0.75, "model.kind": 0.25},
        comparison=[{"name": "start", "rmse": 0.7}, {"name": "best", "rmse": 0.6}],
        compared="best less start: -0.1 ± 0.02",
        best="model:\n  kind: gru\n",
    )


def test_the_best_stands_in_front_and_in_words(found):
    assert [t.number for t in found.ranked] == [1, 0, 2]
    assert [t.number for t in found.front] == [1, 2]  # 2 is fastest, 0 is beaten by 1
    said = " ".join(sentences(found))
    assert "4 trials (3 complete and 1 failed)" in said
    assert "trial 1: valid_loss 0.3 and seconds 9" in said
    assert "model.kind gru" in said
    assert found.compared in said


def test_greater_may_be_better():
    trials = [trial(0, 1e-3, "gru", 0.2), trial(1, 1e-3, "gru", 0.9)]
    found = SearchResults("x", ("valid_loss",), ("maximize",), PATHS, trials)
    assert found.ranked[0].number == 1
    best = progress(found).traces[1]
    assert best["y"] == [0.2, 0.9]


def test_parallel_coordinates_hold_what_each_trial_was_given(found):
    axes = {one["label"]: one for one in parallel(found).traces[0]["dimensions"]}
    order = [t.number for t in found.ranked[::-1]]
    assert order == [2, 0, 1]
    assert axes["learning_rate"]["values"] == [-1, -3, -2]
    assert axes["kind"]["ticktext"] == ["cfc", "gru"]
    assert axes["kind"]["values"] == [0, 0, 1]
    units = axes["backbone_units"]
    nowhere = units["tickvals"][units["ticktext"].index("–")]
    assert units["values"] == [48, 16, nowhere]
    assert nowhere < 16
    darkest = parallel(found).traces[0]["line"]["color"]
    assert darkest == [0, 0.5, 1]  # by rank


def test_figures_follow_the_numbers(found):
    assert importances(found).traces[0]["x"] == [0.25, 0.75]
    assert [f.title for f in slices(found)][:2] == ["training.learning_rate", "model.kind"]
    beaten, front = fronts(found).views["0"]
    assert (front["x"], beaten["x"]) == ([0.3, 40], [0.5])
    assert len(curves(found).traces) == 2


def test_losses_of_either_sign_have_an_axis_of_either_sign(found):
    assert curves(found).layout["yaxis"]["type"] == "log"
    own = trial(4, 1e-2, "gru", -0.4, curve={1: 0.2, 9: -0.4})
    assert curves(replace(found, trials=[own])).layout["yaxis"]["type"] == "linear"


def test_the_page_holds_everything_and_nothing_breaks_out(found):
    page = render_search(found)
    assert "<co2>" not in page
    assert "&lt;co2&gt;" in page
    for words in ("no member has a finite loss", "kind: gru", "On held-out data"):
        assert words in page
    figures = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert len(figures) == 5 + len(PATHS)
    for text in figures:
        assert json.loads(text)["views"]


def test_a_search_without_a_complete_trial_says_so():
    lost = [trial(0, 1.0, "gru", None, reason="diverged")]
    found = SearchResults("x", ("valid_loss",), ("minimize",), PATHS, lost)
    assert sentences(found) == ["No trial is complete (1 failed)."]
    page = render_search(found)
    assert "diverged" in page
    assert "<figure" not in page
