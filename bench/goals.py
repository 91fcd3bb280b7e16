"""Every goal of the benchmark, in one table.

The shapes: int1 is one INTEGER; itf3 INTEGER, TEXT of 20 characters, FLOAT; itv3 the same
with texts of 1 to 39, which no trick with equal lengths can help; mix10 ten columns with
NULLs that vary from row to row; if30 15 INTEGER and 15 FLOAT; it1k INTEGER and 1 KiB of
TEXT; blob64k one BLOB of 64 KiB.

``RATIOS`` says how many times as fast as a candidate ours must be (floor) and is meant
to be (stretch), measured side by side in one run on CPython 3.13; there, ours is pure Python.
``NATIVE_TIMES`` says which part of pure Python's time the native module may take, and
``GO_TIMES`` which part of Go's. ``BOUNDS`` holds what else has an upper bound: growth from
n to 4n, memory, microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[float, float | None] | tuple[None, None]
SHOWN = (None, None)  # no goal, but worth seeing

# bytes.index is slower before 3.13, which only the comparison with C code feels
OLDER_PYTHON = 0.75


@dataclass(frozen=True)
class Goal:
    """One line of the printed table: a figure, and what it has to reach."""

    work: str
    against: str
    floor: float | None  # None: shown, not judged
    stretch: float | None = None
    at_most: bool = False
    unit: str = "x"

    def met(self, measured: float) -> bool:
        if self.floor is None:
            return True
        return measured <= self.floor if self.at_most else measured >= self.floor

    def met_stretch(self, measured: float) -> bool:
        if self.stretch is None:
            return self.met(measured)
        return measured <= self.stretch if self.at_most else measured >= self.stretch


def _ratios(table: dict[str, tuple[Pair, ...]], columns: tuple[str, ...]) -> list[Goal]:
    return [
        Goal(work, against, *pair)
        for work, pairs in table.items()
        for against, pair in zip(columns, pairs, strict=False)
    ]


# fmt: off
RATIOS = _ratios(
    {
        #                         0.2.2        0.8.0        sqlite3 fetchall  msgpack
        "stream itf3":          ((9, 11.3),   (6.5, 8),    (0.95, 1.1)),
        "stream itv3":          ((9, 11.3),   (6.5, 8),    SHOWN),
        "stream int1":          ((20, 24),    (15, 18),    (2.2, 2.6)),
        "stream mix10":         ((6.3, 8.5),  (4.4, 5.8),  (0.6, 0.75)),
        "frame int1":           ((36, 49),    (23, 32),    (3.1, 4),         (0.65, 0.9)),
        "frame itf3":           ((11.5, 15.5), (7, 9.8),   (0.9, 1.17),      (0.18, 0.25)),
        "frame mix10":          ((6.5, 10),   (4.1, 6.1),  (0.6, 0.8),       (0.13, 0.2)),
        "frame if30":           ((24, 50),    (15.5, 33),  (2.4, 4.8),       (0.8, 1.1)),
        "frame it1k":           ((7, 9.5),    (6, 8.3),    (1, 1.6),         (0.24, 0.33)),
        "frame blob64k":        ((1.2, 2.5),  (1, 2),      (0.6, 1.4),       (0.22, 0.6)),
        "params 0":             ((3.2, 7.8),  (3.8, 9.5)),
        "params 5":             ((4.4, 6.9),  (5.2, 8.2)),
        "params 50":            ((7.4, 10),   (9, 12)),
        "params 1000":          ((4.7, 6.1),  (5.7, 7.3)),
        "encode RESULT":        ((5.2, 6.8),  (5.9, 7.5)),
        "encode STMT":          ((5.5, 6.8),  (5.9, 7.5)),
        "encode DB":            ((5.2, 6.8),  (5.9, 7.5)),
        "encode EMPTY":         ((12, 15),    SHOWN),
        "decode RESULT":        ((5.8, 8),    (6.1, 8.5)),
        "decode STMT":          ((5.8, 8),    (6.1, 8.5)),
        "decode DB":            ((5.8, 8),    (6.1, 8.5)),
        "encode LEADER":        ((3, 4),      (3.8, 5)),
        "encode FAILURE":       ((3, 4),      (3.8, 5)),
        "encode OPEN":          ((3, 4),      (3.8, 5)),
        "decode LEADER":        ((4, 5.3),    (4.3, 5.6)),
        "decode FAILURE":       ((4, 5.3),    (4.3, 5.6)),
        "decode OPEN":          ((4, 5.3),    (4.3, 5.6)),
        "feed RESULT":          ((2.6, 4.5),  (2.7, 4.7)),
        "write itf3":           ((6.5, 8.5),  (6, 7.8)),
        "write mix10":          ((7.2, 10.5), (7, 10)),
        "hostile every row":    ((1.75, 2.5), (1.05, 1.5)),
        "hostile every 20 rows": ((2.9, 3.9), (1.6, 2.5)),
        "hostile after flood":  ((3.3, 14),   (1.95, 9)),
        "process import":       ((2, 2.5),    (2, 2.5)),
        "process first result": ((1.5, 2.8),  (1.2, 2.6)),
        "process after import": (SHOWN,       SHOWN),
        "memory peak":          ((2, 2.4),    (1.4, 1.55)),
    },
    ("0.2.2", "0.8.0", "sqlite3", "msgpack"),
)
# fmt: on

NATIVE_TIMES: dict[str, Pair] = {
    "stream int1": (0.78, 0.66),
    "stream itf3": (0.45, 0.35),
    "stream mix10": (0.30, 0.23),
    "stream if30": (0.68, 0.54),
    "write int1": (1 / 3.5, None),
    "write itf3": (1 / 3.5, None),
    "write mix10": (1 / 3.5, None),
    "write if30": (1 / 3.5, None),
    "params 50": (1 / 2.5, None),
    "params 1000": (1 / 7, None),
    "hostile every row": (1 / 4, None),
    "hostile every 20 rows": (1 / 4, None),
}

# Native over Go, where both keep all rows.
GO_TIMES: dict[str, Pair] = {
    "int1": (0.65, None),
    "itf3": (0.65, None),
    "mix10": (0.50, None),
    "if30": (0.80, None),
}

# Time for 4n over time for n: four times, and 60 % for what caches and allocators do.
LINEAR = 1.6 * 4

BOUNDS = [
    Goal("native import", "native", 0.5, at_most=True, unit=" ms more"),
    Goal("native memory peak", "native", 1, at_most=True),
    Goal("end-to-end", "database/sql", 1.2, 1, at_most=True),
    Goal("end-to-end", "database/sql, pure", *SHOWN, at_most=True),
    Goal("end-to-end, by the clock", "database/sql", *SHOWN, at_most=True),
    Goal("end-to-end, by the clock", "database/sql, pure", *SHOWN, at_most=True),
    Goal("memory peak", "rows + frame", 1.05, at_most=True),
    Goal("guard", "unguarded", 40, at_most=True, unit=" ns more"),
    Goal("conversation RESULT", "codec", 2, at_most=True, unit=" us more"),
    Goal("conversation stream itf3", "codec", 1.1, at_most=True),
    Goal("proxy 200 000 rows", "copier", 0.8),
    Goal("proxy 200 000 rows, socat", "socat", 1),
    Goal("proxy 200 000 rows, recorded", "copier", 0.3),
    Goal("proxy small exchange", "direct", 150, at_most=True, unit=" us more"),
    Goal("proxy small exchange, recorded", "direct", 400, at_most=True, unit=" us more"),
    Goal("proxy 2 000 idle connections", "resident", 150, at_most=True, unit=" MB"),
    Goal("embedded start", "clock", 50, at_most=True, unit=" ms"),
    Goal("embedded 100 000 rows", "node 1.18.1", 0.5),
    Goal("traffic ROWS", "stats", 40, unit=" MB/s"),
    Goal("traffic small messages", "stats", 40, at_most=True, unit=" us"),
    Goal("traffic memory, 1 GiB capture", "stats", 100, at_most=True, unit=" MB"),
]
