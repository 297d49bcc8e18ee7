# SPDX-License-Identifier: MIT
"""pysunspec2, which knows nothing of Firmline, reads the controller as a SunSpec device: once
register by register, once through the firmware's own Modbus server over a pseudo terminal."""

import os
import select
import struct
import sys
import threading
import time
from array import array
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "firmware") not in sys.path:
    sys.path.insert(0, str(ROOT / "firmware"))

from firmline.modbus.server import RtuServer  # noqa: E402
from firmline.services import register_map, registers  # noqa: E402
from firmline.services.headend import HeadEnd  # noqa: E402

client = pytest.importorskip("sunspec2.modbus.client")

UNIT = 7
SITE = {"phases": 3, "voltage_v": 277, "service_a": 400}
NOT_IMPLEMENTED = None  # how pysunspec2 shows 0x8000


class Reply:
    def __init__(self, count):
        self.tx = bytearray(3 + 2 * count)

    def put(self, k, value):
        assert 0 <= value <= 0xFFFF
        self.tx[3 + 2 * k : 5 + 2 * k] = value.to_bytes(2, "big")

    @property
    def words(self):
        return struct.unpack(f">{len(self.tx) // 2 - 1}H", self.tx[3:])


class Direct(client.SunSpecModbusClientDevice):
    """A pysunspec2 device whose reads go straight into the register map."""

    def __init__(self, image):
        super().__init__()
        self._map = image
        self.addresses = []

    def read(self, addr, count):
        self.addresses.append(addr)
        reply = Reply(count)
        code = self._map.read(addr, count, reply)
        if code:
            raise client.SunSpecModbusClientException(f"exception {code}")
        return struct.pack(f">{count}H", *reply.words)


@pytest.fixture
def controller():
    """(telemetry, head-end, map) of a 400 A three-phase site that imports 123.4 kW."""
    telemetry = array("i", [0] * register_map.TELEMETRY_SIZE)
    telemetry[register_map.T_METER_IS_USABLE] = 1
    telemetry[register_map.T_PCC_W] = 123_400
    for k in range(3):
        telemetry[register_map.T_L1_W + k] = (40_000, -1_600, 85_000)[k]
        telemetry[register_map.T_L1_MA + k] = (144_400, -5_800, 306_900)[k]
        telemetry[register_map.T_L1_DV + k] = (2_770, 2_768, 2_772)[k]
    head_end = HeadEnd(60_000, 48_000, 0)
    return telemetry, head_end, registers.Registers(telemetry, head_end, SITE, UNIT, "Pico", "E66")


def scaled(model, name, scale):
    return model.points[name].value * 10 ** model.points[scale].value


def check_meter(meter):
    assert scaled(meter, "W", "W_SF") == 123_400
    assert [scaled(meter, f"W{name}", "W_SF") for name in ("phA", "phB", "phC")] == [
        40_000,
        -1_600,
        85_000,
    ]
    assert scaled(meter, "A", "A_SF") == pytest.approx(445.5)
    assert [scaled(meter, f"Aph{letter}", "A_SF") for letter in "ABC"] == pytest.approx(
        [144.4, -5.8, 306.9]
    )
    assert scaled(meter, "PhV", "V_SF") == pytest.approx(277.0)
    assert [scaled(meter, f"PhVph{letter}", "V_SF") for letter in "ABC"] == pytest.approx(
        [277.0, 276.8, 277.2]
    )
    assert meter.points["Evt"].value == 0
    for name in ("Hz", "Hz_SF", "PPV", "VA", "VA_SF", "VAR", "VAR_SF", "PF", "PF_SF"):
        assert meter.points[name].value is NOT_IMPLEMENTED, name
    assert not meter.error_info


def check_models(device):
    assert device.base_addr == 40_000
    assert [model.model_id for model in device.model_list] == [1, 203]  # it keeps those it knows
    assert 64_900 in device.models
    common = device.models[1][0]
    assert common.points["Mn"].value == "Firmline"
    assert common.points["Md"].value == "Pico"
    assert common.points["SN"].value == "E66"
    assert common.points["DA"].value == UNIT
    assert common.len == 66
    assert not common.error_info


def test_scan_finds_common_and_meter(controller):
    device = Direct(controller[2])
    device.scan()
    check_models(device)
    check_meter(device.models[203][0])
    # it walked over the private model and found the end
    assert device.addresses[-3:] == [40_177, 40_178, 40_317]


def test_every_point_of_model_203_lies_where_the_model_says(controller):
    """The names of our table against the offsets of the published model."""
    device = Direct(controller[2])
    device.scan()
    meter = device.models[203][0]
    at = register_map.BASE
    checked = 0
    for point in register_map.POINTS:
        name = point[1].split("..")[0]
        if point[0] == 203:
            assert meter.points[name].offset == at - meter.model_addr, name
            checked += 1
        at += register_map.width(point)
    assert checked == 31
    assert meter.len == 105


def test_energies_are_not_accumulated(controller):
    device = Direct(controller[2])
    device.scan()
    meter = device.models[203][0]
    for name, point in meter.points.items():
        if name.startswith("Tot") and not name.endswith("_SF"):
            assert not point.value, name


def test_power_follows_the_telemetry(controller):
    telemetry, _, image = controller
    device = Direct(image)
    device.scan()
    meter = device.models[203][0]
    for power_w in (0, 100, -100, 332_400, -332_400, 664_800, -664_800):
        telemetry[register_map.T_PCC_W] = power_w
        meter.read()
        assert scaled(meter, "W", "W_SF") == power_w


def test_without_a_usable_sample_nothing_reads_as_measured(controller):
    telemetry, _, image = controller
    telemetry[register_map.T_METER_IS_USABLE] = 0
    device = Direct(image)
    device.scan()
    meter = device.models[203][0]
    for name in ("W", "WphA", "WphB", "WphC", "A", "AphA", "AphB", "AphC", "PhV", "PhVphA"):
        assert meter.points[name].value is NOT_IMPLEMENTED, name
    assert meter.points["Evt"].value == 1 << 7  # M_EVENT_Missing_Sensor


class PtyPort:
    """The controller's end of a pseudo terminal, as the hardware contract wants it."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._waiting = b""

    def any(self):
        while select.select([self._descriptor], [], [], 0)[0]:
            self._waiting += os.read(self._descriptor, 256)
        return len(self._waiting)

    def readinto(self, buf, n):
        buf[:n] = self._waiting[:n]
        self._waiting = self._waiting[n:]
        return n

    def write(self, buf, n):
        os.write(self._descriptor, bytes(buf[:n]))

    def tx_done(self):
        return True


@pytest.fixture
def served(controller):
    """Path of a terminal behind which the firmware's server answers."""
    pty = pytest.importorskip("pty")
    tty = pytest.importorskip("tty")
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    _, head_end, image = controller
    server = RtuServer(PtyPort(ours), 19_200, UNIT, image)
    is_over = threading.Event()

    def serve():
        while not is_over.is_set():
            now_ms = time.monotonic_ns() // 1_000_000 & 0x3FFFFFFF
            head_end.poll(now_ms)
            server.poll(now_ms)
            time.sleep(0.001)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield os.ttyname(theirs)
    is_over.set()
    thread.join(5)
    os.close(ours)
    os.close(theirs)


def test_scan_and_write_through_the_firmwares_server(controller, served):
    head_end = controller[1]
    device = client.SunSpecModbusClientDeviceRTU(UNIT, served, baudrate=19_200, timeout=2)
    try:
        device.scan()
        check_models(device)
        check_meter(device.models[203][0])
        device.write(register_map.HEARTBEAT, struct.pack(">H", 1))
        device.write(register_map.DYNAMIC, struct.pack(">iiH", 70_000, -1, 300))
        assert head_end.is_alive
        assert (head_end.dynamic_import_w, head_end.dynamic_export_w) == (70_000, -1)
        back = struct.unpack(">iiH", device.read(register_map.DYNAMIC, 5))
        assert back[:2] == (70_000, -1) and 295 <= back[2] <= 300
        with pytest.raises(Exception, match="3"):
            device.write(register_map.DYNAMIC, struct.pack(">iiH", 70_000, -1, 3_601))
        assert head_end.dynamic_import_w == 70_000
    finally:
        device.close()
