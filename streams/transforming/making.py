"""Makes whole messages: key, headers and value; encrypted where it is tagged, signed where its destination asks."""

from dataclasses import dataclass

from streams.messages import headers as names
from streams.messages.codec import Codec, Encode
from streams.messages.contracts import Contract
from streams.messages.encryption import Payload
from streams.messages.signed import CheckRecord, check_signatures
from streams.routing.admission import Headers, RawHeaders
from streams.security.key_ring import KeyRing
from streams.security.signatures import Signer, Verifier
from streams.topology.model import Topology
from streams.transforming.outgoing import Dress, MadeHeaders, compile_dress


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes messages of one contract for one destination.

    Args:
        encode: payload and id to value.
        dress: key, id and headers.
        destination: topic.
        signer: signs; None where the destination need not be signed.
    """

    encode: Encode
    dress: Dress
    destination: str
    signer: Signer | None

    def make(
        self, source_key: bytes | None, raw: RawHeaders, headers: Headers, payload: Payload, index: int = 0
    ) -> tuple[bytes | None, bytes, MadeHeaders]:
        """Key, value and headers of the message made of a source; as `Dress`.

        Raises:
            InvalidMessage: the payload lacks its key, or the subject whose key protects it.
            TransientError: there is no data key to be had at the moment.
        """
        key, made_id, made_headers = self.dress(source_key, raw, headers, payload, index)
        value = self.encode(payload, made_id)
        return key, value, signed_headers(self.signer, key, made_headers, value)


def compile_maker(
    stage: str, target: Contract, destination: str, topology: Topology, codec: Codec, ring: KeyRing | None
) -> Maker:
    """A maker of messages of `target`.

    Raises:
        ConfigurationRefused: the contract is not registered as it stands, or there is nothing to encrypt it with.
    """
    dress = compile_dress(stage, target, codec.version_of(target), destination, topology)
    return Maker(codec.encoder_of(target.full_name), dress, destination, signer_for(destination, topology, ring))


def signer_for(destination: str, topology: Topology, ring: KeyRing | None) -> Signer | None:
    """What signs messages for a destination; None where they need no signature."""
    return Signer(ring) if ring is not None and destination in topology.security.signed else None


def check_for(source: str, topology: Topology, ring: KeyRing | None) -> CheckRecord | None:
    """What refuses records of a source without a valid signature; None where they need none."""
    return check_signatures(Verifier(ring)) if ring is not None and source in topology.security.signed else None


def signed_headers(signer: Signer | None, key: bytes | None, headers: MadeHeaders, value: bytes) -> MadeHeaders:
    """Headers of a message, with its signature where there is a signer."""
    if signer is None:
        return headers
    return [*headers, (names.SIGNATURE, signer.sign(key, dict(headers), value))]
