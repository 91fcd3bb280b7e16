"""What tools/check_site.py finds in a built site; `make check` builds the site and has it looked at."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT
from tests.profiles import DEEP
from tools.check_site import KNOWN, main, problems

INDEX = f"Search.setIndex({json.dumps({'terms': dict.fromkeys(KNOWN, 0), 'titleterms': {}})})"
FIRST = """<html><link rel="stylesheet" href="_static/a.css?v=1"><link rel="canonical" href="https://x/">
<body id="top"><a href="other.html#here">o</a> <a href="#top">t</a> <a href="https://dqlite.io/">out</a>
<img src="_static/a%20b.png"><img src="data:image/png;base64,AA"></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.css").write_text("a { background: url(data:x) } b { mask: url('a b.png') }")
    (tmp_path / "_static" / "a b.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(FIRST)
    (tmp_path / "other.html").write_text('<p><span id="here"></span><a href="index.html">i</a></p>')
    (tmp_path / "searchindex.js").write_text(INDEX)
    return tmp_path


def test_a_site_without_fault(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(problems(site)) == []
    assert main([str(site)]) == 0
    assert capsys.readouterr().out == "2 pages: nothing is dead, nothing is loaded\n"


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        ('<a href="gone.html">', "leads to gone.html, which is not there"),
        ('<a href="index.html#gone">', "leads to index.html#gone, where there is no such anchor"),
        ('<a href="../other.html">', "leads to ../other.html, which is not there"),
        ('<img src="gone.png">', "leads to gone.png, which is not there"),
        ('<script src="https://cdn/x.js"></script>', "loads https://cdn/x.js"),
        ('<link rel="stylesheet" href="//fonts/x.css">', "loads //fonts/x.css"),
        ('<link rel="icon" href="http://x/i.ico">', "loads http://x/i.ico"),
        ('<img srcset="https://x/a.png 2x">', "loads https://x/a.png"),
        ("<style>@import 'https://x/a.css';</style>", "loads https://x/a.css"),
        ('<p style="background: url(https://x/a.png)">', "loads https://x/a.png"),
    ],
)
def test_what_is_wrong_with_a_page(site: Path, page: str, wrong: str) -> None:
    with (site / "other.html").open("a") as file:
        file.write(page)
    assert list(problems(site)) == [f"other.html: {wrong}"]


def test_what_is_wrong_with_a_site(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "lonely.html").write_text("")
    (site / "genindex.html").write_text("")
    (site / "_static" / "a.css").write_text("@font-face { src: url(https://fonts/x.woff) }")
    (site / "searchindex.js").write_text(INDEX.replace(KNOWN[0], "word"))
    assert main([str(site)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "_static/a.css: loads https://fonts/x.woff",
        "lonely.html: no page leads there",
        f"searchindex.js: {KNOWN[0]!r} is not found",
    ]
    (site / "searchindex.js").unlink()
    assert any("nothing can be searched" in line for line in problems(site))


def test_numbers_are_words_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    language = importlib.import_module("search_numbers").WithNumbers({})
    words = ["FAILURE", "10250", "12", "v2", "19001"]
    found = ["FAILURE", "n10250", "12", "v2", "n19001"]
    assert language.split(", ".join(words)) == found
    if (node := shutil.which("node")) is not None:  # what a browser makes of a question
        asked = f"{language.js_splitter_code}; console.log(splitQuery({', '.join(words)!r}).join())"
        done = subprocess.run([node, "-e", asked], capture_output=True, text=True, check=True, timeout=300)
        assert done.stdout.strip() == ",".join(found)


@pytest.mark.skipif(not DEEP, reason="takes a minute, and is part of `make check`")
def test_the_site_itself(tmp_path: Path) -> None:
    if importlib.util.find_spec("furo") is None:
        pytest.skip("needs the extra `docs`")
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    subprocess.run([*sphinx, str(DOCS), str(tmp_path / "site")], cwd=ROOT, check=True, timeout=900)
    assert list(problems(tmp_path / "site")) == []
