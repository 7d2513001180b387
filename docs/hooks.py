"""What `mkdocs build` does beyond its own: pages may link to files of the repository outside `docs`.

So the pages are read on a forge, and in an editor, as they stand. In the site, a file that a page links to is
copied to `repository/`; a Markdown file among them becomes a page, of which the same holds. A folder has no
page in the site, so a link to one becomes its text.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
COPIED, FRONT = "repository", ("README.md",)  # the front page is that of the site
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)")  # text and target, up to an anchor or the bracket
FOLDER = re.compile(LINK.pattern + r"[^)]*\)")


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
    markdown = FOLDER.sub(lambda found: found[1] if is_folder(here, found[2]) else found[0], markdown)

    def moved(found: re.Match[str]) -> str:
        target = in_site(target_of(in_repository(here), found[2]))
        return f"[{found[1]}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}"

    return LINK.sub(moved, markdown)


def is_folder(here: str, target: str) -> bool:
    """Whether a link of a file of the site is to a folder."""
    return (ROOT / target_of(in_repository(here), target)).is_dir()


def target_of(place: str, target: str) -> str:
    """What a link of a file of the repository means, as a path of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), target))


def in_repository(uri: str) -> str:
    """Where a file of the site lies in the repository."""
    return uri.removeprefix(f"{COPIED}/") if uri.startswith(f"{COPIED}/") else f"docs/{uri}"


def in_site(place: str) -> str:
    """Where a file of the repository lies in the site."""
    if place in FRONT:
        return "index.md"
    return place.removeprefix("docs/") if place.startswith("docs/") else f"{COPIED}/{place}"


def outside(place: str, text: str) -> list[str]:
    """Files of the repository that a Markdown file links to and that are not in `docs`."""
    targets = (target_of(place, target) for _, target in LINK.findall(text))
    return [target for target in targets if not target.startswith("docs/") and target not in FRONT]
