"""What the README tells a stranger to type and to read is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_make_commands_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"make ([a-z]+)\b(?= |`|$)", README, re.MULTILINE))
    assert {"demo", "test"} <= told & targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_are_commands_of_the_command_line():
    from typer.main import get_command

    from shoal.app.main import app

    commands = set(get_command(app).commands)
    told = set(re.findall(r"^shoal ([a-z]+)", README, re.MULTILINE))
    assert told
    assert told <= commands
