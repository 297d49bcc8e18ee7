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
        self.errors = 0

    def _is_ready(self):
        return self._out.room > 0


def test_a_port_with_room_for_less_is_never_waited_for():
    for room in (0, 1, 15, 16, 100):
        port = Port(room)
        taken = BareConsole(port).write(b"0123456789abcdefxyz", 16)
        assert taken == min(room, 16) and port.waits == 0
        assert port.taken == b"0123456789abcdef"[:taken]


def test_a_terminal_that_was_closed_is_counted_and_what_was_for_it_is_gone():
    class Closed(Port):
        def write(self, data):
            raise OSError(5)

    console = BareConsole(Closed(1))
    assert console.write(b"abc", 3) == 3 and console.errors == 3
