# SPDX-License-Identifier: MIT
"""services.registers: the map as a client sees it, register by register."""

from array import array

from firmline.services import register_map
from firmline.services.headend import HeadEnd
from firmline.services.registers import Registers

try:
    import micropython
except ImportError:
    micropython = None

START_MS = -60000  # on the ring
ABSENT = 0x8000
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
SITE = {"phases": 3, "voltage_v": 277, "service_a": 400}
METER = 40072  # first point of model 203
OURS = 40179  # first point of the Firmline model
HEARTBEAT = 40225
DYNAMIC = 40226
EMERGENCY = 40231


class Frame:
    """Stands for the server: a reply to put into, a request to get from."""

    def __init__(self):
        self.words = array("H", [0] * 125)
        self.tx = bytearray(3 + 250)
        self.rights = 1  # limits may be loosened

    def put(self, k, value):
        self.tx[3 + 2 * k] = value >> 8
        self.tx[4 + 2 * k] = value & 0xFF

    def replied(self, count):
        return [self.tx[3 + 2 * k] << 8 | self.tx[4 + 2 * k] for k in range(count)]

    def get(self, k):
        return self.words[k]


class Bench:
    def __init__(self, site=SITE):
        self.telemetry = array("i", [0] * register_map.TELEMETRY_SIZE)
        self.telemetry[register_map.T_METER_IS_USABLE] = 1
        self.head_end = HeadEnd(60000, 48000, 10000)
        self.head_end.poll(START_MS & 0x3FFFFFFF)
        self.map = Registers(self.telemetry, self.head_end, site, 7, "PCS", "A1")
        self.frame = Frame()

    def read(self, address, count=1):
        assert self.map.read(address, count, self.frame) == 0, address
        return self.frame.replied(count)

    def read_int32(self, address):
        high, low = self.read(address, 2)
        value = high * 65536 + low
        return value - (1 << 32) if high & 0x8000 else value

    def read_int16(self, address):
        value = self.read(address)[0]
        return value - 65536 if value & 0x8000 else value

    def write(self, address, *words):
        for k in range(len(words)):
            self.frame.words[k] = words[k]
        return self.map.write(address, len(words), self.frame)

    def put(self, name, value):
        self.telemetry[getattr(register_map, name)] = value


def text(words):
    letters = ""
    for word in words:
        letters += chr(word >> 8) + chr(word & 0xFF)
    return letters.rstrip("\0")


def test_it_opens_as_a_sunspec_device():
    bench = Bench()
    assert text(bench.read(40000, 2)) == "SunS"
    assert bench.read(40002, 2) == [1, 66]
    assert text(bench.read(40004, 16)) == "Firmline"
    assert text(bench.read(40020, 16)) == "PCS"
    assert text(bench.read(40036, 8)) == ""
    assert text(bench.read(40044, 8)).count(".") == 2
    assert text(bench.read(40052, 16)) == "A1"
    assert bench.read(40068, 2) == [7, ABSENT]  # unit address, pad
    assert bench.read(40070, 2) == [203, 105]
    assert bench.read(40177, 2) == [64900, 138]
    assert bench.read(40317, 2) == [0xFFFF, 0]


def test_texts_are_cut_to_their_field_and_to_ascii():
    bench = Bench()
    bench.map = Registers(bench.telemetry, bench.head_end, SITE, 1, "x" * 40, "\xe9")
    assert text(bench.read(40020, 16)) == "x" * 32
    assert bench.read(40052)[0] == 0x6900


def test_reads_end_where_the_map_ends():
    bench = Bench()
    for address, count in (
        (39999, 1),
        (39999, 2),
        (0, 1),
        (40319, 1),
        (40318, 2),
        (40200, 120),
        (65535, 1),
        (40000, 0),
    ):
        assert bench.map.read(address, count, bench.frame) == ILLEGAL_ADDRESS, (address, count)
    bench.read(40318)
    bench.read(40178, 125)


def test_any_window_reads_the_same_registers():
    bench = Bench()
    for index in range(register_map.TELEMETRY_SIZE):
        bench.telemetry[index] = index * 1000003 if index != register_map.T_METER_IS_USABLE else 1
    whole = bench.read(40000, 125) + bench.read(40125, 125) + bench.read(40250, 69)
    for start in range(319):
        assert bench.read(40000 + start)[0] == whole[start], start
        count = min(7, 319 - start)
        assert bench.read(40000 + start, count) == whole[start : start + count]


def test_meter_model_shows_the_pcc():
    bench = Bench()  # 3 x 400 A at 277 V: W_SF 2 (100 W), A_SF -1, V_SF -1
    bench.put("T_PCC_W", -123449)
    telemetry = bench.telemetry
    for k in range(3):
        telemetry[register_map.T_L1_W + k] = (40000, -50, 650049)[k]
        telemetry[register_map.T_L1_MA + k] = (150049, -150050, 399999)[k]
        telemetry[register_map.T_L1_DV + k] = (2771, 2765, 2780)[k]
    assert bench.read_int16(METER + 4) == -1  # A_SF
    assert bench.read_int16(METER + 13) == -1  # V_SF
    assert bench.read_int16(METER + 20) == 2  # W_SF
    assert bench.read_int16(METER + 16) == -1234  # W
    assert [bench.read_int16(METER + 17 + k) for k in range(3)] == [400, 0, 6500]
    assert [bench.read_int16(METER + 1 + k) for k in range(3)] == [1500, -1500, 4000]
    assert bench.read_int16(METER) == 4000  # 399.998 A
    assert [bench.read_int16(METER + 6 + k) for k in range(3)] == [2771, 2765, 2780]
    assert bench.read_int16(METER + 5) == 2772
    assert bench.read(METER + 103, 2) == [0, 0]  # Evt
    assert bench.read(METER + 36, 16) == [0] * 16  # energies: not counted


def test_what_is_not_measured_reads_as_not_implemented():
    bench = Bench()
    for offset in (9, 10, 11, 12, 14, 15, 21, 35, 69, 102):
        assert bench.read(METER + offset) == [ABSENT], offset


def test_measured_points_are_withdrawn_while_the_sample_is_not_usable():
    bench = Bench()
    bench.put("T_PCC_W", 5000)
    assert bench.read(METER + 16) == [50]
    bench.put("T_METER_IS_USABLE", 0)
    for offset in (0, 1, 2, 3, 5, 6, 7, 8, 16, 17, 18, 19):
        assert bench.read(METER + offset) == [ABSENT], offset
    assert bench.read(METER + 103, 2) == [0, 0x80]  # missing sensor
    assert bench.read(METER + 4) == [0xFFFF]  # scale factors stay
    assert bench.read_int32(OURS + 6) == 5000  # with its age beside it


def test_before_the_first_sample_nothing_looks_measured():
    telemetry = array("i", [0] * register_map.TELEMETRY_SIZE)
    bench = Bench()
    bench.map = Registers(telemetry, bench.head_end, SITE)
    assert bench.read(METER + 16) == [ABSENT]


def test_sunspec_points_clamp_to_int16():
    bench = Bench()
    for value, shown in ((3276750, 32767), (500000000, 32767), (-500000000, -32767)):
        bench.put("T_PCC_W", value)
        assert bench.read_int16(METER + 16) == shown
    bench.put("T_L1_MA", -500000000)
    assert bench.read_int16(METER + 1) == -32767


def test_scale_factors_leave_room_for_twice_the_rating():
    cases = (  # phases, voltage, service A; A_SF, W_SF
        (1, 230, 63, -2, 0),
        (1, 230, 100, -2, 1),
        (2, 120, 200, -1, 1),
        (3, 230, 63, -1, 1),
        (3, 400, 5000, 0, 3),
    )
    for phases, voltage_v, service_a, amps, watts in cases:
        bench = Bench({"phases": phases, "voltage_v": voltage_v, "service_a": service_a})
        assert bench.read_int16(METER + 4) == amps, service_a
        assert bench.read_int16(METER + 20) == watts, service_a
        most_w = 2 * service_a * voltage_v * phases
        bench.put("T_PCC_W", most_w)
        shown = bench.read_int16(METER + 16) * 10**watts
        assert abs(shown - most_w) <= 10**watts // 2


def test_scale_factor_steps():
    for largest, exponent in ((0, 0), (32767, 0), (32768, 1), (327679, 1), (327680, 2)):
        assert register_map.scale_factor(largest) == exponent


def test_mean_voltage_is_of_the_conductors_the_site_has():
    for phases, mean_dv in ((1, 1200), (2, 1210), (3, 1220)):
        bench = Bench({"phases": phases, "voltage_v": 120, "service_a": 100})
        for k in range(phases):
            bench.telemetry[register_map.T_L1_DV + k] = 1200 + 20 * k
        assert bench.read_int16(METER + 5) == mean_dv


# offset in the Firmline model, telemetry constant
WORDS = (
    (1, "T_MODE"),
    (2, "T_STAGE"),
    (26, "T_BINDING_IMPORT"),
    (27, "T_BINDING_EXPORT"),
    (28, "T_BINDING_CONDUCTOR"),
    (57, "T_RESOURCES"),
)
LONGS = (
    (4, "T_CAUSE"),
    (6, "T_PCC_W"),
    (8, "T_L1_W"),
    (14, "T_L1_MA"),
    (20, "T_IN_FORCE_IMPORT_W"),
    (22, "T_IN_FORCE_EXPORT_W"),
    (24, "T_IN_FORCE_MA"),
    (30, "T_EXPIRES_IN_S"),
    (32, "T_METER_AGE_MS"),
    (34, "T_CYCLES"),
    (36, "T_LATE_CYCLES"),
    (38, "T_WORST_CYCLE_US"),
    (40, "T_UPTIME_S"),
    (42, "T_FALLBACKS"),
    (44, "T_BUS_ERRORS"),
)


def test_firmline_model_words():
    bench = Bench()
    assert bench.read(OURS) == [2]
    for offset, name in WORDS:
        for value, shown in ((0, 0), (5, 5), (65535, 65535), (65536, 65535), (-1, 0)):
            bench.put(name, value)
            assert bench.read(OURS + offset) == [shown], name


def test_firmline_model_longs():
    bench = Bench()
    for offset, name in LONGS:
        for value in (0, 1, -1, 65535, 65536, -65536, -65537, (1 << 29) - 1, -(1 << 29)):
            bench.put(name, value)
            assert bench.read_int32(OURS + offset) == value, name


def test_conductors_follow_one_another():
    bench = Bench()
    for k in range(3):
        bench.telemetry[register_map.T_L1_W + k] = 100 + k
        bench.telemetry[register_map.T_L1_MA + k] = -200 - k
    for k in range(3):
        assert bench.read_int32(OURS + 8 + 2 * k) == 100 + k
        assert bench.read_int32(OURS + 14 + 2 * k) == -200 - k


def test_sixteen_resources_with_command_and_power():
    bench = Bench()
    for k in range(16):
        bench.telemetry[register_map.T_RESOURCE_BASE + 2 * k] = 1000 * k
        bench.telemetry[register_map.T_RESOURCE_BASE + 2 * k + 1] = -7 - k
    for k in range(16):
        assert bench.read_int32(40237 + 4 * k) == 1000 * k
        assert bench.read_int32(40239 + 4 * k) == -7 - k


def test_the_table_agrees_with_the_addresses():
    at = 40000
    found = {}
    for point in register_map.POINTS:
        found[(point[0], point[1])] = at
        at += register_map.width(point)
    assert at == 40319
    assert found[(203, "W")] == METER + 16
    assert found[(64900, "map_version")] == OURS
    assert found[(64900, "heartbeat")] == HEARTBEAT
    assert found[(64900, "dynamic_import_w")] == DYNAMIC
    assert found[(64900, "emergency_import_w")] == EMERGENCY
    assert found[(64900, "resources")] == 40236
    assert found[(65535, "ID")] == 40317
    assert len(found) == len(register_map.POINTS)


def test_each_model_is_as_long_as_it_says():
    lengths = {}
    said = {}
    for point in register_map.POINTS:
        model, name, _, source, _ = point
        lengths[model] = lengths.get(model, 0) + register_map.width(point)
        if name == "ID":
            assert source == model
        if name == "L":
            said[model] = source
    assert lengths == {0: 2, 1: 68, 203: 107, 64900: 140, 65535: 2}
    assert said == {1: 66, 203: 105, 64900: 138, 65535: 0}


def test_every_telemetry_index_is_one_of_its_own_and_inside():
    seen = set()
    for name in dir(register_map):
        if name.startswith("T_"):
            index = getattr(register_map, name)
            assert 0 <= index < register_map.TELEMETRY_SIZE
            for k in range(3 if name.startswith("T_L1_") else 1):
                assert index + k not in seen, name
                seen.add(index + k)
    assert register_map.T_RESOURCE_BASE + 2 * 16 == register_map.TELEMETRY_SIZE


def test_a_heartbeat_is_any_write_of_its_register():
    bench = Bench()
    assert bench.read(OURS + 3) == [0]  # head_end: never
    assert bench.write(HEARTBEAT, 5) == 0
    assert bench.head_end.is_alive and bench.head_end.heartbeats == 1
    assert bench.read(HEARTBEAT) == [5]
    assert bench.read(OURS + 3) == [1]
    assert bench.write(HEARTBEAT, 5) == 0
    assert bench.head_end.heartbeats == 2
    bench.head_end.poll((START_MS + 60001) & 0x3FFFFFFF)
    assert bench.read(OURS + 3) == [2]  # silent


def test_a_dynamic_limit_is_one_write_of_five_registers():
    bench = Bench()
    bench.write(HEARTBEAT, 1)
    assert bench.write(DYNAMIC, 1, 4464, 0, 5000, 300) == 0  # 70,000 W, 5,000 W
    assert bench.head_end.dynamic_import_w == 70000
    assert bench.head_end.dynamic_export_w == 5000
    assert bench.read(DYNAMIC, 5) == [1, 4464, 0, 5000, 300]
    bench.head_end.poll((START_MS + 1000) & 0x3FFFFFFF)
    assert bench.read(DYNAMIC + 4) == [299]
    bench.head_end.poll((START_MS + 1001) & 0x3FFFFFFF)
    assert bench.read(DYNAMIC + 4) == [299]  # rounded up: 0 means over
    assert bench.read(EMERGENCY, 5) == [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0]


def test_an_emergency_limit_is_one_write_of_five_registers():
    bench = Bench()
    bench.write(HEARTBEAT, 1)
    assert bench.write(EMERGENCY, 0, 9000, 0xFFFF, 0xFFFF, 60) == 0
    assert bench.head_end.emergency_import_w == 9000
    assert bench.head_end.emergency_export_w == -1
    assert bench.head_end.dynamic_import_w == -1
    assert bench.read(EMERGENCY, 5) == [0, 9000, 0xFFFF, 0xFFFF, 60]
    assert bench.write(EMERGENCY, 0, 9001, 0xFFFF, 0xFFFF, 60) == ILLEGAL_VALUE


def test_a_limit_needs_a_heartbeat_first():
    bench = Bench()
    assert bench.write(DYNAMIC, 0, 1, 0, 1, 60) == ILLEGAL_VALUE
    assert bench.write(EMERGENCY, 0, 1, 0, 1, 60) == ILLEGAL_VALUE
    assert bench.read(DYNAMIC, 5) == [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0]


def test_words_that_are_no_limit_are_refused_whole():
    bench = Bench()
    bench.write(HEARTBEAT, 1)
    bench.write(DYNAMIC, 1, 0, 1, 0, 300)
    for words in (
        (0x2000, 0, 0, 0, 60),  # 2**29
        (0, 0, 0x2000, 0, 60),
        (0x7FFF, 0xFFFF, 0, 0, 60),
        (0x8000, 0, 0, 0, 60),  # not implemented
        (0, 0, 0xFFFF, 0xFFFE, 60),  # -2
        (0xFFFF, 0, 0, 0, 60),
        (0, 0, 0, 0, 0),
        (0, 0, 0, 0, 3601),
        (0, 0, 0, 0, 65535),
    ):
        assert bench.write(DYNAMIC, *words) == ILLEGAL_VALUE, words
        assert bench.write(EMERGENCY, *words) == ILLEGAL_VALUE, words
        assert bench.read(DYNAMIC, 5) == [1, 0, 1, 0, 300]
    assert bench.write(DYNAMIC, 0x1FFF, 0xFFFF, 0, 0, 3600) == 0
    assert bench.head_end.dynamic_import_w == (1 << 29) - 1


def test_a_part_of_a_block_or_two_at_once_is_refused():
    bench = Bench()
    bench.write(HEARTBEAT, 1)
    for address in range(HEARTBEAT, EMERGENCY + 5):
        for count in range(1, EMERGENCY + 5 - address + 1):
            whole = (HEARTBEAT, 1), (DYNAMIC, 5), (EMERGENCY, 5)
            if (address, count) not in whole:
                code = bench.write(address, *([1] * count))
                assert code == ILLEGAL_VALUE, (address, count)
    assert bench.read(DYNAMIC, 5) == [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0]
    assert bench.head_end.heartbeats == 1


def test_everything_else_cannot_be_written():
    bench = Bench()
    bench.write(HEARTBEAT, 1)
    before = [bench.read(address)[0] for address in range(40000, 40319)]
    for address in range(39990, 40336):
        for count in (1, 2, 5, 6, 11, 123):
            if HEARTBEAT <= address and address + count <= EMERGENCY + 5:
                continue
            assert bench.write(address, *([1] * count)) == ILLEGAL_ADDRESS, (address, count)
    for address in (0, 1, 65535, HEARTBEAT - 40001, HEARTBEAT + 1 - 40001):
        assert bench.write(address, 1) == ILLEGAL_ADDRESS
    assert [bench.read(address)[0] for address in range(40000, 40319)] == before
    assert bench.map.write(HEARTBEAT, 0, bench.frame) == ILLEGAL_ADDRESS


def test_reading_and_writing_never_allocate():
    bench = Bench()
    for index in range(register_map.TELEMETRY_SIZE):
        bench.telemetry[index] = -((1 << 29) - index)
    frame = bench.frame
    codes = 0
    before = 0
    if hasattr(micropython, "heap_lock"):
        if hasattr(micropython, "mem_total"):
            before = micropython.mem_total()
        micropython.heap_lock()
    for turn in range(4):
        for address in range(40000, 40319):
            codes |= bench.map.read(address, min(125, 40319 - address), frame)
        codes |= bench.map.write(HEARTBEAT, 1, frame)
        for k in range(5):
            frame.words[k] = (0x1FFF, 0xFFFF, 0xFFFF, 0xFFFF, 3600)[k]
        codes |= bench.map.write(DYNAMIC, 5, frame)
        codes |= bench.map.write(EMERGENCY, 5, frame)
        frame.words[0] = 0x8000  # refused: no limit
        bench.map.write(DYNAMIC, 5, frame)
        bench.map.write(DYNAMIC, 4, frame)
        bench.map.read(40319, 1, frame)
    if hasattr(micropython, "heap_lock"):
        micropython.heap_unlock()
        if hasattr(micropython, "mem_total"):
            assert micropython.mem_total() == before
    assert codes == 0
    assert bench.head_end.accepted == 8 and bench.head_end.refused == 4
