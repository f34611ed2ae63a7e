"""Where a key lives: Java's murmur2, as librdkafka's `murmur2_random` and Kafka's own clients compute it."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit murmur2 hash of `data` (org.apache.kafka.common.utils.Utils.murmur2, as an unsigned number)."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of `key` in a topic of `partitions`; a key's records and its table row meet there."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
