"""The page: sections in order, put into one file."""

from __future__ import annotations

from html import escape

from shoal.report.results import Results


def page(results: Results) -> str:
    """The whole report as HTML text."""
    return f"<!DOCTYPE html>\n<title>{escape(results.name)}</title>"
