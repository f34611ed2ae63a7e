"""The transformations of one source topic, compiled: reads each message, converts it, and puts the result out.

A message goes through every transformation of its topic that takes its type. If one fails the message is a dead letter
and none of the others' results is sent.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from streams.errors import UnsupportedTransformation
from streams.messages import headers as names
from streams.messages.codec import Codec, Read
from streams.messages.encryption import Payload
from streams.messages.framing import FRAME_SIZE, SchemaName, frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.messages.signed import CheckRecord
from streams.routing.admission import Admission, Headers, RawHeaders
from streams.security.key_ring import KeyRing
from streams.topology.integration import Transformation
from streams.topology.model import Topology
from streams.transforming.chains import Chain, HopTimes, compile_chain, time_limit
from streams.transforming.conversions import Conversions, carried_formats, taken_formats
from streams.transforming.formats import compile_format
from streams.transforming.intake import AvroIntake, ForeignIntake, Intake
from streams.transforming.making import Maker, check_for, compile_maker

Handler = Callable[[Record], None]
AsyncHandler = Callable[[Record, "Scope"], Awaitable[None]]
Late = Callable[[SchemaName], Registered | None]


class TransformedBatch(Protocol):
    """What a transformer needs of the engine's batch."""

    partition: int

    @property
    def out(self) -> list[Any]:
        """What the batch puts out: tuples as the engine's `Output`."""

    def partitions_of(self, topic: str) -> int:
        """Number of partitions of a destination."""


class Scope(Protocol):
    """What one record puts out while others are handled beside it."""

    @property
    def out(self) -> list[Any]:
        """As a batch's."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One transformation of messages of one type: over which chain, into what, where to, and who signs there."""

    chain: Chain
    maker: Maker


@dataclass(frozen=True, slots=True)
class Arrival:
    """Messages of one type: what their ce_type has to be, how they are read and what becomes of them."""

    ce_type: bytes
    decode: Read
    conversions: tuple[Conversion, ...]


class CompiledTransformer:
    """The transformations of one source, ready to handle batches.

    Args:
        source: the topic.
        intake: check of its messages.
        arrivals: what is known of its messages, by the first five bytes of a value; of a topic whose messages have no
            framing there is one, under None.
        clock: unix time in seconds, asked once a batch.
        check: raises for a record whose signature is not valid; None where the source need not be signed.
    """

    def __init__(
        self,
        source: str,
        intake: Intake,
        arrivals: Mapping[bytes | None, Arrival],
        clock: Callable[[], float],
        check: CheckRecord | None = None,
    ) -> None:
        self._source = source
        self._intake = intake
        self._arrivals = arrivals
        self._only = arrivals.get(None)
        self._clock = clock
        self._check = check

    @property
    def is_async(self) -> bool:
        """Whether some converter has to be awaited."""
        return any(each.chain.is_async for arrival in self._arrivals.values() for each in arrival.conversions)

    def bind(self, batch: TransformedBatch, times: HopTimes) -> Handler:
        """Handler of the records of `batch`; it raises, or puts out a message for each transformation."""
        now = self._clock()
        admit, check = self._admit, self._check

        def handle(record: Record) -> None:
            if check is not None:
                check(record)
            arrival, value, raw, headers = admit(record, now)
            for each in arrival.conversions:
                payload = each.chain.run(arrival.decode(value, _id(headers)), times, record.offset() or 0)
                _put_out(batch, batch, record, each, payload, raw, headers)

        return handle

    def bind_async(self, batch: TransformedBatch, times: HopTimes) -> AsyncHandler:
        """As `bind`, where a converter has to be awaited: a record's outputs go to a scope of its own."""
        check = self._check

        async def handle(record: Record, scope: Scope) -> None:
            until = time_limit()
            if check is not None:
                check(record)
            arrival, value, raw, headers = self._admit(record, self._clock())
            for each in arrival.conversions:
                source = arrival.decode(value, _id(headers))
                payload = await each.chain.run_async(source, times, record.offset() or 0, until)
                _put_out(batch, scope, record, each, payload, raw, headers)

        return handle

    def _admit(self, record: Record, now: float) -> tuple[Arrival, bytes, RawHeaders, Headers]:
        arrival = self._only or self._arrivals.get((record.value() or b"")[:FRAME_SIZE])
        raw, headers, value = self._intake.admit(record, None if arrival is None else arrival.ce_type, now)
        if self._only is None:
            arrival = self._arrivals[value[:FRAME_SIZE]]  # learnt on the way, or named by a header
        assert arrival is not None  # noqa: S101 an admitted message is of a type that is known
        if not arrival.conversions:
            what = f"no transformation of {self._source} takes {arrival.ce_type.decode()}"
            raise UnsupportedTransformation(f"{what}; add one, or send such messages elsewhere")
        return arrival, value, raw, headers


def _id(headers: Headers) -> str:
    return (headers[names.ID] or b"").decode()


def _put_out(
    batch: TransformedBatch,
    scope: Scope,
    record: Record,
    made: Conversion,
    payload: Payload,
    raw: RawHeaders,
    headers: Headers,
) -> None:
    key, value, made_headers = made.maker.make(record.key(), raw, headers, payload)
    destination = made.maker.destination
    # A message without a key stays in the partition that it came from, as far as there is one.
    partition = -1 if key is not None else batch.partition % batch.partitions_of(destination)
    scope.out.append((destination, value, key, partition, max(record.timestamp()[1], 0), made_headers))


@dataclass(frozen=True)
class Workshop:
    """What transformations are compiled with: the graph of formats, and what the registry holds."""

    topology: Topology
    conversions: Conversions
    codec: Codec
    registered: Sequence[Registered]
    clock: Callable[[], float]
    late: Late
    ring: KeyRing | None = None

    def compile(self, source: str, transformations: Sequence[Transformation]) -> CompiledTransformer:
        """The transformer of one source topic, for every registered version of its contracts.

        Raises:
            UnsupportedTransformation: a path is missing, which lint reports.
            ConfigurationRefused: a target's contract is not registered as it stands.
        """
        declared = self.topology.topics[source]
        conversions = {
            name: self._conversions(name, transformations) for name in carried_formats(source, self.topology)
        }
        if declared.format:
            return self._foreign(source, declared.format, conversions[declared.format])
        return self._avro(source, conversions)

    def _conversions(self, name: str, transformations: Sequence[Transformation]) -> tuple[Conversion, ...]:
        """What becomes of messages of format `name`."""
        contracts = self.conversions.contracts
        source = contracts[name]
        made = []
        for each in transformations:
            if source not in [contracts[taken] for taken in taken_formats(each, self.topology)]:
                continue
            target = contracts[each.to]
            chain = compile_chain(self.conversions.path(source, target), self.conversions)
            maker = compile_maker(each.stage, target, each.destination, self.topology, self.codec, self.ring)
            made.append(Conversion(chain, maker))
        return tuple(made)

    def _foreign(self, source: str, name: str, conversions: tuple[Conversion, ...]) -> CompiledTransformer:
        contract = self.conversions.contracts[name]
        read_value = compile_format(contract, self.conversions.readers)

        def read(value: bytes, message_id: str | None = None) -> Payload:
            del message_id  # nothing that is not Avro is encrypted
            return read_value(value)

        arrival = Arrival(contract.name.encode(), read, conversions)
        intake = ForeignIntake(contract.name)
        return CompiledTransformer(
            source, intake, {None: arrival}, self.clock, check_for(source, self.topology, self.ring)
        )

    def _avro(self, source: str, conversions: Mapping[str, tuple[Conversion, ...]]) -> CompiledTransformer:
        contracts = {self.conversions.contracts[name].subject: name for name in conversions}
        arrivals: dict[bytes | None, Arrival] = {}

        def add(version: Registered) -> None:
            if version.subject in contracts:
                ce_type, decode = self.codec.decoder_of(version.id)
                made = conversions[contracts[version.subject]]
                arrivals[frame(version.id, b"")] = Arrival(ce_type.encode(), decode, made)

        def learn(name: SchemaName) -> Registered | None:
            found = self.late(name)
            if found is not None:
                self.codec.learn(found)
                add(found)
            return found

        for version in self.registered:
            add(version)
        carried = [self.conversions.contracts[name] for name in conversions]
        intake = AvroIntake(Admission(source, carried, self.registered, learn))
        return CompiledTransformer(source, intake, arrivals, self.clock, check_for(source, self.topology, self.ring))
