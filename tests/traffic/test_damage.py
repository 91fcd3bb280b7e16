"""Whatever is wrong with an input, reading it ends in what is documented."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.traffic import damage


def test_samples_are_read_whole() -> None:
    for sample in damage.samples():
        source = sample.open()
        found = [item for item in damage.items(source) if item.code is not None]
        assert found, sample.kind
        assert sample.kind == "pcap, cut packets" or not any(item.strange for item in found), sample.kind


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("part", range(4))
def test_spoilt_inputs(part: int) -> None:
    for number in range(part * 30, part * 30 + 30):
        damage.trial(9, number)


@pytest.mark.usefixtures("traced")
def test_every_number_at_its_extremes() -> None:
    chance = random.Random(1)
    for sample in damage.fields():
        damage.check(sample, chance, "extremes")
