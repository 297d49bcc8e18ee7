# SPDX-License-Identifier: MIT
"""hal.console writing to a port that takes one byte and then waits, as USB of an RP2040 does."""

from firmline.hal.console import Console


class Port:
    """What the console writes to. room: bytes that it takes without waiting; as POLLOUT it says no
    more than that there is some."""

    def __init__(self, room):
        self.room = room
        self.taken = b""
        self.waits = 0

    def write(self, data):
        if len(data) > self.room:
            self.waits += 1
        self.room = max(0, self.room - len(data))
        self.taken += bytes(data)


class BareConsole(Console):
    """Without the streams of this process."""

    def __init__(self, port):
        self._out = port
        self._byte = bytearray(1)
        self._open_piece()
        self.errors = 0

    def _has_room(self):
        return self._out.room > 0


def test_a_port_with_room_for_one_byte_is_never_waited_for():
    port = Port(1)
    console = BareConsole(port)
    assert console.is_ready()
    console.write(b"0123456789abcdef", 16)
    assert (port.taken, port.waits) == (b"0", 0)
    for k in range(1, 16):
        assert not console.is_ready(), "it still has something of the last ones"
        port.room = 1
        console.is_ready()
        assert (port.taken, port.waits) == (b"0123456789abcdef"[: k + 1], 0)
    assert not console.is_ready()
    port.room = 5
    assert console.is_ready()
    console.write(b"xyz?", 3)
    assert port.taken == b"0123456789abcdefxyz" and port.waits == 0


def test_a_port_with_room_takes_it_at_once():
    port = Port(100)
    console = BareConsole(port)
    for piece in (b"0123456789abcdef", b"x", b"yz"):
        assert console.is_ready()
        console.write(piece, len(piece))
    assert port.taken == b"0123456789abcdefxyz" and port.room == 81


def test_a_terminal_that_was_closed_is_counted_and_nothing_stays():
    class Closed(Port):
        def write(self, data):
            raise OSError(5)

    console = BareConsole(Closed(1))
    console.write(b"abc", 3)
    assert console.errors == 3
    assert console.is_ready()
