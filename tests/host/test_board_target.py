# SPDX-License-Identifier: MIT
"""The bench at the serial ports of a board, here a controller process behind a null modem, and
pymodbus as the head-end of that same process."""

import json
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("termios")
pytest.importorskip("serial")

from hil import build
from hil.bench import Bench
from hil.scenarios.load import build_config
from hil.targets.firmware import TargetError
from hil.targets.wall import BoardTarget
from hil.world import World
from tests.host.wall_runs import (
    Board,
    head_end,
    interpreter,  # noqa: F401 - a fixture that every test here uses
    open_descriptors,
    run_on_a_quiet_host,
)

IN_FORCE = 40199  # in_force_import_w, int32: docs/registers.md
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def board():
    board = Board(("uart0", "uart1"))
    yield board
    board.close()


def test_board_on_serial_ports_is_run_and_judged(board, tmp_path):

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
            assert refused(client.read_holding, 40319, 1) == 2
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
    device = tmp_path / "ttyUSB0"

    text = board_error(tmp_path, {"uart0": str(device), "uart1": str(device)})

    assert text == f"port uart0: {device} does not exist"


def test_device_that_is_no_port_is_one_line(tmp_path):
    device = tmp_path / "notes.txt"
    device.write_text("mine")

    assert board_error(tmp_path, {"uart0": str(device), "uart1": str(device)}).startswith(
        f"port uart0: {device}: "
    )


def test_busy_port_is_one_line_and_gives_the_others_back(tmp_path, board):
    import serial

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
