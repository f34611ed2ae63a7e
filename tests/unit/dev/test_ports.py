import socket

from streams.dev.ports import FIRST_PORT, LAST_PORT, free_ports, is_free


def test_a_port_with_a_listener_is_not_free() -> None:
    (port,) = free_ports(1)
    assert is_free(port)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not is_free(port)


def test_ports_differ_and_lie_below_what_the_kernel_lends_to_clients() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(FIRST_PORT <= port <= LAST_PORT < 32_768 for port in ports)
