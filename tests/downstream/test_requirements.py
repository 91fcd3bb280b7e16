"""What the published clients require of dqlite-wire, read from their own metadata.

pip leaves this package in place under a client whose requirement its version meets, and replaces it by the
package that the index has under the same name where it does not.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dqlitewire
from tests.downstream.published import GENERATIONS, clients

CLIENTS = ("dqlite-client", "dqlite-dbapi", "sqlalchemy-dqlite")


def installed(generation: str) -> dict[str, Distribution]:
    found = distributions(path=[str(clients(generation))])
    return {canonicalize_name(distribution.metadata["Name"]): distribution for distribution in found}


def requirement(distribution: Distribution, name: str) -> Requirement:
    (found,) = (
        required
        for required in map(Requirement, distribution.requires or ())
        if canonicalize_name(required.name) == name
        and (required.marker is None or required.marker.evaluate({"extra": ""}))
    )
    return found


@pytest.mark.downstream
@pytest.mark.parametrize("client", CLIENTS)
def test_the_newest_clients_accept_this_version(client: str) -> None:
    wanted = requirement(installed("0.8.0")[client], "dqlite-wire")
    assert wanted.specifier.contains(dqlitewire.__version__), f"{client} wants {wanted}"


@pytest.mark.downstream
@pytest.mark.parametrize("client", CLIENTS)
def test_the_first_clients_need_no_deps(client: str) -> None:
    """docs/installing.md says that 0.2.2 is to be installed with `--no-deps`; wrong if that is not so."""
    wanted = requirement(installed("0.2.2")[client], "dqlite-wire")
    assert not wanted.specifier.contains(dqlitewire.__version__), f"{client} wants {wanted}"


@pytest.mark.downstream
@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_sqlalchemy_that_runs_in_the_suite_is_one_the_readme_names(generation: str) -> None:
    """The dialect allows 2.1, with which it does not work; docs/installing.md asks for less."""
    found = installed(generation)
    assert requirement(found["sqlalchemy-dqlite"], "sqlalchemy").specifier.contains("2.1.0")
    assert Requirement("sqlalchemy<2.1").specifier.contains(found["sqlalchemy"].version)
