"""Whatever is wrong with an input, reading it ends in what is documented."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.traffic import damage


def test_samples_are_read_whole() -> None:
    for sample in damage.samples():
        source = sample.open()
        found = [item for item in damage.items(source) if item.code is not None]
        assert found, sample.kind
        assert sample.kind == "pcap, cut packets" or not any(item.strange for item in found), sample.kind


@pytest.mark.parametrize("part", range(4))
def test_spoilt_inputs(part: int) -> None:
    tracemalloc.start()
    try:
        for number in range(part * 90, part * 90 + 90):
            damage.trial(9, number)
    finally:
        tracemalloc.stop()
