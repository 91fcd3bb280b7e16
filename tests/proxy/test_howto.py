"""The commands of docs/howto/products.md as they stand, on what stands in for each product.

A command is run in a folder of its own, with paths, addresses and ports replaced by those of this machine,
and LOCAL by what the proxy before it printed. `dqlite` is the shell of go-dqlite. A proxy runs until its
block is over.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme
import yaml

from dqlitewire.testing import DqliteServer
from tests.dial.relays import Relay
from tests.downstream.shells import SHELLS, require_shell
from tests.proxy.test_command import running
from tests.real.fixtures import require, require_server
from tests.real.nodes import Node, clean_environment, free_port, suite_command
from tests.traffic import wire
from tests.traffic.command import run
from tests.waiting import wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "products.md").read_text()
SHELL = "go-dqlite 2.0.0"
KIND = "1.18.1"  # of the same release of Debian
NODES = 3
PATIENCE = 30


def blocks(section: str) -> list[list[str]]:
    """The commands of each block of a section."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    joined = [block.replace("\\\n", " ") for block in re.findall(r"```console\n(.*?)```", text, re.S)]
    return [[line[2:] for line in block.splitlines() if line.startswith("# ")] for block in joined]


class Reader:
    """Somebody who types the commands of the page.

    Args:
        folder: where they are typed.
        replaced: what stands in the page -> what stands here.
    """

    def __init__(self, folder: Path, replaced: dict[str, str]) -> None:
        self.folder, self.replaced = folder, replaced

    def run(self, commands: list[str]) -> list[str]:
        """Run the commands of a block and return what each printed."""
        printed = []
        with contextlib.ExitStack() as closing:
            closing.enter_context(contextlib.chdir(self.folder))
            for command in commands:
                for old, new in self.replaced.items():
                    command = command.replace(old, new)
                words = shlex.split(command)
                if words[:2] == ["dqlite-wire", "proxy"]:
                    pairs = max(1, sum("=" in word for word in words))
                    _, locals_, _ = closing.enter_context(running(*words[2:], pairs=pairs))
                    self.replaced["LOCAL"] = locals_[0]
                    printed.append("")
                else:
                    printed.append(self._one(words, command))
        return printed

    @staticmethod
    def _one(words: list[str], command: str) -> str:
        if words[0] == "dqlite-wire":
            result = run(*words[1:])
            assert (result.code, result.err) == (0, ""), command
            return result.out
        if words[0] == "dqlite":
            program = suite_command(SHELLS[SHELL].suite, "dqlite")
            done = subprocess.run(
                [*program, *words[1:]],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                env=clean_environment(),
            )
        else:
            # a controller's python3 has PyYAML, and so has that of the suite
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                command,
                shell=True,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                env={**os.environ, "PATH": path},
            )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout


def test_every_section_has_a_test() -> None:
    tried = re.findall(r"^## (.*)$", PAGE, re.M)
    assert [name for name in tried if blocks(name)] == [
        "Where the sockets are",
        "What TLS hides",
        "MicroK8s and Canonical Kubernetes",
        "LXD and Incus",
        "MicroCloud and others on microcluster",
        "Juju",
        "What the daemons say to each other",
    ]


# ---- any node


def test_sockets(tmp_path: Path) -> None:
    require("" if shutil.which("ss") else "ss is not installed")
    ((tcp, unix),) = blocks("Where the sockets are")
    name = f"@dqlite-test-{os.getpid()}"
    with DqliteServer() as node, DqliteServer(unix=name):
        listed, abstract = Reader(tmp_path, {}).run([tcp, unix])
        assert re.search(rf"^LISTEN .* {re.escape(node.address)} ", listed, re.MULTILINE)
        assert name in abstract.splitlines()


def test_tls_hides_everything(tmp_path: Path) -> None:
    ((tcpdump, decode),) = blocks("What TLS hides")
    shown = PAGE.partition(f"# {decode}\n")[2].partition("\n```")[0]
    if shutil.which("tcpdump"):  # compiles the filter, for which it needs no rights
        subprocess.run(
            ["tcpdump", "-y", "EN10MB", "-d", shlex.split(tcpdump)[-1]], check=True, capture_output=True
        )
    hello = [(True, b"\x16\x03\x01\x02\x00" + bytes(500)), (False, b"\x16\x03\x03" + bytes(500))]
    packets = wire.frames(wire.conversation(hello), wire.Path(server_port=8443))
    (tmp_path / "api.pcap").write_bytes(wire.pcap(packets))
    with contextlib.chdir(tmp_path):
        result = run(*shlex.split(decode)[1:])
    assert (result.code, result.out, result.err) == (3, "", f"{shown}\n")


# ---- MicroK8s: go-dqlite's demo program in TLS


def own_certificate(folder: Path, name: str, host: str) -> None:
    """A certificate that signs itself, as the products make them."""
    subject = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1,IP:::1"]
    files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    subprocess.run(["openssl", "req", *kind, *files, *subject], check=True, capture_output=True)


@contextmanager
def demo_cluster(folder: Path) -> Iterator[Path]:
    """Three nodes of `dqlite-demo`; the last one's folder, with its store and the cluster's certificate."""
    own_certificate(folder, "cluster", "k8s")
    program = suite_command(SHELLS[SHELL].suite, "dqlite-demo")
    tls = ["--cert", str(folder / "cluster.crt"), "--key", str(folder / "cluster.key")]
    ports = [free_port() for _ in range(NODES)]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    with contextlib.ExitStack() as closing:
        for number, address in enumerate(addresses):
            here = ["--db", address, "--api", f"127.0.0.1:{free_port()}", "--dir", str(folder)]
            join = ["--join", addresses[0]] if number else []
            process = subprocess.Popen(
                [*program, *here, *tls, *join],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=clean_environment(),
            )
            closing.callback(process.wait)
            closing.callback(process.kill)
            store = folder / address / "cluster.yaml"
            wait_for(partial(names, store, number + 1), "node of the demo")
        for name in ("cluster.crt", "cluster.key"):
            shutil.copy(folder / name, store.parent)
        # its nodes look at their roles every 30 s, and change them where one was slow to join
        wait_for(lambda: run("probe", store).code == 0, "healthy demo", 2 * PATIENCE)
        yield store.parent


def names(store: Path, count: int) -> bool:
    """Whether a store is there and has so many nodes."""
    return store.exists() and len(yaml.safe_load(store.read_text()) or ()) == count


def test_microk8s(tmp_path: Path) -> None:
    require_shell(SHELL)
    require("" if shutil.which("openssl") else "openssl is not installed")
    plain, tls = blocks("MicroK8s and Canonical Kubernetes")
    with demo_cluster(tmp_path) as folder:
        replaced = {"/var/snap/microk8s/current/var/kubernetes/backend": str(folder)}
        reader = Reader(tmp_path, replaced)
        probed, top, _, _, decoded, stats = reader.run(plain)
        assert probed.startswith("healthy: leader ")
        assert f"{NODES} members" in probed
        assert top.count("127.0.0.1:") >= NODES
        assert "SELECT name FROM sqlite_master" in decoded
        assert "SELECT name FROM sqlite_master" in stats
        _, leader, decoded = reader.run(tls)
        assert leader.strip().startswith("127.0.0.1:")
        assert (
            f"went on as: {decoded.partition('went on as: ')[2].partition(' at ')[0]} at {leader.strip()}"
            in decoded
        )


# ---- LXD, MicroCloud: TLS that wants a member's certificate, and an HTTP upgrade


@contextmanager
def upgraded_node(folder: Path, path: str) -> Iterator[str]:
    """The address of a node as it advertises it: what listens there is TLS and HTTP."""
    require_server(KIND)
    require("" if shutil.which("openssl") else "openssl is not installed")
    own_certificate(folder, "cluster", "member1")
    own_certificate(folder, "server", "member2")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cluster.crt", folder / "cluster.key")
    context.load_verify_locations(folder / "server.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with front(tls=context, path=path) as address:
        yield address


@contextmanager
def front(**of_relay: object) -> Iterator[str]:
    """The address of a node that a relay stands in front of."""
    bound = f"127.0.0.1:{free_port()}"
    with Relay(bound, **of_relay) as relay:  # type: ignore[arg-type]
        node = Node(KIND, options=("--bind", bound))
        node.address = relay.address
        with node:
            yield relay.address


def test_lxd(tmp_path: Path) -> None:
    require_shell(SHELL)
    (commands,) = blocks("LXD and Incus")
    with upgraded_node(tmp_path, "/internal/database") as address:
        ports = {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (9101, 9102, 9103)}
        there = {"10.0.0.1:8443": address, "/var/lib/lxd": str(tmp_path)}
        names, probed, _, _, decoded = Reader(tmp_path, {**there, **ports}).run(commands)
        assert names.splitlines()[1].startswith("    DNS:member1, IP Address:127.0.0.1")
        assert "healthy" in probed
        assert f"went on as: 1 at {ports['127.0.0.1:9101']}" in decoded
        assert "SELECT name FROM sqlite_master" in decoded


def test_microcloud(tmp_path: Path) -> None:
    (commands,) = blocks("MicroCloud and others on microcluster")
    with upgraded_node(tmp_path, "/core/internal/database") as address:
        write_store(tmp_path / "database" / "cluster.yaml", address)
        reader = Reader(tmp_path, {"/var/snap/microcloud/common/state": str(tmp_path)})
        _, _, probed, decoded = reader.run(commands)
        assert "healthy" in probed
        assert f"leader       1 at {reader.replaced['LOCAL']}" in probed
        assert "LEADER" in decoded


def write_store(path: Path, address: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump([{"Address": address, "ID": 1, "Role": 0}]))


# ---- Juju: an authority's certificates, in agent.conf; alone and plain


def test_juju(tmp_path: Path) -> None:
    require_server(KIND)
    in_tls, plain = blocks("Juju")
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "juju-apiserver", "juju-mongodb", "anything")
    (cert,) = made.cert_chain_pems
    config = {
        "cacert": authority.cert_pem.bytes().decode(),
        "controllercert": cert.bytes().decode(),
        "controllerkey": made.private_key_pem.bytes().decode(),
    }
    (tmp_path / "agent.conf").write_text("# format 2.0\n" + yaml.safe_dump(config))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    there = {
        "/var/lib/juju/agents/machine-0": str(tmp_path),
        "/var/lib/juju/dqlite": str(tmp_path / "dqlite"),
    }
    for commands, of_relay in ((in_tls, {"tls": context}), (plain, {})):
        with front(**of_relay) as address:
            write_store(tmp_path / "dqlite" / "cluster.yaml", address)
            *_, probed, decoded = Reader(tmp_path, dict(there)).run(commands)
            assert "healthy" in probed
            assert "LEADER" in decoded


# ---- the daemons themselves


def test_strace(tmp_path: Path, real_nodes: Callable[[str], Node]) -> None:
    require("" if shutil.which("strace") else "strace is not installed")
    (commands,) = blocks("What the daemons say to each other")
    node = real_nodes(KIND)
    assert node.process is not None
    words = shlex.split(commands[0].replace("PID", str(node.process.pid)))
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        if "attached" not in said:
            process.wait()
            pytest.skip(said)
        assert run("probe", node.address).code == 0
        end = time.monotonic() + PATIENCE
        while not (found := descriptor(tmp_path)) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    reader = Reader(tmp_path, {"13<": f"{found}<"})
    listed, _, _, decoded = reader.run(commands[1:])
    assert re.search(rf"\d+ read\({found}<TCP:\[{re.escape(node.address)}->", listed)
    shown = [line.split()[1:3] for line in decoded.splitlines()]
    assert shown[:3] == [[">", "HANDSHAKE"], [">", "LEADER"], ["<", "LEADER"]]
    assert ["<", "SERVERS"] in shown


def descriptor(folder: Path) -> str:
    """The descriptor of a connection that was closed by the client."""
    for path in folder.glob("trace.*"):
        if match := re.search(r'^read\((\d+)<TCP:.*, "", \d+\) += 0$', path.read_text(), re.M):
            return match[1]
    return ""
