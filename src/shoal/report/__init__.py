"""A self-contained page about a run: `render(results)` gives the HTML as text."""

from shoal.report.results import Classification, Evaluation, Results
from shoal.report.weights import Weights

__all__ = ["Classification", "Evaluation", "Results", "Weights", "render"]


def render(results: Results) -> str:
    """The report as one HTML file that needs no network.

    >>> page = render(Results(name="co2"))
    >>> page.startswith("<!DOCTYPE html>"), "co2" in page
    (True, True)
    """
    from shoal.report.page import page

    return page(results)
