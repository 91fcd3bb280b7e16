"""What the project is drawn, checked, built and released with; nothing here is installed.

Programs, run as `python tools/NAME.py`:

    redraw          draws the pages, drawings and schemas that come from the code (tools/drawn)
    interface       the public interface against tests/interface.txt; `public` names its modules, `formats`
                    adds what else users depend on: commands, keys of JSON, exit codes
    signatures      types that a public signature names and no public module exports
    public_types    whether all that is public has types, by pyright's own measure
    snippets        the code of the docs as files, for type checkers
    check_site      links and names in the site that Sphinx built

`python -m tools.release` makes what is released, and tries it. The shell scripts are what the Makefile calls:
Pythons and their environments (python, pythons, native-pythons, test-pythons, venv), packages of the system
(packages, unpack, mirror), the native module (native), Wireshark's plugin (install-dissector), a clean Debian
(trial), and how the scripts go about it (plan, patiently, beside).
"""
