"""Keys meet where Java's clients and librdkafka put them; librdkafka itself is asked in tests/integration/engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.partitioner import murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2: signed 32-bit numbers.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("data", JAVA)
def test_hashes_are_javas(data: bytes) -> None:
    assert murmur2(data) == JAVA[data] & 0xFFFFFFFF


@given(st.binary(max_size=64), st.integers(1, 1000))
def test_a_partition_is_always_one_of_the_topic(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(st.binary(max_size=64))
def test_a_negative_hash_is_made_positive_as_java_does(key: bytes) -> None:
    assert partition_of(key, 2**31 - 1) == (murmur2(key) & 0x7FFFFFFF) % (2**31 - 1)
