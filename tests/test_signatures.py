"""Whatever a public signature names can be imported from a public module, to be named by a user as well."""

from __future__ import annotations

import importlib

import pytest

from tools.signatures import hidden, named


def test_every_type_that_a_signature_names_is_public() -> None:
    assert hidden() == {}


@pytest.mark.parametrize(
    ("module", "name", "where"),
    [
        ("dqlitewire.traffic", "AnySource", "dqlitewire.traffic.frames(source)"),  # a parameter
        ("dqlitewire.testing.script", "Expect", "dqlitewire.testing.script.expect ->"),  # a result
        ("dqlitewire.dial", "Rest", "dqlitewire.dial.Verdict.rest ->"),  # of a property
        ("dqlitewire.faults", "Direction", "dqlitewire.faults.Hold.direction"),  # inherited
        ("dqlitewire.traffic", "Input", "dqlitewire.traffic.Source.inputs"),  # made by a constructor
        ("dqlitewire.faults", "OneRequest", "dqlitewire.faults.Requests"),  # in an alias
        ("dqlitewire.proxy", "Options", "dqlitewire.proxy.BlockingProxy.__init__(options)"),  # keywords
    ],
)
def test_one_that_is_not_is_seen(module: str, name: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert where in {one.where for one in named()}
    loaded = importlib.import_module(module)
    monkeypatch.setattr(loaded, "__all__", [one for one in loaded.__all__ if one != name])
    (places,) = hidden().values()
    assert where in places
