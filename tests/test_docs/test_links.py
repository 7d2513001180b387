"""Links between files of the repository lead somewhere; what is written by a script is fresh."""

import re
import runpy
from pathlib import Path
from pkgutil import resolve_name

import pytest
from pages import DOCS

ROOT = DOCS.parent
PAGES = sorted(
    [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb"), *(ROOT / "results").rglob("*.md"), *ROOT.glob("*.md")]
)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]*)\)")
REFERENCE = re.compile(r"^::: ([\w.]+)(?:\n +options:\n +members: \[(.*)\])?", re.MULTILINE)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, by the rule of forges and of MkDocs."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page.read_text()))
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} names no heading"


def test_the_table_of_tasks_is_fresh():
    written = runpy.run_path(str(DOCS / "make_tasks.py"))["page"]()
    assert (DOCS / "tasks.md").read_text() == written, "run python docs/make_tasks.py"


def test_the_front_page_is_short_and_its_setup_is_what_is_tested():
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) < 700
    assert "\npip install -c constraints.txt -e '.[test]' && pytest\n" in text
    assert "\npip install -c constraints.txt -e . && landscape demo\n" in text
    assert "another package on the index is imported as `smac`" in text


def test_every_command_is_in_the_table():
    from analysis_cli import landscape, smac

    table = (DOCS / "commands.md").read_text()
    for program in (smac, landscape):
        for verb in program.PROGRAM.commands:
            assert re.search(rf"`([^`]*\s)?{verb}[ `]", table), f"{program.PROGRAM.name} {verb}"


def test_reference_pages_name_what_there_is():
    """A member that has gone would leave an empty place without a warning."""
    for page in (DOCS / "reference").glob("*.md"):
        for name, members in REFERENCE.findall(page.read_text()):
            found = resolve_name(name)
            for member in filter(None, members.split(", ")):
                assert hasattr(found, member), f"{page.name}: {name} has no {member}"
