# SPDX-License-Identifier: MIT
"""The controller as a process in the host's time: its terminals, its clock, its sleep.

The other tests of behaviour run in virtual time. These show that the same files do the same over
real terminals, and that the bench says so when the host was too slow to know. Where it was, a
test is repeated, then skipped; a CI machine that is always too slow fails.
"""

import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hil import build
from hil.bench import Bench
from hil.scenarios.load import build_config, load
from hil.scenarios.model import Device, Element
from hil.targets.firmware import FIRMWARE_DIR, TargetError, find_micropython
from hil.targets.wall import BoardTarget, WallTarget, request_bytes
from hil.world import World

pty = pytest.importorskip("pty")
tty = pytest.importorskip("tty")

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "hil" / "scenarios"
IN_FORCE = 40199  # in_force_import_w, int32: docs/registers.md
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def interpreter():
    try:
        return find_micropython()
    except TargetError as error:
        pytest.skip(str(error))


def run_on_a_quiet_host(make_bench):
    """(bench, result) of a run that did not stall, out of three."""
    for _ in range(3):
        bench = make_bench()
        result = bench.run()
        late = f"late by at most {bench.target.max_late_us / 1000:.0f} ms"
        late += f", {bench.target.late_count} times by more than 50 ms"
        print(late)
        if not bench.target.stalled:
            return bench, result
        assert result.verdict == "INCONCLUSIVE"
    if os.environ.get("CI") == "true":
        pytest.fail(f"the host stalled three times: {late}")
    pytest.skip(f"the host stalled: {late}")


def quick(scenario):
    """Vehicles that start at once, so that a short run gets to full load."""
    evs = [
        replace(
            ev, parameters=ev.parameters | {"start_delay_s": 0.2, "up_s": 0.3, "delay_ms": 200}
        )
        for ev in scenario.plant.ev
    ]
    devices = [
        replace(d, config=d.config | {"settle_ms": 1000}) if d.role == "evse" else d
        for d in scenario.device
    ]
    return replace(
        scenario,
        device=tuple(devices),
        plant=replace(scenario.plant, ev=tuple(evs)),
        timing=scenario.timing | {"raise_delay_ms": 300},
    )


def meter_cut():
    """The packaged scenario in 15 s: both cars charge, the cable is cut at 8 s, the load rises."""
    scenario = quick(load(SCENARIOS / "meter_cut.toml"))
    household = scenario.plant.load[0]
    household = replace(
        household, parameters=household.parameters | {"at_s": (0, 9), "load_w": (4000, 10_000)}
    )
    return replace(
        scenario,
        duration_s=15,
        plant=replace(scenario.plant, load=(household,)),
        fault=(replace(scenario.fault[0], from_s=8, to_s=15),),
    )


def head_end(duration_s, heater=False):
    """A head-end that beats and reads; 25 kW from the first second on; perhaps a relay."""
    scenario = quick(load(SCENARIOS / "head_end_silent.toml"))
    script = scenario.head_end_script
    script = replace(
        script,
        heartbeat_s=1,
        status_s=0.5,
        silent=(),
        write=(replace(script.write[0], at_s=1, import_w=25_000, duration_s=60),),
    )
    scenario = replace(
        scenario, duration_s=duration_s, head_end_script=script, fault=(), expect=()
    )
    if heater:
        config = {
            "name": "heater",
            "type": "relay_output",
            "pin": 5,
            "load_w": 2000,
            "phases": "L1",
            "min_on_s": 0,
            "min_off_s": 0,
        }
        plant = replace(
            scenario.plant, relay_load=(Element("tank", "L1", None, {"load_w": 2000}),)
        )
        device = Device("heater", "relay_output", "relay", config, "tank", {})
        scenario = replace(scenario, device=(*scenario.device, device), plant=plant)
    return scenario


# --- a process over terminals --------------------------------------------------------------


def test_every_load_falls_back_within_5_s_of_the_last_good_frame(tmp_path):
    bench, result = run_on_a_quiet_host(lambda: Bench(meter_cut(), WallTarget, tmp_path))

    trace = result.trace
    cut = trace["t_s"].index(8.0)
    for car in ("evse_a", "evse_b"):
        assert trace[f"{car}_w"][cut] > 4000, car  # truth: there was something to fall back from
        assert trace[f"{car}_w"][-1] == 0, car
    assert result.metrics["fallback_s"]["count"] == 1
    assert 2.0 < result.metrics["fallback_s"]["max"] <= 5.0
    assert result.verdict == "PASS", result.checks
    assert bench.wires["uart0"].collisions == 0
    # without a head-end in the scenario nobody sees the controller's own figures
    assert (result.metrics["cycles"], result.metrics["late_cycles"]) == (0, 0)
    assert result.metrics["worst_cycle_us"] is None
    assert set(trace["mode"]) == {0}
    assert 0.9 < result.metrics["sim_speed"] <= 1.0


def test_view_is_what_the_head_end_read_and_a_pin_switches_its_load(tmp_path):
    scenario = head_end(6, heater=True)
    bench, result = run_on_a_quiet_host(lambda: Bench(scenario, WallTarget, tmp_path))

    trace = result.trace
    assert trace["in_force_import_w"][0] == 0
    assert trace["in_force_import_w"][-1] == 25_000
    assert trace["mode"][-1] == 1
    assert trace["meter_w"][-1] == pytest.approx(trace["pcc_w"][-1], rel=0.2)
    assert set(trace["evse_a_command_w"]) == {None}  # the status does not hold the commands
    assert result.metrics["cycles"] >= 40  # 10 a second; up to 1 s before the end
    assert result.metrics["worst_cycle_us"] > 0
    assert bench.target.pins == [5]
    assert bench.target.outputs == 1
    assert trace["heater_w"][0] == 0 and trace["heater_w"][-1] == 2000  # truth


def test_a_stalled_host_is_never_a_pass(tmp_path):
    scenario = replace(meter_cut(), duration_s=1, fault=())
    met = tuple(e for e in scenario.expect if e.metric == "import_longest_excursion_s")
    bench = Bench(replace(scenario, expect=met), WallTarget, tmp_path)
    bench.world.at(500_000, time.sleep, 0.3)

    result = bench.run()

    assert [check["verdict"] for check in result.checks] == ["PASS"]

    assert bench.target.stalled
    assert bench.target.max_late_us >= 290_000
    assert bench.target.late_count >= 1
    assert result.verdict == "INCONCLUSIVE"
    assert result.metrics["host_late_ms"] == bench.target.max_late_us / 1000


def test_a_host_that_is_a_little_late_is_counted_but_not_stalled(tmp_path):
    bench = Bench(replace(meter_cut(), duration_s=1, fault=()), WallTarget, tmp_path)
    bench.world.at(300_000, time.sleep, 0.1)

    bench.run()

    if bench.target.stalled:
        pytest.skip(f"the host stalled: {bench.target.max_late_us / 1000} ms")
    assert bench.target.max_late_us >= 90_000
    assert bench.target.late_count >= 1


def open_descriptors():
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()


def controllers(config_path):
    """Process ids of the controllers that run a configuration."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.ESRCH)
            continue
        if os.fsencode(config_path) in words:
            found.append(int(path.parent.name))
    return found


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.skipif("sys.platform != 'linux'", reason="looks into /proc")
def test_interrupted_run_leaves_no_process_and_no_terminal_behind(tmp_path):
    before = open_descriptors()
    bench = Bench(replace(meter_cut(), fault=()), WallTarget, tmp_path)
    seen = []
    bench.world.at(200_000, lambda: seen.extend(controllers(tmp_path / "config.json")))
    bench.world.at(300_000, interrupt)

    with pytest.raises(KeyboardInterrupt):
        bench.run()

    assert len(seen) == 1
    assert controllers(tmp_path / "config.json") == []
    assert open_descriptors() == before


@pytest.mark.skipif("sys.platform != 'linux'", reason="looks into /proc")
def test_controller_of_a_killed_bench_ends_too(tmp_path):
    command = [sys.executable, "-m", "hil", "run", str(SCENARIOS / "meter_cut.toml")]
    command += ["--target", "micropython", "--clock", "wall", "--out", str(tmp_path / "out")]
    bench = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up_s = time.monotonic() + 20
        config_path = None
        while config_path is None or not controllers(config_path):
            assert time.monotonic() < give_up_s and bench.poll() is None
            config_path = next(tmp_path.glob("*/config.json"), None)
            time.sleep(0.05)
        time.sleep(0.5)  # until it has opened its ports
    finally:
        bench.send_signal(signal.SIGKILL)
        bench.wait()
    give_up_s = time.monotonic() + 5
    while controllers(config_path):
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def test_controller_that_cannot_start_is_one_line(tmp_path):
    bench = Bench(meter_cut(), WallTarget, tmp_path)
    (tmp_path / "config.json").write_text('{"schema": 2}')

    with pytest.raises(TargetError, match=r"^the controller ended: config: schema = 2: accepted"):
        bench.run()


def test_controller_that_ends_during_a_run_is_one_line(tmp_path):
    bench = Bench(replace(meter_cut(), fault=()), WallTarget, tmp_path)
    bench.world.at(
        200_000, lambda: os.kill(controllers(tmp_path / "config.json")[0], signal.SIGINT)
    )

    with pytest.raises(TargetError, match=r"^the controller ended: stopped: Ctrl-C$"):
        bench.run()


# --- a board on real ports, played by a process behind a null modem --------------------------


class NullModem:
    """Two terminals, cross-wired: what is written to one is read from the other."""

    def __init__(self):
        self._pairs = [pty.openpty() for _ in range(2)]
        for _, slave in self._pairs:
            tty.setraw(slave)
        self.near, self.far = (os.ttyname(slave) for _, slave in self._pairs)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self):
        masters = [master for master, _ in self._pairs]
        while not self._is_over.is_set():
            for master in select.select(masters, [], [], 0.1)[0]:
                other = masters[1 - masters.index(master)]
                os.write(other, os.read(master, 4096))

    def close(self):
        self._is_over.set()
        self._thread.join()
        for pair in self._pairs:
            for descriptor in pair:
                os.close(descriptor)


class Board:
    """The controller as a process of its own, which the bench knows by its ports only."""

    def __init__(self, ports):
        self.modems = {name: NullModem() for name in ports}
        self.ports = {name: modem.near for name, modem in self.modems.items()}
        self._process = None

    def start(self, config_path):
        command = [find_micropython(), str(FIRMWARE_DIR / "main.py"), str(config_path)]
        for name, modem in self.modems.items():
            command += ["--port", f"{name}={modem.far}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "firmline: running\n"

    def target(self, world, wires, config_path):
        return BoardTarget(world, wires, config_path, self.ports)

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        for modem in self.modems.values():
            modem.close()


@pytest.fixture
def board():
    board = Board(("uart0", "uart1"))
    yield board
    board.close()


def test_board_on_serial_ports_is_run_and_judged(board, tmp_path):
    pytest.importorskip("serial")

    def make_bench():
        bench = Bench(head_end(5), board.target, tmp_path)
        if board._process is None:
            board.start(tmp_path / "config.json")
        return bench

    bench, result = run_on_a_quiet_host(make_bench)

    assert result.target == "board"
    assert result.trace["in_force_import_w"][-1] == 25_000
    assert result.trace["mode"][-1] == 1
    assert result.trace["evse_a_w"][-1] + result.trace["evse_b_w"][-1] > 4000  # truth
    assert bench.head_end.timeouts == bench.head_end.malformed == 0
    assert bench.wires["uart0"].frames_up > 50


class RunningSite:
    """A board with an emulated meter of a steady 4000 W site, run by a thread until closed."""

    def __init__(self, board, tmp_path):
        scenario = head_end(1)
        evs = [
            replace(ev, parameters=ev.parameters | {"arrive_s": 1000, "leave_s": 2000})
            for ev in scenario.plant.ev
        ]
        scenario = replace(scenario, plant=replace(scenario.plant, ev=tuple(evs)))
        config_path = tmp_path / "config.json"
        config_path.write_text(json.dumps(build_config(scenario)))
        self._world = World()
        plant = build.build_plant(scenario)
        wires, _ = build.build_wires(self._world, scenario, plant)
        wire = {"uart0": wires["uart0"]}
        self._target = BoardTarget(self._world, wire, config_path, {"uart0": board.ports["uart0"]})
        board.start(config_path)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self._target.start()
        while not self._is_over:
            self._target.run_until(self._world, self._world.now_us + 50_000)
        self._target.close()

    def close(self):
        self._is_over = True
        self._thread.join(5)


def await_value(read, value, timeout_s=5):
    """Read until it is `value`; returns what was read last."""
    give_up_s = time.monotonic() + timeout_s
    while (got := read()) != value and time.monotonic() < give_up_s:
        time.sleep(0.05)
    return got


def test_pymodbus_as_head_end_reads_beats_and_limits(board, tmp_path):
    """Addresses and values are literals from SunSpec's models and docs/registers.md."""
    pytest.importorskip("serial")
    pytest.importorskip("pymodbus")
    from tests.host.pymodbus_peer import HeadEndClient

    def refused(write, *arguments):
        with pytest.raises(HeadEndClient.Refused) as caught:
            write(*arguments)
        return caught.value.code

    site = RunningSite(board, tmp_path)
    try:
        with HeadEndClient(board.ports["uart1"], 1) as client:

            def watts():
                raw, factor = client.read_holding(40088, 1)[0], client.read_holding(40092, 1)[0]
                return raw * 10**factor

            def in_force_import_w():
                high, low = client.read_input(IN_FORCE, 2)
                return high << 16 | low

            assert client.read_holding(40000, 2) == [0x5375, 0x6E53]  # "SunS"
            assert client.read_holding(40070, 2) == [203, 105]
            assert await_value(watts, 4000) == 4000
            assert await_value(in_force_import_w, 17_000) == 17_000  # firm

            limit = [0, 12_000, 0xFFFF, 0xFFFF, 30]
            assert refused(client.write, 40226, limit) == 3  # no heartbeat, no limit
            client.write_single(40225, 1)
            client.write(40226, limit)
            assert await_value(in_force_import_w, 12_000, 1) == 12_000
            client.write_single(40225, 2)
            client.write(40226, [0, 25_000, 0xFFFF, 0xFFFF, 2])
            assert await_value(in_force_import_w, 25_000, 1) == 25_000
            assert await_value(in_force_import_w, 17_000, 4) == 17_000  # it expires by itself

            for address in (40000, 40070, 40088, IN_FORCE, 40302):
                assert refused(client.write_single, address, 0) == 2, address
                assert refused(client.write, address, [0]) == 2, address
            assert refused(client.write, 40224, [0, 3]) == 2  # half of it read-only
            assert refused(client.read_holding, 40303, 1) == 2
            assert client.read_holding(40000, 2) == [0x5375, 0x6E53]
            assert watts() == 4000
    finally:
        site.close()


def board_error(tmp_path, ports):
    with pytest.raises(TargetError) as caught:
        bench = Bench(head_end(1), lambda *given: BoardTarget(*given, ports), tmp_path)
        bench.run()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_board_without_its_ports_is_one_line(tmp_path):
    assert board_error(tmp_path, {}) == (
        "target board: no serial port for uart0, uart1: --port uart0=DEVICE --port uart1=DEVICE"
    )


def test_port_that_the_scenario_does_not_use_is_one_line(tmp_path):
    ports = {"uart0": "/dev/a", "uart1": "/dev/b", "uart7": "/dev/c"}

    assert board_error(tmp_path, ports) == (
        "target board: --port uart7 is not used: the scenario has uart0, uart1"
    )


def test_missing_device_is_one_line(tmp_path):
    pytest.importorskip("serial")
    device = tmp_path / "ttyUSB0"

    text = board_error(tmp_path, {"uart0": str(device), "uart1": str(device)})

    assert text == f"port uart0: {device} does not exist"


def test_device_that_is_no_port_is_one_line(tmp_path):
    pytest.importorskip("serial")
    device = tmp_path / "notes.txt"
    device.write_text("mine")

    assert board_error(tmp_path, {"uart0": str(device), "uart1": str(device)}).startswith(
        f"port uart0: {device}: "
    )


def test_busy_port_is_one_line_and_gives_the_others_back(tmp_path, board):
    serial = pytest.importorskip("serial")
    before = open_descriptors()
    with serial.Serial(board.ports["uart1"], exclusive=True):
        text = board_error(tmp_path, board.ports)

    assert text == f"port uart1: {board.ports['uart1']}: is in use by another program"
    assert open_descriptors() == before


def test_board_whose_pins_cannot_be_seen_is_refused(tmp_path):
    with pytest.raises(TargetError, match="cannot see the pin of heater"):
        Bench(
            head_end(1, heater=True),
            lambda *given: BoardTarget(*given, {"uart0": "/dev/a", "uart1": "/dev/b"}),
            tmp_path,
        )


# --- bytes into requests ---------------------------------------------------------------------


class NotingWire:
    def __init__(self):
        self.sent = []
        self.on_receive = None

    def send(self, data, t_us):
        self.sent.append((t_us, data))


def test_length_of_a_request_is_known_from_its_beginning():
    assert [request_bytes(bytes((1, function))) for function in range(1, 7)] == [8] * 6
    assert request_bytes(b"\x01\x10\x00\x00\x00\x02") is None
    assert request_bytes(b"\x01\x10\x00\x00\x00\x02\x04") == 13
    assert request_bytes(b"\x01\x0f\x00\x00\x00\x09\x02") == 11
    assert request_bytes(b"\x01") is None
    assert request_bytes(b"\x01\x2b\x00\x00\x00\x00\x00\x00") is None


def test_requests_are_cut_at_their_ends_and_anything_else_at_a_silence():
    from hil.line.rtu import read_request, write_request
    from hil.targets.wall import _Port

    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs)
        wire = NotingWire()
        port = _Port("uart0", wire, ours)
        read = read_request(1, 4, 0, 2)
        write = write_request(11, 100, (1, 2, 3))

        def arrives(data, t_us):
            os.write(theirs, data)
            port.take(t_us)
            port.rest(t_us)

        arrives(read[:3], 0)
        assert wire.sent == []
        arrives(read[3:] + write[:8], 1000)
        assert wire.sent == [(1000, read)]
        arrives(write[8:], 2000)
        assert wire.sent[1:] == [(2000, write)]

        del wire.sent[:]
        broken = bytes((*read[:7], read[7] ^ 1))
        arrives(broken, 10_000)
        port.rest(29_999)
        assert wire.sent == []
        port.rest(30_000)
        assert wire.sent == [(30_000, broken)]
    finally:
        os.close(ours)
        os.close(theirs)
