# SPDX-License-Identifier: MIT
"""The chain as any SunSpec client sees it, with pysunspec2 and its models as the judge."""

import json
from pathlib import Path

import pytest

from hil.line import rtu
from hil.line.meters import SunSpecMeter
from hil.line.sunspec_der import SunSpecBattery124, SunSpecBattery704, SunSpecPv123, SunSpecPv704
from hil.line.sunspec_models import LAYOUTS, layout, length

sunspec2 = pytest.importorskip("sunspec2")


def json_points(group):
    """(name, size, type) of all points, groups in the order of the definition."""
    for point in group["points"]:
        yield group["name"], point["name"], point["size"], point["type"]
    for inner in group.get("groups", ()):
        yield from json_points(inner)


ABSENT = {
    "uint16": b"\xff\xff",
    "int16": b"\x80\x00",
    "enum16": b"\xff\xff",
    "bitfield16": b"\xff\xff",
    "sunssf": b"\x80\x00",
    "pad": b"\x80\x00",
    "uint32": b"\xff\xff\xff\xff",
    "int32": b"\x80\x00\x00\x00",
    "bitfield32": b"\xff\xff\xff\xff",
    "acc32": b"\x00\x00\x00\x00",
    "float32": b"\x7f\xc0\x00\x00",
    "uint64": b"\xff" * 8,
}


@pytest.mark.parametrize("model", LAYOUTS)
def test_layouts_are_those_of_the_public_models(model):
    folder = Path(sunspec2.__file__).parent / "models" / "json"
    group = json.loads((folder / f"model_{model}.json").read_text())["group"]
    expected = list(json_points(group))[2:]  # without ID and L
    ours = layout(model)
    assert length(model) == sum(size for _, _, size, _ in expected)
    offset = 2
    for (point, at, size, _, absent), (owner, name, wanted, kind) in zip(
        ours, expected, strict=True
    ):
        assert point in (name, f"{owner}.{name}")
        assert (at, size) == (offset, wanted)
        assert absent == (bytes(2 * size) if kind == "string" else ABSENT[kind])
        offset += size


def all_devices(fakes):
    world, plant, element = fakes.world, fakes.plant, fakes.Element()
    battery = {"max_charge_w": 5000, "max_discharge_w": 4000}
    return {
        (1, 203): SunSpecMeter(world, plant, 1, "m203", model=203),
        (1, 213): SunSpecMeter(world, plant, 1, "m213", model=213),
        (1, 103, 120, 123): SunSpecPv123(world, plant, element, 1, 5000, "pv123"),
        (1, 701, 702, 704): SunSpecPv704(world, plant, element, 1, 5000, "pv704"),
        (1, 103, 120, 124): SunSpecBattery124(world, plant, element, 1, name="b124", **battery),
        (1, 701, 702, 704, 713): SunSpecBattery704(
            world, plant, element, 1, name="b704", **battery
        ),
    }


class Client:
    """What pysunspec2 wants of a transport, straight into the device's `handle`."""

    def __init__(self, device, world):
        self.device = device
        self.world = world

    def read(self, address, count):
        data = b""
        while count:
            part = min(count, 60)
            frame = rtu.read_request(self.device.unit, 3, address, part)
            reply = self.device.handle(frame, self.world.now_us)
            assert rtu.is_intact(reply) and reply[1] == 3
            data += reply[3:-2]
            address += part
            count -= part
        return data

    def write(self, address, data):
        values = [data[k] << 8 | data[k + 1] for k in range(0, len(data), 2)]
        frame = rtu.write_request(self.device.unit, address, values)
        reply = self.device.handle(frame, self.world.now_us)
        assert reply[1] == 16, f"exception {reply[2]}"


def scan(device, world):
    """A scanned pysunspec2 device over Client."""
    from sunspec2.modbus import client

    transport = Client(device, world)

    class Direct(client.SunSpecModbusClientDevice):
        def connect(self):
            pass

        def disconnect(self):
            pass

        def is_connected(self):
            return True

        def read(self, addr, count):
            return transport.read(addr, count)

        def write(self, addr, data):
            return transport.write(addr, data)

    found = Direct(model_class=client.SunSpecModbusClientModel)
    found.scan(connect=False)
    return found


def test_pysunspec2_finds_every_chain_complete(fakes):
    devices = all_devices(fakes)
    fakes.at(1)
    for models, device in devices.items():
        found = scan(device, fakes.world)
        numbers = [key for key in found.models if isinstance(key, int)]
        assert tuple(numbers) == models
        assert found.common[0].SN.value == device.name
        assert found.common[0].DA.value == 1


def test_pysunspec2_reads_scaled_values_of_the_meters(fakes):
    devices = all_devices(fakes)
    fakes.plant.set(0, 2300, -460, 110)
    fakes.at(1)
    for model in (203, 213):
        found = scan(devices[1, model], fakes.world).models[model][0]
        assert (found.W.cvalue, found.WphB.cvalue) == pytest.approx((1950, -460))
        assert (found.A.cvalue, found.PhVphC.cvalue) == pytest.approx((12.48, 230), abs=0.01)
        assert found.Hz.cvalue == pytest.approx(50)
        assert found.VA.cvalue is None


def test_pysunspec2_limits_a_pv_inverter_and_reads_it_back(fakes):
    pv = all_devices(fakes)[1, 701, 702, 704]
    pv.element.power_w = -3210.0
    found = scan(pv, fakes.world)
    assert found.models[701][0].W.cvalue == 3210
    assert found.models[702][0].WMaxRtg.cvalue == 5000
    controls = found.models[704][0]
    controls.WMaxLimPctEna.value = 1
    controls.WMaxLimPct.cvalue = 40
    controls.write()
    assert pv.element.commands[-1] == (0, 2000)
    controls.read()
    assert controls.WMaxLimPct.cvalue == 40


def test_pysunspec2_reads_the_state_of_charge(fakes):
    devices = all_devices(fakes)
    for models, model, point in (
        ((1, 701, 702, 704, 713), 713, "SoC"),
        ((1, 103, 120, 124), 124, "ChaState"),
    ):
        devices[models].element.soc = 0.734
        found = scan(devices[models], fakes.world).models[model][0]
        assert getattr(found, point).cvalue == pytest.approx(73.4)


def test_any_sub_range_inside_the_chain_is_readable_and_none_outside(fakes):
    for models, device in all_devices(fakes).items():
        fakes.at(fakes.world.now_us / 1e6 + 1)
        end = 40002 + sum(2 + length(model) for model in models) + 2
        assert isinstance(fakes.ask(device, 3, end - 3, 3), list)
        assert fakes.ask(device, 3, end - 2, 3) == 2
        assert fakes.ask(device, 3, 39999, 2) == 2
        assert fakes.ask(device, 3, end, 1) == 2
        assert fakes.ask(device, 3, 0, 1) == 2
        assert fakes.ask(device, 4, 40000, 2) == 1
        whole = Client(device, fakes.world).read(40000, end - 40000)
        for at in range(0, end - 40000 - 1, 7):
            two = Client(device, fakes.world).read(40000 + at, 2)
            assert two == whole[2 * at : 2 * at + 4]


def test_base_moves_the_whole_chain(fakes):
    meter = SunSpecMeter(fakes.world, fakes.plant, 1, base=50000)
    fakes.at(1)
    assert fakes.ask(meter, 3, 50000, 2) == [0x5375, 0x6E53]
    assert fakes.ask(meter, 3, 40000, 2) == 2


def test_read_only_points_refuse_writes_and_nothing_is_written(fakes):
    pv = all_devices(fakes)[1, 701, 702, 704]
    start = pv.start[704]
    assert fakes.tell(pv, start, 704) == 2
    assert fakes.tell(pv, start + 20, 0, 5) == 2  # RvrtRem
    assert fakes.tell(pv, start + 18, 0, 10, 0, 5) == 2  # RvrtTms, then RvrtRem
    assert fakes.ask(pv, 3, start + 18, 2) == [0, 0]
    assert fakes.tell(pv, 40002, 1) == 2
    assert fakes.tell(pv, 30000, 1) == 2
    assert pv.element.commands == []


def test_values_out_of_range_are_refused_whole(fakes):
    pv = all_devices(fakes)[1, 701, 702, 704]
    start = pv.start[704]
    assert fakes.tell(pv, start + 14, 1, 10_001) == 3
    assert fakes.tell(pv, start + 14, 2, 5_000) == 3
    assert fakes.ask(pv, 3, start + 14, 2) == [0, 10_000]
    assert pv.element.commands == []
    assert fakes.tell(pv, start + 14, 1, 10_000) == 0


def test_single_register_write_echoes_the_request(fakes):
    pv = all_devices(fakes)[1, 701, 702, 704]
    frame = rtu.write_single_request(1, pv.start[704] + 15, 2500)
    assert pv.handle(frame, 0) == frame
    assert fakes.ask(pv, 3, pv.start[704] + 15, 1) == [2500]
