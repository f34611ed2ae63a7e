"""The command that carries a call's outcome back: its payload from the answer, its key and headers from the intent.

Its id is made of the intent's, so an intent that is called for twice has one result as far as ids tell. Its time is
that of the answer and a ttl ends with the intent: what has happened outside must not expire on the way home.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from streams.errors import InvalidMessage
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import Contract
from streams.messages.headers import format_time, message_id
from streams.messages.json_values import compile_from_json, to_json
from streams.messages.tagged import tagged_paths
from streams.security.signatures import Signer
from streams.topology.model import Topology
from streams.transforming.avro_types import AvroType
from streams.transforming.copying import absence
from streams.transforming.making import signed_headers
from streams.transforming.outgoing import REPLACED, MadeHeaders, fixed_headers, key_reader, text_key
from streams.transforming.reading import Arrived

_LEFT_OUT = REPLACED | {names.TTL}


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is ready to be sent."""

    key: bytes
    value: bytes
    headers: MadeHeaders


MakeCommand = Callable[[Arrived, Mapping[str, object], bytes | None, datetime], Command]


def compile_result(
    stage: str,
    intent: Contract,
    contract: Contract,
    codec: Codec,
    topology: Topology,
    signer: Signer | None = None,
) -> MakeCommand:
    """A function that makes the command of an intent, the JSON of an answer, the intent's key and the time now.

    Fields of the answer that the contract does not have are left out; a field that it requires and the answer lacks is
    the intent's of the same name. The function raises InvalidMessage where the rest does not make a command.

    Raises:
        ConfigurationRefused: the contract is not registered as it stands, or tags fields and there is no key ring.
        UsageError: the key that `contracts:` names is no field of a payload.
    """
    fixed = fixed_headers(stage, contract, codec.version_of(contract))
    from_json = compile_from_json(contract, others_pass=True)
    encode = codec.encoder_of(contract.full_name)
    read_key = key_reader(contract, topology)
    required = fields_of_intent(contract, intent)
    rule = f"{stage}:{contract.full_name}"

    def make(arrived: Arrived, answer: Mapping[str, object], intent_key: bytes | None, now: datetime) -> Command:
        missing = {name: to_json(arrived.payload[name]) for name in required - answer.keys()}
        try:
            payload = from_json({**answer, **missing})
        except InvalidMessage as error:
            raise InvalidMessage(f"the answer does not make a {contract.name}: {error}") from None
        key = read_key(payload) if read_key else _subject_of(arrived, intent_key)
        made_id = message_id(arrived.id, rule)
        headers = [*fixed, *_headers(arrived, made_id, key, now)]
        value = encode(payload, made_id)
        return Command(key, value, signed_headers(signer, key, headers, value))

    return make


def fields_of_intent(contract: Contract, intent: Contract) -> frozenset[str]:
    """Fields that a command requires (no default, not null) and an intent has too.

    None that is tagged in the intent: where that may be decrypted it must not be written out again in the clear.
    """
    record, asked = AvroType.of(contract), AvroType.of(intent)
    tagged = {path.partition(".")[0].partition("[")[0] for path in tagged_paths(intent.schema)}
    return frozenset(
        name for name in record.fields if absence(record, name) is None and name in asked.fields.keys() - tagged
    )


def _subject_of(intent: Arrived, key: bytes | None) -> bytes:
    """The aggregate's id: an event's subject, since its key has the version in it."""
    subject = intent.headers.get(names.SUBJECT) or text_key(key)
    if not subject:
        raise InvalidMessage(f"expected {names.SUBJECT} or a key, which says whose intent this is, got neither")
    return subject


def _headers(intent: Arrived, made_id: str, key: bytes, now: datetime) -> MadeHeaders:
    intent_id = intent.id.encode()
    return [
        (names.ID, made_id.encode()),
        (names.TIME, format_time(now).encode()),
        (names.CORRELATION_ID, intent.headers.get(names.CORRELATION_ID) or intent_id),
        (names.CAUSATION_ID, intent_id),
        (names.SUBJECT, key),
        *(header for header in intent.raw if header[0] not in _LEFT_OUT),
    ]
