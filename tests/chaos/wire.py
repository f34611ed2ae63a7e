"""A cluster whose wires can be cut: every listener of every broker is advertised through a TCP proxy of ours.

A cut link holds what was sent, in both directions, and delivers it when it heals: connections stay open and nothing
answers, as when a network drops packets. Who connects is told by the process that holds the other end (/proc/net/tcp),
so a link is one of broker to broker or of all clients to a broker, and links are cut one by one. Linux only.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from itertools import permutations
from pathlib import Path

from streams.dev.cluster import KafkaCluster
from streams.dev.ports import free_ports

# Healthy brokers of a busy machine must keep their sessions and their quorum: `headrace dev` gives them 1 s.
PATIENCE = {
    "broker.session.timeout.ms": "3000",
    "controller.quorum.fetch.timeout.ms": "4000",
    "controller.quorum.election.timeout.ms": "2000",
    "initial.broker.registration.timeout.ms": "180000",
}
CLIENTS = 0  # the other end of a link where it is no broker
_READ_BYTES = 65536
_CALL_S = 10.0
_CLIENT, _BROKER, _CONTROLLER = "PLAINTEXT", "INTERNAL", "CONTROLLER"

Link = tuple[int, int]  # who connects, and to which broker


def socket_inode(port: int, to_port: int) -> str:
    """Inode of the connection from local `port` to local `to_port`, empty when there is none."""
    ends = (f":{port:04X}", f":{to_port:04X}")
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()  # proc(5): local address is field 1, remote 2, inode 9
            if (fields[1][-5:], fields[2][-5:]) == ends:
                return fields[9]
    return ""


def holds(pid: int, inode: str) -> bool:
    """Whether process `pid` has the socket open."""
    try:
        return any(entry.readlink() == Path(f"socket:[{inode}]") for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has ended, or closed a file meanwhile
        return False


class Wire:
    """The proxies, in a thread of their own.

    Args:
        pids: process id of each broker that runs.
    """

    def __init__(self, pids: Callable[[], dict[int, int]]) -> None:
        self._pids = pids
        self._cut: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._healed = asyncio.Event()
        self._connections: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()

    def lead_to(self, node: int, port: int, *, brokers: bool) -> int:
        """Open a proxy before `port` of broker `node`, where brokers connect or only clients do; its own port."""

        async def serve() -> int:
            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                link = (self._source(writer) if brokers else CLIENTS, node)
                await self._connect(link, port, reader, writer)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(serve(), self._loop).result(_CALL_S)

    def cut(self, links: Iterable[Link]) -> None:
        """Let nothing through on `links` until they heal."""
        links = set(links)
        self._loop.call_soon_threadsafe(self._change, links)

    def heal(self) -> None:
        """Let everything through, what was held first."""
        self._loop.call_soon_threadsafe(self._change, set())

    def _change(self, cut: set[Link]) -> None:
        self._cut = cut
        healed, self._healed = self._healed, asyncio.Event()
        healed.set()

    async def _passable(self, link: Link) -> None:
        while link in self._cut:
            await self._healed.wait()

    async def _connect(self, link: Link, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passable(link)
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # the broker is down, which who connects learns by the end of the connection
            writer.close()
            return
        ends = {writer, onward_writer}
        self._connections |= ends
        await asyncio.gather(self._pump(link, reader, onward_writer), self._pump(link, onward_reader, writer))
        self._connections -= ends

    def _source(self, writer: asyncio.StreamWriter) -> int:
        inode = socket_inode(writer.get_extra_info("peername")[1], writer.get_extra_info("sockname")[1])
        return next((node for node, pid in self._pids().items() if inode and holds(pid, inode)), CLIENTS)

    async def _pump(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_READ_BYTES):
                await self._passable(link)
                writer.write(data)
                await writer.drain()
            await self._passable(link)  # an end is told late too
        except OSError:  # one end hung up: so does the proxy
            pass
        finally:
            writer.close()

    def close(self) -> None:
        """End every connection and the thread."""
        self.heal()

        async def end() -> None:
            deadline = time.monotonic() + _CALL_S / 2
            while self._connections and time.monotonic() < deadline:
                for writer in self._connections:
                    writer.close()
                await asyncio.sleep(0.01)  # their pumps end, and take them out

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(_CALL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S)


class WiredCluster(KafkaCluster):
    """Three brokers of this machine behind a `Wire`; clients get the proxies' addresses too."""

    def __init__(self, heap_mb: int = 256) -> None:
        super().__init__(3, heap_mb=heap_mb, overrides=PATIENCE)
        self.wire = Wire(self._pids)
        self._ports: dict[tuple[int, str], int] = {}  # of the proxies
        self._internal: dict[int, int] = {}

    def isolate(self, node: int) -> None:
        """Cut a broker from the others, brokers and controllers alike; clients reach all of them."""
        self.wire.cut(link for link in permutations(self.brokers, 2) if node in link)

    def seclude(self, node: int) -> None:
        """Cut all clients from a broker; the brokers see each other."""
        self.wire.cut({(CLIENTS, node)})

    def heal(self) -> None:
        """Join what was cut."""
        self.wire.heal()

    @property
    def bootstrap_servers(self) -> str:
        """The proxies before the brokers."""
        return ",".join(f"{self.layout.host}:{self._port(node, _CLIENT)}" for node in self.brokers)

    def _pids(self) -> dict[int, int]:
        identities = {node: broker.identity for node, broker in self.brokers.items()}
        return {node: int(identity.split(":")[0]) for node, identity in identities.items() if identity}

    def _port(self, node: int, listener: str) -> int:
        if (node, listener) not in self._ports:
            known = self.brokers[node].node
            if node not in self._internal:
                self._internal[node] = free_ports(1)[0]
            behind = {_CLIENT: known.port, _BROKER: self._internal[node], _CONTROLLER: known.controller_port}
            self._ports[node, listener] = self.wire.lead_to(node, behind[listener], brokers=listener != _CLIENT)
        return self._ports[node, listener]

    def _start_one(self, node: int) -> None:
        known, host = self.brokers[node].node, self.layout.host
        advertised = [f"{name}://{host}:{self._port(node, name)}" for name in (_CLIENT, _BROKER, _CONTROLLER)]
        behind = {_CLIENT: known.port, _BROKER: self._internal[node], _CONTROLLER: known.controller_port}
        overrides = {
            **self._overrides,
            "listeners": ",".join(f"{name}://{host}:{port}" for name, port in behind.items()),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in behind),
            "inter.broker.listener.name": _BROKER,
            "controller.quorum.voters": ",".join(f"{n}@{host}:{self._port(n, _CONTROLLER)}" for n in self.brokers),
        }
        self.brokers[node].start(overrides)
        self._up.add(node)

    def close(self) -> None:
        """End the brokers, then the wire."""
        super().close()
        self.wire.close()
