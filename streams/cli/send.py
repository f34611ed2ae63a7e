"""`headrace send`: JSON lines in, Avro messages out."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click
from confluent_kafka.admin import AdminClient

from streams.cli.options import location_options
from streams.config import Settings
from streams.engine.encryption import open_encryption
from streams.engine.raw_producer import RawProducer, batch_size_for
from streams.engine.registries import open_registry
from streams.errors import HeadraceError, InvalidMessage, NotReachable, TransientError, UsageError
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import Contract, load_contracts
from streams.messages.json_lines import JsonLines, Outgoing
from streams.security.key_ring import load_key_ring, required_key_ring
from streams.security.signatures import Signer
from streams.topology.connection import connect, list_topics
from streams.topology.loading import load_topology
from streams.topology.model import Topology

_SOURCE = "headrace-send"
_REPORT_EVERY_S = 2.0
_LOOK_EVERY = 256  # lines between two looks at the clock


@click.command()
@location_options
@click.argument("type_name", metavar="TYPE")
@click.option("--topic", required=True, help="Where the messages go.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines, one payload each; standard input without it.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of every message.")
def send(type_name: str, topic: str, path: Path | None, headers: tuple[str, ...]) -> None:
    """Send JSON lines as Avro messages of the contract TYPE.

    A line that does not fit the contract is reported and left out, the rest is sent; exit 1 then.
    """
    settings = Settings()
    more = tuple(_header(text) for text in headers)
    topology = load_topology(settings.topology)
    contract = load_contracts(settings.schemas)[type_name]
    admin = connect(settings.kafka_config())
    _require_topic(settings, admin, topology, topic, contract)
    signer = _signer(settings, topology, topic, more)
    batch_size = batch_size_for(admin, topic)
    report = _Report()
    producer = RawProducer(settings, batch_size=batch_size, on_refused=report.take_back)
    with ExitStack() as ends:
        lines = _json_lines(settings, topology, contract, more, signer, ends)
        file = ends.enter_context(path.open("rb") if path else sys.stdin.buffer)
        with producer:
            gc.set_threshold(100_000)  # thousands of messages in flight are alive, not garbage
            _send_all(file, lines, partial(_produce, producer, topic), report)
            producer.flush()
            report.finish()
    if report.invalid:
        raise HeadraceError(report.summary())


def _require_topic(settings: Settings, admin: AdminClient, topology: Topology, topic: str, contract: Contract) -> None:
    """Refuse a topic that does not exist, or that carries other contracts.

    Topics that Headrace derives (`orders.commands`) are not in the topology; they may be sent to where they exist.
    """
    declared = topology.topics.get(topic)
    if (
        declared is not None
        and contract.name not in declared.contracts
        and contract.full_name not in declared.contracts
    ):
        carried = ", ".join(declared.contracts) or f"format {declared.format}"
        raise UsageError(f"topic {topic} carries {carried}, not {contract.name}")
    if topic not in list_topics(admin).topics:
        if declared is not None:
            raise HeadraceError(f"topic {topic} is not on the cluster; run `headrace topology apply`")
        known = ", ".join(sorted(topology.topics)) or "none"
        raise UsageError(f"unknown topic {topic}: not on the cluster, nor in {settings.topology} (there: {known})")


def _header(text: str) -> tuple[str, bytes]:
    """`priority=high` as a header; the attributes of a message are not for the command line to set."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"--header {text}: expected NAME=VALUE, e.g. priority=high")
    if name.startswith("ce_") or name == names.CONTENT_TYPE:
        raise UsageError(f"--header {name}: `send` sets this one itself")
    return name, value.encode()


def _signer(settings: Settings, topology: Topology, topic: str, more: tuple[tuple[str, bytes], ...]) -> Signer | None:
    """What signs the messages where there is a key ring; a signature that is given counts instead."""
    if any(name == names.SIGNATURE for name, _ in more):
        return None
    if topic in topology.security.signed:
        return Signer(required_key_ring(settings, f"sending to {topic}, which carries signed messages only,"))
    ring = load_key_ring(settings)
    return None if ring is None else Signer(ring)


def _json_lines(
    settings: Settings,
    topology: Topology,
    contract: Contract,
    more: tuple[tuple[str, bytes], ...],
    signer: Signer | None,
    ends: ExitStack,
) -> JsonLines:
    contracts = load_contracts(settings.schemas)
    with closing(open_registry(settings)) as registry:
        registered = registry.all()
    encryption = ends.enter_context(open_encryption(settings, topology, contracts, makes=[contract]))
    codec = Codec(contracts, registered, encryption)
    rules = topology.contracts.get(contract.name) or topology.contracts.get(contract.full_name)
    if rules is None:
        click.echo(
            f"warning: {settings.topology} has no key for {contract.name} (contracts: "
            f"{{{contract.name}: {{key: payload.<field>}}}}); sending without keys, so in no order",
            err=True,
        )
    return JsonLines(contract, codec, None if rules is None else rules.key, _SOURCE, more, signer)


class _Report:
    """Counts, and says on stderr how far it is: over itself on a terminal, else line by line."""

    def __init__(self) -> None:
        self.sent = 0
        self.invalid = 0
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def refuse(self, number: int, reason: str) -> None:
        self.invalid += 1
        click.echo(f"{self._erase()}line {number}: {reason}", err=True)

    def take_back(self, number: int, reason: str) -> None:
        """A line that was counted as sent, and which Kafka refused."""
        self.sent -= 1
        self.refuse(number, reason)

    def progress(self) -> None:
        if time.monotonic() - self._last >= _REPORT_EVERY_S:
            self._last = time.monotonic()
            click.echo(f"{self._erase()}{self._counts()}", err=True, nl=not self._terminal)

    def finish(self) -> None:
        """Leave the summary to the error where there will be one."""
        click.echo(self._erase() + ("" if self.invalid else self.summary()), err=True, nl=not self.invalid)

    def summary(self) -> str:
        if not self.invalid:
            return self._counts()
        was = "was" if self.invalid == 1 else "were"
        return f"{self._counts()}; {self.invalid:,} of {self.invalid + self.sent:,} lines {was} not sent"

    def _erase(self) -> str:
        return "\r\x1b[K" if self._terminal else ""

    def _counts(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-6)
        left_out = f", {self.invalid:,} invalid" if self.invalid else ""
        return f"sent {self.sent:,}{left_out} in {seconds:.1f} s ({self.sent / seconds:,.0f}/s)"


def _produce(producer: RawProducer, topic: str, number: int, message: Outgoing) -> None:
    producer.send(topic, message.value, message.key, headers=message.headers, number=number)


def _send_all(file: BinaryIO, lines: JsonLines, produce: Callable[[int, Outgoing], None], report: _Report) -> None:
    for number, line in _numbered(file):
        try:
            message = lines.message(line)
        except InvalidMessage as error:
            report.refuse(number, str(error))
        except TransientError as error:
            raise NotReachable(f"line {number}: {error}; the lines before it are sent") from None
        else:
            produce(number, message)
            report.sent += 1
        if number % _LOOK_EVERY == 0:
            report.progress()


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1; empty ones are passed over."""
    for number, line in enumerate(file, 1):
        stripped = line.strip()
        if stripped:
            yield number, stripped
