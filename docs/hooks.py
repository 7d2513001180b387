"""What `mkdocs build` does beyond its own: pages may link to files of the repository outside `docs`.

So the pages are read on a forge, and in an editor, as they stand. In the site, a file that a page links to is
copied to `repository/`; a Markdown file among them becomes a page, of which the same holds.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
COPIED = "repository"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link to outside `docs`, and what that links to in turn."""
    waiting = {
        target
        for file in files.documentation_pages()
        for target in outside(f"docs/{file.src_uri}", file.content_string)
    }
    seen: set[str] = set()
    while waiting - seen:
        place = (waiting - seen).pop()
        seen.add(place)
        path = ROOT / place
        if not path.is_file():
            continue  # MkDocs warns of the link
        files.append(File.generated(config, f"{COPIED}/{place}", abs_src_path=str(path)))
        if path.suffix == ".md":
            waiting |= set(outside(place, path.read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the site has them: `docs/` at its root, the rest of the repository in `repository/`."""
    here = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository(here)), match[1]))
        return posixpath.relpath(in_site(target), posixpath.dirname(here) or ".")

    return LINK.sub(moved, markdown)


def in_repository(uri: str) -> str:
    """Where a file of the site lies in the repository."""
    return uri.removeprefix(f"{COPIED}/") if uri.startswith(f"{COPIED}/") else f"docs/{uri}"


def in_site(place: str) -> str:
    """Where a file of the repository lies in the site."""
    return place.removeprefix("docs/") if place.startswith("docs/") else f"{COPIED}/{place}"


def outside(place: str, text: str) -> list[str]:
    """Files of the repository that a Markdown file links to and that are not in `docs`."""
    folder = posixpath.dirname(place)
    targets = (posixpath.normpath(posixpath.join(folder, target)) for target in LINK.findall(text))
    return [target for target in targets if not target.startswith("docs/")]
