"""The page as a browser shows it: drawn, quiet, offline, on a phone and on paper."""

import shutil
import subprocess

import pytest

from shoal.report import render

pytestmark = pytest.mark.browser

DRAWN = """[...document.querySelectorAll("figure")].map((f) => {
  const box = (f.querySelector("svg.main-svg") || f.querySelector("svg.wiring"))
    ?.getBoundingClientRect();
  return [f.id, !!box && box.width > 200 && box.height > 100]; })"""


@pytest.fixture(scope="module")
def pages(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    evil = "Hall <script>alert(1)</script> & a name that goes on and on_and_on_without_any_space"
    made = {
        "forecast": examples.co2_like(windows=60, members=4, targets=2, name=evil),
        "classes": examples.classified(rows=200),
    }
    for name, results in made.items():
        (folder / f"{name}.html").write_text(render(results), "utf-8")
    return folder


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(("name", "number"), [("forecast", 16), ("classes", 5)])
def test_every_figure_is_drawn_in_silence(chromium, pages, name, number, width):
    chromium.open(pages / f"{name}.html", width)
    drawn = dict(chromium.evaluate(DRAWN))
    assert len(drawn) == number
    assert all(drawn.values()), drawn
    assert chromium.complaints() == []
    assert chromium.requests() == []
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width


def test_the_hook_would_hear_a_complaint(chromium, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<script>console.error('no'); fetch('http://127.0.0.1:9/x').catch(() => 0)</script>"
    )
    chromium.open(tmp_path / "bad.html")
    assert chromium.complaints()
    assert chromium.requests() == ["http://127.0.0.1:9/x"]


def test_lists_and_switches_redraw(chromium, pages):
    chromium.open(pages / "forecast.html")
    first = "document.querySelector('#error-by-lead .plot').data.at(-1).y[0]"
    before = chromium.evaluate(first)
    chromium.evaluate("document.querySelector('#error-by-lead .step[data-step=\"1\"]').click()")
    assert chromium.evaluate(first) != before
    kind = "document.querySelector('#losses .plot').layout.yaxis.type"
    assert chromium.evaluate(kind) == "log"
    chromium.evaluate("document.querySelectorAll('#losses .switch')[1].click()")
    assert chromium.evaluate(kind) == "linear"
    views = """[...document.querySelectorAll('#from-origin select')].every((s, i, all) =>
      [...s.options].every((_, k) => { s.selectedIndex = k; s.dispatchEvent(new Event('change'));
        return document.querySelector('#from-origin .plot').data.length > 4; }))"""
    assert chromium.evaluate(views)


def test_paper(chromium, pages, tmp_path):
    chromium.open(pages / "forecast.html")
    chromium.pdf(tmp_path / "report.pdf")
    made = (tmp_path / "report.pdf").read_bytes()
    assert made.startswith(b"%PDF")
    assert chromium.complaints() == []
    assert not chromium.evaluate("document.body.classList.contains('paper')")
    assert not chromium.evaluate("document.querySelector('details').open")
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True
        ).stdout
        assert "learning_rate: 0.001" in text
        assert "Spread against error" in text
