"""Servers whose release the tables do not know: what differs is told, and fails nothing.

Debian forky moves, so that one day its packages are newer than the rows of `nodes.SERVERS`. Such a server
runs with the newest rules; a test that fails on it counts as an expected failure, and the run ends with a
table of them: the list of what to look at before the row's `release` is raised.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.real.nodes import SERVERS, moved

_KINDS = pytest.StashKey[set[str]]()
_DIFFERENCE = "difference of a moved release"


def note(request: pytest.FixtureRequest, kind: str) -> None:
    """Remember that this test talks to a server of this kind."""
    if isinstance(request.node, pytest.Item):
        request.node.stash.setdefault(_KINDS, set()).add(kind)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    kinds = sorted(kind for kind in item.stash.get(_KINDS, ()) if moved(kind))
    if report.failed and kinds and call.excinfo is not None:
        what = ", ".join(f"{kind} is {moved(kind)}" for kind in kinds)
        lines = str(call.excinfo.value).splitlines() or [call.excinfo.typename]
        report.outcome = "skipped"
        report.wasxfail = f"{what}, the tables are of {', '.join(SERVERS[kind].release for kind in kinds)}"
        report.user_properties.append((_DIFFERENCE, f"{what}  {item.nodeid}  {lines[0][:100]}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = sorted(
        str(text)
        for report in terminalreporter.getreports("xfailed")
        for name, text in report.user_properties
        if name == _DIFFERENCE
    )
    if found:
        terminalreporter.section("differences of servers that are newer than the tables")
        for line in found:
            terminalreporter.write_line(line)
