"""Build the native reader and writer of rows where that can be done; all else stands in pyproject.toml.

The extension is optional: without a compiler, or without Python's headers, the package is complete without
it. A wheel that lacks it is tagged for every platform; setuptools alone goes by what was to be built.
`DQLITEWIRE_PURE=1` leaves it out. So do Pythons without a GIL, which have no stable ABI yet, and Pythons
other than CPython.
"""

import os
import sys
import sysconfig
import tempfile

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

EXTENSION = Extension(
    "dqlitewire._speedups",
    ["src/dqlitewire/_speedups.c"],
    define_macros=[("Py_LIMITED_API", "0x030b0000")],
    extra_compile_args=["-O3", "-g0"],  # debugging information would name the folder of the build
    py_limited_api=True,
    optional=True,
)


class Wheel(bdist_wheel):
    """A wheel whose tag tells what is inside."""

    def run(self) -> None:
        self.run_command("build_ext")
        if not any(map(os.path.exists, self.get_finalized_command("build_ext").get_outputs())):
            self.distribution.ext_modules = []
            self.root_is_pure = True
        super().run()


wanted = os.environ.get("DQLITEWIRE_PURE", "0") in ("", "0")
possible = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")

# a folder that is left from another build would put its old modules into this one
with tempfile.TemporaryDirectory() as scratch:
    if wanted and possible:
        setup(
            ext_modules=[EXTENSION],
            cmdclass={"bdist_wheel": Wheel},
            options={"build": {"build_base": scratch}, "bdist_wheel": {"py_limited_api": "cp311"}},
        )
    else:
        setup(options={"build": {"build_base": scratch}})
