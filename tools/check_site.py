"""Look at the built site as a browser would: nothing dead, nothing from elsewhere, the search knows words.

    python tools/check_site.py build/docs

Every link to a page, an anchor or a file of the site leads somewhere. No page or style sheet loads anything
from another host; links that people follow may lead there. Every page but those that Sphinx makes is reached
from the first one. The index of the search holds `KNOWN`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["KNOWN", "main", "problems"]

# what people are going to search for, as the index has it: in lower case, without endings, and numbers as
# docs/search_numbers.py has them
KNOWN = ("messagedecod", "handshak", "dqlite_record", "leadership", "n10250")
OWN = {"genindex.html", "search.html", "py-modindex.html"}  # made by Sphinx
LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href", "use": "href"}
FETCHED = {
    "stylesheet",
    "icon",
    "shortcut icon",
    "preload",
    "prefetch",
    "search",
    "mask-icon",
}  # kinds of <link>
STYLE = re.compile(r"@import\s+(?:url\()?[\"']?([^\"');\s]+)|url\([\"']?([^\"')]+)")


class Reference(NamedTuple):
    """What a page refers to.

    Args:
        url: as it stands there.
        loads: whether a browser fetches it by itself.
    """

    url: str
    loads: bool


class _Page(HTMLParser):
    """The anchors of a page, and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag has."""
        found = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.references.append(Reference(found["href"], False))
        elif url := found.get(LOADS.get(tag, "")):
            self.references.append(Reference(url, tag != "link" or found.get("rel", "") in FETCHED))
        for one in found.get("srcset", "").split(","):
            if one.strip():
                self.references.append(Reference(one.split()[0], True))
        self._styled(found.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Take what a style sheet in the page loads."""
        if self._in_style:
            self._styled(data)

    def _styled(self, text: str) -> None:
        self.references += [Reference(url, True) for url in _loaded_by(text)]


def _loaded_by(style: str) -> Iterator[str]:
    """Yield what a style sheet loads; data in the sheet itself is not loaded."""
    for imported, url in STYLE.findall(style):
        if not (imported or url).startswith(("data:", "#", "%23")):
            yield imported or url


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, a line each.

    Args:
        site: its folder.
    """
    site = site.resolve()
    pages = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    linked: dict[Path, set[Path]] = {}
    for path in pages:
        for reference in dict.fromkeys(_read(path).references):
            at = path.relative_to(site)
            if other := _target(path, reference.url):
                linked.setdefault(path, set()).add(other)
            yield from (f"{at}: {words}" for words in _wrong(site, path, reference))
    for path in site.rglob("*.css"):
        for url in _loaded_by(path.read_text(encoding="utf-8")):
            yield from (
                f"{path.relative_to(site)}: {words}" for words in _wrong(site, path, Reference(url, True))
            )
    yield from (f"{path.relative_to(site)}: no page leads there" for path in _lonely(site, pages, linked))
    yield from _search(site)


def _target(page: Path, url: str) -> Path | None:
    """The file of the site that a reference means; None for what is elsewhere."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return None
    return (page.parent / unquote(parts.path)).resolve() if parts.path else page


def _wrong(site: Path, page: Path, reference: Reference) -> Iterator[str]:
    target, anchor = _target(page, reference.url), unquote(urlsplit(reference.url).fragment)
    if target is None:
        if reference.loads and not reference.url.startswith("data:"):
            yield f"loads {reference.url}"
    elif not target.is_relative_to(site) or not target.is_file():
        yield f"leads to {reference.url}, which is not there"
    elif anchor and target.suffix == ".html" and anchor not in _read(target).anchors:
        yield f"leads to {reference.url}, where there is no such anchor"


def _lonely(site: Path, pages: list[Path], linked: dict[Path, set[Path]]) -> list[Path]:
    reached, ahead = set[Path](), [site / "index.html"]
    while ahead:
        if (page := ahead.pop()) not in reached:
            reached.add(page)
            ahead += linked.get(page, ())
    return [path for path in pages if path not in reached and path.name not in OWN]


def _search(site: Path) -> Iterator[str]:
    path = site / "searchindex.js"
    if not path.is_file():
        yield "searchindex.js is not there: nothing can be searched for"
        return
    text = path.read_text(encoding="utf-8")
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    for word in KNOWN:
        if word not in index["terms"] and word not in index["titleterms"]:
            yield f"searchindex.js: {word!r} is not found"


def main(arguments: list[str]) -> int:
    """Print what is wrong with a site.

    Args:
        arguments: of the command line.

    Returns:
        The exit code.
    """
    (folder,) = map(Path, arguments)
    found = list(problems(folder))
    print(
        "\n".join(found)
        or f"{sum(1 for _ in folder.rglob('*.html'))} pages: nothing is dead, nothing is loaded"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
