"""Free TCP ports for brokers. Knows no Kafka."""

import random
import socket

# Below the ephemeral ranges of Linux (32768) and macOS (49152): while a killed broker is down, the kernel
# must not lend its port to an outgoing connection, nor let a client that reconnects connect to itself.
FIRST_PORT, LAST_PORT = 15_000, 32_000
ATTEMPTS = 1_000
_random = random.SystemRandom()  # a test that seeds `random` must not pick the same ports as its neighbour


def is_free(port: int) -> bool:
    """Whether a listener could be opened on the loopback `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as brokers do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> tuple[int, ...]:
    """Return `count` different loopback ports that nobody listens on.

    Raises:
        OSError: none were found within a bounded number of tries.
    """
    found: set[int] = set()
    for _ in range(ATTEMPTS):
        if len(found) == count:
            break
        port = _random.randint(FIRST_PORT, LAST_PORT)
        if is_free(port):
            found.add(port)
    else:
        raise OSError(f"expected {count} free ports between {FIRST_PORT} and {LAST_PORT}, found {len(found)}")
    return tuple(found)
