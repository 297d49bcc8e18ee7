# SPDX-License-Identifier: MIT
"""A pymodbus client reads and writes registers of our RTU server over a pseudo terminal."""

import threading
import time

import pytest

pytest.importorskip("pymodbus")
pytest.importorskip("termios")

from firmline.modbus.server import RtuServer
from tests.host.pymodbus_peer import HeadEndClient, PtyLine

UNIT = 7


class Registers:
    """A hundred registers from 1000 on."""

    def __init__(self):
        self.values = [k * 3 for k in range(100)]

    def read(self, address, count, reply):
        at = address - 1000
        if at < 0 or at + count > len(self.values):
            return 2
        for k in range(count):
            reply.put(k, self.values[at + k])
        return 0

    def write(self, address, count, request):
        at = address - 1000
        if at < 0 or at + count > len(self.values):
            return 2
        for k in range(count):
            self.values[at + k] = request.get(k)
        return 0


class Serving:
    """Polls a server in a thread, as the controller's loop does."""

    def __init__(self, port, registers):
        self.server = RtuServer(port, 19200, UNIT, registers)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._is_over:
            self.server.poll(time.monotonic_ns() // 1_000_000 % (1 << 30))
            time.sleep(0.001)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._is_over = True
        self._thread.join(5)


@pytest.fixture
def registers():
    return Registers()


@pytest.fixture
def serving(registers):
    with PtyLine() as line, Serving(line.port, registers) as serving:
        serving.line_name = line.name
        yield serving


@pytest.fixture
def client(serving):
    with HeadEndClient(serving.line_name, UNIT) as client:
        yield client


def test_reads_with_both_functions(client):
    assert client.read_holding(1000, 5) == [0, 3, 6, 9, 12]
    assert client.read_input(1090, 10) == list(range(270, 300, 3))


def test_reads_the_longest_block(client):
    assert client.read_holding(1000, 100) == [k * 3 for k in range(100)]


def test_writes_what_is_read_back(client, registers):
    client.write(1010, [0xFFFF, 0, 0x1234])
    client.write_single(1013, 0xABCD)
    assert client.read_holding(1010, 4) == [0xFFFF, 0, 0x1234, 0xABCD]
    assert registers.values[10:14] == [0xFFFF, 0, 0x1234, 0xABCD]


@pytest.mark.parametrize("address, count", [(999, 1), (1099, 2), (2000, 1)])
def test_addresses_outside_are_refused(client, address, count):
    with pytest.raises(HeadEndClient.Refused) as refused:
        client.read_holding(address, count)
    assert refused.value.code == 2
    with pytest.raises(HeadEndClient.Refused):
        client.write(address, [1] * count)


def test_many_exchanges_without_an_error(client, serving):
    for k in range(40):
        client.write_single(1000 + k, k)
        assert client.read_holding(1000 + k, 1) == [k]
    assert serving.server.ok == 80
    assert (serving.server.crc_errors, serving.server.timeouts) == (0, 0)


def test_another_unit_hears_nothing_from_us(serving, registers):
    with HeadEndClient(serving.line_name, UNIT + 1, timeout_s=0.2) as other:
        with pytest.raises(HeadEndClient.Silent):
            other.write(1000, [1, 2, 3])
    assert registers.values[:3] == [0, 3, 6]
    with HeadEndClient(serving.line_name, UNIT) as client:
        assert client.read_holding(1000, 3) == [0, 3, 6]
