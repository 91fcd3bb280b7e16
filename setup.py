"""Build the native reader and writer of rows where that can be done; all else stands in pyproject.toml.

The extension is optional: without a compiler, or without Python's headers, the package is complete without
it, and a wheel that lacks it is tagged for every platform. `DQLITEWIRE_PURE=1` leaves it out. So do Pythons
without a GIL, which have no stable ABI yet, and Pythons other than CPython. What an index shows is the README
without what leads into the tree, which an index has not got.
"""

import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

EXTENSION = Extension(
    "dqlitewire._speedups",
    ["src/dqlitewire/_speedups.c"],
    extra_compile_args=["-O3", "-g0"],  # debugging information would name the folder of the build
    py_limited_api=True,
    optional=True,
)


ELSEWHERE = r"(?:https?:|mailto:|#)"
CODE = r"^```.*?^```|`[^`\n]+`"
LEADS_INTO_THE_TREE = re.compile(
    rf"(?P<code>{CODE})"
    rf"|<picture>.*?</picture>\n*|<img\b[^>]*\bsrc=\"(?!{ELSEWHERE})[^>]*>\n*"
    rf"|!\[[^\]]*\]\((?!{ELSEWHERE})[^)]*\)\n*"
    rf"|\[(?P<words>[^\]]+)\]\((?!{ELSEWHERE})[^)]*\)",
    re.MULTILINE | re.DOTALL,
)


def for_an_index(text: str) -> str:
    """Take pictures and links that lead into the tree out of a Markdown text; of a link the words stay."""
    return LEADS_INTO_THE_TREE.sub(lambda found: found["code"] or found["words"] or "", text)


class Build(build_ext):
    """Build the extension, and forget it where that failed: other commands take what was to be for built.

    An editable installation has the file in the tree, where that of an older source must not stay.
    """

    def run(self) -> None:
        for made in self.get_output_mapping().values():
            name, ending = os.path.basename(made).partition(".")[0], os.path.splitext(made)[1]
            # Pythons differ in what stands between the two: .abi3.so, .abi3-x86_64-linux-gnu.so
            for path in Path(made).parent.glob(f"{name}.*{ending}"):
                path.unlink()
        super().run()
        if not all(map(os.path.exists, self.get_outputs())):
            self.extensions = self.distribution.ext_modules = []

    def build_extensions(self) -> None:
        # some Pythons ask for an rpath, the folder of their own library; the module needs nothing of it
        if linker := getattr(self.compiler, "linker_so", None):
            self.compiler.linker_so = [word for word in linker if not word.startswith("-Wl,-rpath")]
        super().build_extensions()


class Wheel(bdist_wheel):
    """Make a wheel whose tag tells what is inside."""

    def run(self) -> None:
        self.run_command("build_ext")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()


wanted = os.environ.get("DQLITEWIRE_PURE", "0") in ("", "0")
possible = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")

index = {
    "long_description": for_an_index(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
    "long_description_content_type": "text/markdown",
}
# a folder that is left from another build would put its old modules into this one
with tempfile.TemporaryDirectory() as scratch:
    if wanted and possible:
        setup(
            **index,
            ext_modules=[EXTENSION],
            cmdclass={"build_ext": Build, "bdist_wheel": Wheel},
            options={"build": {"build_base": scratch}, "bdist_wheel": {"py_limited_api": "cp311"}},
        )
    else:
        setup(**index, options={"build": {"build_base": scratch}})
