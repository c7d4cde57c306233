"""Several sockets at one address."""

import socket

import pytest

from holdfast.errors import Unavailable
from holdfast.web.listening import address_of, listen, listen_apart


def test_several_sockets_listen_at_one_address_and_a_connection_waits_in_one_of_them() -> None:
    sockets = listen_apart("127.0.0.1", 0, 3)
    try:
        assert len({address_of(one) for one in sockets}) == 1
        for one in sockets:
            one.setblocking(False)
        connections = [socket.create_connection(sockets[0].getsockname()) for _ in range(32)]
        accepted = [0, 0, 0]
        for place, one in enumerate(sockets):
            try:
                while True:
                    one.accept()[0].close()
                    accepted[place] += 1
            except BlockingIOError:
                pass
        assert sum(accepted) == 32
        assert sum(count > 0 for count in accepted) >= 2
        for one in connections:
            one.close()
    finally:
        for one in sockets:
            one.close()


@pytest.mark.parametrize("shares", [False, True])
def test_an_address_that_somebody_has_is_taken_even_where_they_would_share_it(shares: bool) -> None:
    taken = listen_apart("127.0.0.1", 0, 1)[0] if shares else listen("127.0.0.1", 0)
    with taken, pytest.raises(Unavailable):
        listen_apart("127.0.0.1", taken.getsockname()[1], 2)
