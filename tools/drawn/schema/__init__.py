"""The JSON Schemas of what the commands print with --json, from declarations, enums and tables.

`tools/redraw.py` writes each into docs/schema. The fields of messages come from their declarations, and
tokens from their enums. The keys of a view are told in the modules here, and `additionalProperties: false`
makes a key that is not a fault: tests/json_output.py holds whatever the suite makes against this.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tools.drawn import DOCS
from tools.drawn.schema.decode import decode
from tools.drawn.schema.live import probe, query
from tools.drawn.schema.statistics import stats, top
from tools.drawn.schema.transcript import transcript
from tools.drawn.schema.words import Schema

__all__ = ["SCHEMAS", "files"]

FOLDER = DOCS / "schema"
SCHEMAS: dict[str, Callable[[], Schema]] = {
    "decode": decode,
    "stats": stats,
    "probe": probe,
    "top": top,
    "query": query,
    "transcript": transcript,
}


def files() -> dict[Path, str]:
    """Return the file of each schema with its text."""
    return {
        FOLDER / f"{name}.schema.json": json.dumps(made(), indent=1) + "\n" for name, made in SCHEMAS.items()
    }
