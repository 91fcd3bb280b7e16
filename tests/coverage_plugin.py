"""A plugin for `coverage`: generated code is measured like the package's own modules.

    [tool.coverage.run]
    plugins = ["tests.coverage_plugin"]
    core = "ctrace"

    [tool.coverage."tests.coverage_plugin"]
    folder = "build/generated"

Generated functions have the names of files that do not exist (`dqlitewire.generated`). When one is called
for the first time, its source is written into the folder under the same name, and coverage takes that file
for the source: so a report can be made by another process, when the functions are long gone.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from coverage import CoveragePlugin, FileReporter, FileTracer
from coverage.parser import PythonParser

from dqlitewire import generated

FOLDER = Path(generated.__file__).with_suffix("")
MAX_NAME = 200


class Tracer(FileTracer):
    """Tells which file holds the source of a generated function."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept

    def source_filename(self) -> str:
        return str(self.kept)


class Reporter(FileReporter):
    """Knows the lines of a generated function: all but the first, whose `def` ran under another name."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename)
        self.parser = PythonParser(filename=filename)
        self.parser.parse_source()

    def lines(self) -> set[int]:
        return self.parser.statements - {1}

    def arcs(self) -> set[tuple[int, int]]:
        return {arc for arc in self.parser.arcs() if 1 not in arc}

    def exit_counts(self) -> dict[int, int]:
        return self.parser.exit_counts()


class Plugin(CoveragePlugin):
    """Keeps the source of each generated function that is called."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).resolve()

    def file_tracer(self, filename: str) -> FileTracer | None:
        path = Path(filename)
        source = generated.source_of_file(filename) if path.parent == FOLDER else None
        if source is None:
            return None
        name = path.name
        if len(name) > MAX_NAME:
            name = f"{name[:MAX_NAME]} {sha256(name.encode()).hexdigest()[:12]}.py"
        kept = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(source)
        return Tracer(kept)

    def file_reporter(self, filename: str) -> FileReporter:
        return Reporter(filename)


def coverage_init(registry: Any, options: dict[str, Any]) -> None:
    """Register the plugin: what coverage calls when it begins."""
    registry.add_file_tracer(Plugin(options.get("folder", "build/generated")))
