# SPDX-License-Identifier: MIT
"""Our master and device link read an SDM630 played by pymodbus over a pseudo terminal."""

import time

import pytest

pytest.importorskip("pymodbus")
pytest.importorskip("termios")

from firmline.devices.catalog import table_of
from firmline.devices.link import DeviceLink
from firmline.modbus.rtu import RtuMaster
from firmline.services.bus import Bus
from tests.host.pymodbus_peer import MeterServer, PtyLine

LIMIT_S = 8.0
SDM630 = {
    0x0000: 231.68, 0x0002: 229.9, 0x0004: 230.0,
    0x0006: 10.5, 0x0008: 3.2, 0x000A: 0.0,
    0x000C: 2300.4, 0x000E: -700.6, 0x0010: 1.0,
}  # fmt: skip


def now_ms():
    return time.monotonic_ns() // 1_000_000 % (1 << 30)


def run_until(bus, is_done):
    started = time.monotonic()
    while time.monotonic() - started < LIMIT_S:
        bus.poll(now_ms())
        if is_done():
            return True
        time.sleep(0.001)
    return False


def meter_bus(line, unit, timeout_ms=500):
    link = DeviceLink(table_of("eastron_sdm630"), unit, {"poll_ms": 20, "timeout_ms": timeout_ms})
    return Bus(RtuMaster(line.port, 19200), [link], 0), link


def test_reads_a_meter_of_another_make():
    with PtyLine() as line, MeterServer(line.name, 1, SDM630):
        bus, link = meter_bus(line, 1)
        assert run_until(bus, lambda: link.samples >= 10 and link.l_dv[0])
        assert link.l_dv == [2317, 2299, 2300]
        assert link.l_ma == [10500, 3200, 0]
        assert link.l_w == [2300, -701, 1]
        assert link.total_w == 1600
        master = bus.master
        assert (master.crc_errors, master.malformed, master.exceptions) == (0, 0, 0)


def test_a_unit_that_is_not_there_goes_offline():
    with PtyLine() as line, MeterServer(line.name, 1, SDM630):
        bus, link = meter_bus(line, 2, timeout_ms=50)
        assert run_until(bus, lambda: link.failures >= 3)
        assert not link.is_online
        assert link.samples == 0


def test_a_register_that_is_not_there_is_an_exception():
    with PtyLine() as line, MeterServer(line.name, 1, {0x0000: 230.0}):
        bus, link = meter_bus(line, 1)
        assert run_until(bus, lambda: bus.master.exceptions >= 3)
        assert bus.master.exception_code == 2
        assert link.samples == 0
