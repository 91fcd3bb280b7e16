"""docs/reference/environment.md has every variable that the project reads, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.docs.blocks import DOCS
from tests.docs.environment import in_python, read_by, read_variables

PAGE = (DOCS / "reference" / "environment.md").read_text()
OWN_OF_MAKE = {"MAKE", "MAKECMDGOALS"}
OF_SSL = {"SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"}  # tests/docs/test_security.py has what they do


def test_the_page_has_every_variable() -> None:
    told = re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert len(told) == len(set(told))
    found = read_variables()
    assert {name: found[name] for name in set(found) - set(told) - OWN_OF_MAKE} == {}, "the page lacks these"
    assert set(told) - set(found) == OF_SSL, "nothing reads these"


def test_ways_to_read_are_seen(tmp_path: Path) -> None:
    source = """
import os
from os import environ
FIRST, SECOND = "A_1", "B_1"
os.environ["C_1"]; os.environ.get("D_1"); environ.get(FIRST, ""); os.getenv("E_1"); environment.get(SECOND)
"F_1" in os.environ
os.environ["NOT_1"] = "set"
"""
    assert sorted(in_python(ast.parse(source))) == ["A_1", "B_1", "C_1", "D_1", "E_1", "F_1"]
    script = tmp_path / "script"
    script.write_text(
        '#!/bin/bash\n# $NOT_1\nNOT_2=1; echo ${A_1:-x} $NOT_2 "$B_1"\nC_1=${C_1:-2}; echo $C_1\n'
    )
    assert read_by(script) == {"A_1", "B_1", "C_1"}
    code = tmp_path / "code.c"
    code.write_text('x = getenv("A_1");')
    assert read_by(code) == {"A_1"}
    makefile = tmp_path / "Makefile"
    makefile.write_text("A_1 ?=\nPY := $(B_1)/bin\nall:\n\t$(PY) $(if $(C_1),x) $(or $(D_1),1)\n")
    assert read_by(makefile) >= {"B_1", "C_1", "D_1"}
