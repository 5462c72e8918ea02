"""The pictures of what goes on inside: complete, self-contained, whatever is missing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import shoal
from shoal.data import Sequences
from shoal.data.scaling import fit_scaling
from shoal.neurons import (
    build_model,
    effective_time_constants,
    sensitivities,
    time_constants,
    trajectories,
)
from shoal.report.inside import Cell, Inside, Leaning, Member, render, write
from shoal.report.inside_look import COLLECTIVE, look
from shoal.report.inside_paper import draw
from shoal.wirings import AutoNCP

EVIL = '<script>alert("1")</script>&<b>'
RNG = np.random.default_rng(0)


def cell(name="CfC", steps=9, neurons=6, **more):
    hidden = RNG.normal(size=(steps, neurons))
    roles = ("inter",) * 3 + ("command",) * 2 + ("motor",)
    parts = {"roles": roles, "numbers": (5, 4, 3, 2, 1, 0), "nominal": np.ones(neurons)}
    parts["constants"] = RNG.lognormal(size=(steps, neurons))
    return Cell(name=name, hidden=hidden, **(parts | more))


def inside(steps=9, features=2, members=1, cells=None, **more):
    leaning = Leaning(features=RNG.normal(size=(steps, features)), timespans=RNG.normal(size=steps))
    crowd = [Member(name=f"member {i}", cells=cells or [cell(steps=steps)]) for i in range(members)]
    who = [COLLECTIVE, *(m.name for m in crowd)] if members > 1 else [crowd[0].name]
    answers = {"y, step 1": leaning, "y, step 2": leaning}
    parts = {"values": RNG.normal(size=(steps, features)), "elapsed": RNG.uniform(0, 2, steps)}
    parts |= {"feature_names": [f"x{i}" for i in range(features)], "title": "waves: member 0"}
    return Inside(members=crowd, leanings=dict.fromkeys(who, answers), **(parts | more))


def figures(page):
    names = re.findall(r'<figure id="([^"]+)"', page)
    texts = re.findall(r'<script type="application/json">(.*?)</script>', page)
    return dict(zip(names, map(json.loads, texts), strict=True))


def test_the_page_shows_everything_and_loads_nothing():
    page = render(inside(time_unit="day", source="the last window", answers="The answer is 3."))
    assert list(figures(page)) == ["reads", "states", "clocks", "leanings"]
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "The last window: 9 observations of x0 and x1. The answer is 3." in page
    assert all(len(text) > 60 for text in re.findall("<figcaption>([^<]*)", page))


def test_neurons_stand_by_role_and_speed_in_every_figure():
    one = cell(constants=np.tile([3.0, 1.0, 2.0, 5.0, 4.0, 0.1], (9, 1)))
    found = figures(render(inside(cells=[one])))
    expected = ["inter 4", "inter 3", "inter 5", "command 1", "command 2", "motor 0"]
    for name in ("states", "clocks"):
        sheet = found[name]["views"][""][0]
        assert [re.sub("<[^>]*>", "", label) for label in sheet["y"]] == expected
        assert "#009E73" in sheet["y"][0]
        assert "#D0342C" in sheet["y"][-1]
    np.testing.assert_allclose(found["states"]["views"][""][0]["z"][0], one.hidden[:, 1], rtol=1e-3)
    np.testing.assert_allclose(found["clocks"]["views"][""][0]["z"][0], 0.0)  # log10 τ
    assert found["clocks"]["views"][""][0]["customdata"][2] == [3.0] * 9


def test_what_one_leans_on_is_per_standard_deviation_and_blank_where_missing():
    values = np.zeros((9, 2))
    values[3, 1] = np.nan
    one = inside(values=values, spreads=np.array([2.0, 1.0]), elapsed_spread=0.5)
    leaning = one.leanings["member 0"]["y, step 1"]
    sheet, bars = figures(render(one))["leanings"]["views"]["0"]
    np.testing.assert_allclose(sheet["customdata"][0], 2.0 * leaning.features[:, 0], rtol=1e-3)
    np.testing.assert_allclose(sheet["customdata"][2], 0.5 * leaning.timespans, rtol=1e-3)
    assert sheet["z"][1][3] is None
    np.testing.assert_allclose(bars["x"][1], np.abs(leaning.features[:, 1]).sum(), rtol=1e-3)


def test_members_cells_and_memories_are_chosen_from_lists():
    cells = [cell("CfC forward", memory=np.zeros((9, 6))), cell("CfC backward")]
    found = figures(render(inside(members=2, cells=cells)))
    assert set(found["states"]["views"]) == {f"{m},{k}" for m in range(2) for k in range(3)}
    assert set(found["clocks"]["views"]) == {"0,0", "0,1", "1,0", "1,1"}
    assert set(found["leanings"]["views"]) == {f"{i},{j}" for i in range(3) for j in range(2)}
    gru = Cell(name="CTGRU", hidden=np.ones((9, 2)), traces=np.ones((9, 2, 3)), scales=np.ones(3))
    assert list(figures(render(inside(cells=[gru])))) == ["reads", "states", "traces", "leanings"]


@pytest.mark.parametrize("steps", [1, 1000])
def test_what_is_short_long_endless_or_constant_is_drawn(steps):
    many = cell(steps=steps, neurons=200, roles=(), numbers=(), nominal=np.full(200, np.inf))
    many.constants[0, 0] = np.inf
    many.constants[0, 1] = np.nan
    one = inside(steps=steps, cells=[many], features=70, values=np.full((steps, 70), 2.0))
    found = figures(render(one))
    z = np.array(found["states"]["views"][""][0]["z"])
    assert z.shape == (160, min(steps, 400))
    assert len(found["leanings"]["views"]["0"][0]["y"]) == 61
    draw(one)
    still = cell("LSTM", steps=steps, constants=np.full((steps, 6), np.nan), nominal=None)
    page = figures(render(inside(steps=steps, cells=[still])))
    assert list(page) == ["reads", "states", "leanings"]


def test_user_text_stays_text():
    one = inside(title=EVIL, feature_names=[EVIL, "b"], time_unit=EVIL, source=EVIL, answers=EVIL)
    renamed = replace(one, leanings={EVIL: {EVIL: one.leanings["member 0"]["y, step 1"]}})
    page = render(renamed)
    assert "<script>alert" not in page
    assert "&<b>" not in page
    for figure in figures(page).values():
        assert "<script" not in json.dumps(figure)


def test_pictures_on_paper(tmp_path):
    one = inside(times=np.arange("2001-01-01", "2001-01-10", dtype="M8[D]"))
    for end, head in ((".png", b"PNG"), (".svg", b"svg"), (".pdf", b"%PDF"), (".html", b"DOCTYPE")):
        assert head in write(one, tmp_path / f"a{end}").read_bytes()[:300]
    titles = [axes.get_title(loc="left") for axes in draw(one).axes]
    assert "What every neuron holds" in titles
    assert "What the answer of member 0 leans on (y, step 1)" in titles
    with pytest.raises(ValueError, match=r"must end in one of \.html"):
        write(one, tmp_path / "a.doc")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"`elapsed` must have shape \(9,\)"):
        inside(elapsed=np.ones(4))
    with pytest.raises(ValueError, match=r"CfC: hidden"):
        inside(cells=[cell(steps=4)])


@pytest.fixture(scope="module")
def watched():
    """Two wired members with a mixed memory over padded, gappy windows; and what they are."""
    x = RNG.normal(size=(3, 6, 2))
    x[:, 1, 1] = np.nan
    mask = np.arange(6) < [[6], [6], [4]]
    windows = Sequences(x, RNG.uniform(0.5, 2, (3, 6)), mask, y=RNG.normal(size=(3, 1)))
    scaling = fit_scaling(windows, ["a", "b"], targets=["y"])
    make = {"kind": "cfc", "input_size": scaling.encoded_size, "mixed_memory": True}
    make |= {"wiring": AutoNCP(8, 2).to_dict(), "output_shape": [1], "likelihood": "normal"}
    make |= {"time_scaling": {"kind": "normalised", "mean": 3.0}}
    crowd = shoal.Collective.of([build_model(make, key) for key in range(2)], scaling=scaling)
    return crowd, windows, look(crowd, windows)


def test_looking_agrees_with_its_parts(watched):
    crowd, windows, found = watched
    assert [m.name for m in found.members] == ["member 0", "member 1"]
    assert list(found.leanings) == [COLLECTIVE, "member 0", "member 1"]
    np.testing.assert_array_equal(found.values, windows.x[2, :4])
    assert found.feature_names == ("a", "b")
    member, one = crowd.population.member(1), crowd.scaling.encode_sequences(windows[[2]])
    (seen,) = found.members[1].cells
    args = member, one.x[:, :4], one.timespans[:, :4]
    np.testing.assert_allclose(seen.hidden, trajectories(*args)["CfC"].hidden[0], atol=1e-6)
    np.testing.assert_allclose(seen.memory, trajectories(*args)["CfC"].memory[0], atol=1e-6)
    expected = effective_time_constants(*args)["CfC"][0]
    np.testing.assert_allclose(seen.constants, expected, rtol=1e-4)
    np.testing.assert_allclose(seen.nominal, time_constants(member)["CfC"], rtol=1e-6)
    slopes = sensitivities(crowd, windows)
    leaning = next(iter(found.leanings[COLLECTIVE].values()))
    np.testing.assert_allclose(leaning.features, slopes.features[2, :4], atol=1e-6)
    np.testing.assert_allclose(leaning.timespans, slopes.timespans[2, :4], atol=1e-6)


def test_a_wired_cfc_names_its_neurons_as_its_wiring_does(watched):
    crowd, _, found = watched
    (seen,) = found.members[0].cells
    wiring = crowd.population.member(0).rnn.stack.layers[0].forward.wiring
    assert seen.roles == tuple(wiring.roles[i] for i in seen.numbers)
    ranks = [("inter", "command", "motor").index(role) for role in seen.roles]
    assert ranks == sorted(ranks)  # its state is layer after layer
    assert sorted(seen.numbers) == list(range(8))
    assert seen.labels[-2:] == ("motor 0", "motor 1")


def test_what_cannot_be_looked_at_is_refused(watched):
    crowd, windows, _ = watched
    with pytest.raises(ValueError, match="no sequence 3: there are 3"):
        look(crowd, windows, row=3)
    plain = shoal.Collective.of([shoal.neurons.Head(2, (1,), key=0)])
    with pytest.raises(ValueError, match="member 0 must be a SequenceModel"):
        look(plain, windows)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_every_figure_is_drawn_in_silence(chromium, tmp_path, width):
    write(inside(members=2), tmp_path / "inside.html")
    chromium.open(tmp_path / "inside.html", width)
    sizes = """[...document.querySelectorAll("figure svg.main-svg")].map(
        (s) => s.getBoundingClientRect()).filter((b) => b.width > 200 && b.height > 100).length"""
    assert chromium.evaluate(sizes) >= 4
    assert chromium.complaints() == []
    assert chromium.requests() == []
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    first = "document.querySelector('#states .plot').data[0].z[0][0]"
    chromium.evaluate("document.querySelector('#states .step[data-step=\"1\"]').click()")
    assert chromium.evaluate(first) is not None
