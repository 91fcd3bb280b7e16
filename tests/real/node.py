"""Run one real dqlite or cowsql node in this process, through ctypes.

Needs no compiler and nothing but the standard library. Prints "ready ADDRESS" once the node accepts
connections; ends cleanly when stdin closes or on SIGTERM or SIGINT. Node id 1 bootstraps a one-node cluster
by itself; any other id waits until a leader adds it.
"""

import argparse
import ctypes
import os
import signal
import sys
import threading

PROTOTYPES = {
    # dqlite 1.11.1 include/dqlite.h. Without the argument types ctypes would cut pointers to 32 bits.
    "create": (ctypes.c_int, ctypes.c_ulonglong, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p),
    "set_bind_address": (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p),
    "set_failure_domain": (ctypes.c_int, ctypes.c_void_p, ctypes.c_ulonglong),
    "set_network_latency_ms": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint),
    "set_snapshot_params": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint),
    "start": (ctypes.c_int, ctypes.c_void_p),
    "stop": (ctypes.c_int, ctypes.c_void_p),
    "destroy": (None, ctypes.c_void_p),
    "errmsg": (ctypes.c_char_p, ctypes.c_void_p),
}


class Library:
    def __init__(self, path):
        self.node = ctypes.c_void_p()
        loaded = ctypes.CDLL(path)
        # cowsql is a fork of dqlite that renamed its symbols and nothing else
        self.prefix = "cowsql" if hasattr(loaded, "cowsql_node_create") else "dqlite"
        self.functions = {}
        for name, (result, *arguments) in PROTOTYPES.items():
            function = getattr(loaded, f"{self.prefix}_node_{name}")
            function.restype, function.argtypes = result, arguments
            self.functions[name] = function

    def call(self, name, *arguments):
        code = self.functions[name](*arguments)
        if code:
            message = self.functions["errmsg"](self.node) if self.node else None
            sys.exit(f"{self.prefix}_node_{name}: code {code}: {(message or b'').decode(errors='replace')}")

    def create(self, node_id, address, folder):
        self.call("create", node_id, address.encode(), folder.encode(), ctypes.byref(self.node))

    def __getattr__(self, name):
        return lambda *arguments: self.call(name, self.node, *arguments)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("id", type=int)
    parser.add_argument("address", help="HOST:PORT, advertised to clients and to the other nodes")
    parser.add_argument("folder", help="where raft keeps its data")
    parser.add_argument("--library", default="libdqlite.so.0")
    parser.add_argument("--bind", help="HOST:PORT to listen on, where it differs from the advertised one")
    parser.add_argument("--domain", type=int, help="failure domain")
    parser.add_argument("--latency", type=int, help="assumed network latency in ms; scales raft's timers")
    parser.add_argument("--snapshot", help="THRESHOLD,TRAILING entries of the raft log")
    return parser.parse_args()


def wait_for_end():
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def watch_stdin():
        while os.read(0, 4096):
            pass
        stop.set()

    threading.Thread(target=watch_stdin, daemon=True).start()
    stop.wait()


def main():
    options = parse_arguments()
    os.makedirs(options.folder, exist_ok=True)
    library = Library(options.library)
    library.create(options.id, options.address, options.folder)
    library.set_bind_address((options.bind or options.address).encode())
    if options.domain is not None:
        library.set_failure_domain(options.domain)
    if options.latency is not None:
        library.set_network_latency_ms(options.latency)
    if options.snapshot:
        library.set_snapshot_params(*map(int, options.snapshot.split(",")))
    library.start()
    print("ready", options.address, flush=True)
    wait_for_end()
    library.stop()
    library.destroy()


if __name__ == "__main__":
    main()
