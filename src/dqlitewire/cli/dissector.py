"""`dqlite-wire dissector`: the Lua file that makes Wireshark and tshark understand dqlite."""

from __future__ import annotations

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import emit

EXITS = (Exit.OK, Exit.INPUT)


def command() -> Exit:
    """Print a dissector for Wireshark, in Lua.

    dqlite-wire dissector > dqlite.lua, and then wireshark -X lua_script:dqlite.lua, or the file in the
    folder of personal Lua plugins (Help, About Wireshark, Folders; tshark -G folders).
    """
    from dqlitewire.dissector import dissector

    for line in dissector().splitlines():
        emit(line)
    return Exit.OK
