"""The page as text: escaped, self-contained, of a sane size, whatever is missing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from shoal.report import Classification, Evaluation, Results, render

EVIL = '<script>alert("1")</script>&<b>'


def figures(page):
    return re.findall(r'<figure id="([^"]+)"', page)


def specs(page):
    return [
        json.loads(t) for t in re.findall(r'<script type="application/json">(.*?)</script>', page)
    ]


def test_everything_is_there(examples):
    page = render(examples.co2_like())
    wanted = "from-origin along-time error-by-lead coverage pit coverage-by-lead spread-error "
    wanted += "spread-parts residuals residual-histogram residual-quantiles losses correlation "
    wanted += "crowd-size time-constants wiring-picture"
    assert set(figures(page)) == set(wanted.split())
    assert "kind: auto_ncp" in page
    assert "sha256:9f2c1e77a0b3" in page


def test_every_figure_is_described_in_words(examples):
    page = render(examples.co2_like())
    labels = re.findall(r'role="img"[^>]*aria-label="([^"]{40,})"', page)
    captions = re.findall(r"<figcaption>([^<]{40,})", page)
    assert len(labels) == len(captions) == len(figures(page))


def test_nothing_is_loaded(examples):
    page = render(examples.co2_like())
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "@import" not in page
    assert "url(" not in page


def test_user_text_stays_text(examples):
    results = examples.co2_like(name=EVIL, targets=1)
    e = replace(results.evaluation, target_names=[EVIL], target_units=[EVIL], time_unit=EVIL)
    e = replace(e, baselines={EVIL: e.mean}, metrics=[{"model": EVIL, EVIL: 1.0, "target": EVIL}])
    members = [m | {"reason": EVIL, "status": EVIL, "kind": EVIL} for m in results.members]
    page = render(
        replace(
            results,
            evaluation=e,
            members=members,
            config={EVIL: EVIL},
            metadata={EVIL: EVIL},
            data={EVIL: EVIL},
            loss_name=EVIL,
            time_constants={EVIL: [1.0, 2.0]},
            time_unit=EVIL,
            calibration_note=EVIL,
            notes=[EVIL],
            created=EVIL,
        )
    )
    assert "<script>alert" not in page
    assert "&<b>" not in page
    for spec in specs(page):
        for traces in spec["views"].values():
            assert all("<script" not in str(t.get("name")) for t in traces)
        assert "<script" not in json.dumps(spec["layout"])


def test_numbers_that_are_none_leave_valid_json(examples):
    results = examples.co2_like()
    e = results.evaluation
    mean = e.mean.copy()
    mean[3:6] = np.nan
    y = e.y.copy()
    y[:, 4] = np.nan
    page = render(replace(results, evaluation=replace(e, mean=mean, y=y, y_mask=None)))
    assert len(specs(page)) == len(figures(page)) - 1  # the wiring is a picture already
    assert not re.search(r"[:,\[](NaN|-?Infinity)", "".join(map(json.dumps, specs(page))))


@pytest.mark.parametrize("windows", [1, 2, 3])
def test_few_windows(examples, windows):
    assert "error-by-lead" in figures(render(examples.co2_like(windows=windows, horizon=3)))


def test_one_member_alone(examples):
    page = render(examples.co2_like(members=1, diverged=None))
    assert "correlation" not in figures(page)
    assert "losses" in figures(page)
    assert "1 CfC network learned" in page


def test_all_members_lost():
    rows = [{"index": i, "status": "diverged", "best_loss": None, "seed": i} for i in range(3)]
    nan = np.full(6, np.nan)
    history = {"epoch": [1, 2] * 3, "member": [0, 0, 1, 1, 2, 2], "valid_loss": nan}
    page = render(Results(name="lost", members=rows, history=history))
    assert "losses" not in figures(page)
    assert page.count("✕ diverged") == 3


def test_nothing_at_all_is_a_small_page():
    page = render(Results(name="empty"))
    assert not figures(page)
    assert len(page) < 20_000


def test_only_points_without_spread(examples):
    e = examples.co2_like().evaluation
    page = render(Results(name="p", evaluation=Evaluation(y=e.y, mean=e.mean)))
    assert {"from-origin", "error-by-lead", "residuals"} <= set(figures(page))
    assert not {"pit", "coverage", "spread-error"} & set(figures(page))


def test_no_truth_at_all():
    y = np.full((5, 3, 1), np.nan)
    assert not figures(render(Results(name="n", evaluation=Evaluation(y=y, mean=y * 0))))


def test_a_regression():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2))
    e = Evaluation(y=y, mean=y + 0.1, std=np.ones_like(y) * 0.2, target_names=["a", "b"])
    page = render(Results(name="r", task="regression", evaluation=e))
    assert "against-truth" in figures(page)
    assert "error-by-lead" not in figures(page)
    assert "learned to predict a and b" in page


def test_a_classification(examples):
    page = render(examples.classified())
    of_crowd = {"agreement", "crowd-size"}
    assert set(figures(page)) == {"reliability", "confidence", "confusion"} | of_crowd
    assert "<script>alert" not in page


def test_a_single_class_that_is_always_right():
    c = Classification(probabilities=np.ones((5, 1)), labels=np.zeros(5, int))
    assert "No row is classified wrongly" in render(Results(name="c", evaluation=c))


def test_losses_below_zero_offer_no_logarithm(examples):
    results = examples.co2_like()
    history = dict(results.history)
    history["valid_loss"] = history["valid_loss"] - 1
    page = render(replace(results, history=history))
    assert "lower part" in page
    assert "log scale" not in page


def test_a_long_test_block_stays_small(examples):
    small, large = examples.co2_like(windows=100), examples.co2_like(windows=600, members=32)
    assert len(render(large)) < len(render(small)) + 1_500_000
    assert len(render(small)) < 2_600_000


def test_wirings_of_every_form(examples):
    from shoal.report.wiring import wiring_figure
    from shoal.wirings import AutoNCP, FullyConnected

    built = AutoNCP(20, 4).build(3)
    pictures = [wiring_figure(w) for w in (built, built.to_dict(), examples.little_wiring())]
    assert pictures[0] == pictures[1]
    for picture in pictures:
        assert all(
            f">{role}</text>" in picture for role in ("sensory", "inter", "command", "motor")
        )
        assert "stroke-dasharray" in picture
    drawn = pictures[0].count("<path d=") - 2  # the key's two
    assert drawn == np.count_nonzero(built.adjacency_matrix) + np.count_nonzero(
        built.sensory_adjacency_matrix
    )
    assert wiring_figure(AutoNCP(20, 4)) == ""
    assert "too many synapses" in wiring_figure(FullyConnected(60, 3).build(2))


def test_given_scores_are_shown_as_given(examples):
    rows = [
        {"model": "collective", "horizon": 1, "rmse": 0.25, "crps": 0.125},
        {"model": "naive", "horizon": 1, "rmse": 0.5, "crps": None},
    ]
    results = examples.co2_like()
    page = render(replace(results, evaluation=replace(results.evaluation, metrics=rows)))
    assert "<th>CRPS</th>" in page
    assert "<b>0.250</b>" in page
    assert "<td>0.500</td>" in page


def test_tables_in_the_metadata_are_not_spelt_out():
    scores = {"rmse": 0.5, "per_horizon": [{"step": 1, "rmse": 0.4}, {"step": 2, "rmse": 0.6}]}
    page = render(Results(name="x", task="forecast", metadata={"collective": {"test": scores}}))
    assert "collective · test · rmse" in page
    assert "per horizon" not in page


def test_coverage_is_judged_alike_wherever_it_stands():
    rng = np.random.default_rng(0)
    y = rng.uniform(-1, 1, (30, 1, 1))
    half = np.where(np.arange(30) < 29, 1.0, 1e-9)[:, None, None]  # 29 of 30 inside: chance
    zero = np.zeros_like(y)
    evaluation = Evaluation(y=y, mean=zero, std=0 * y + 0.3, lower=-half, upper=half, level=0.9)
    levels = np.array([0.5, 0.9])
    evaluation = replace(evaluation, levels=levels, coverage=np.array([[0.5], [29 / 30]]))
    page = render(Results(name="x", task="forecast", evaluation=evaluation))
    assert "keeps its promise" in page
    assert "held the truth: in keeping with the promise" in page
