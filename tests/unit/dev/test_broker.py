from streams.dev.broker import last_error

LOG = """
[12:00:00] ERROR Kafka$ - Exiting Kafka due to fatal exception during startup.
org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:9092: Address already in use.
\tat kafka.network.DataPlaneAcceptor.openServerSocket(SocketServer.scala:700)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\t... 12 more
"""


def test_a_broker_that_ended_is_explained_by_its_last_exception() -> None:
    assert last_error(LOG) == "Caused by: java.net.BindException: Address already in use"


def test_without_an_exception_its_last_line_must_do() -> None:
    assert last_error("one\ntwo\n\n") == "two"


def test_an_empty_log_is_said_to_be_empty() -> None:
    assert last_error("") == "its log is empty"
