# SPDX-License-Identifier: MIT
"""The controller as a process in the host's time: its terminals, its clock, its sleep.

The other tests of behaviour run in virtual time. These show that the same files do the same over
real terminals, and that the bench says so when the host was too slow to know. Where it was, a
test is repeated, then skipped; a CI machine that is always too slow fails.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("termios")

from hil.bench import Bench
from hil.targets.firmware import TargetError
from hil.targets.wall import WallTarget
from tests.host.wall_runs import (
    ROOT,
    SCENARIOS,
    head_end,
    interpreter,  # noqa: F401 - a fixture that every test here uses
    meter_cut,
    open_descriptors,
    run_on_a_quiet_host,
)

pytestmark = pytest.mark.timeout(120)


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
    scenario = head_end(9, heater=True)  # the cars are at full load from 5 s on
    bench, result = run_on_a_quiet_host(lambda: Bench(scenario, WallTarget, tmp_path))

    trace = result.trace
    assert trace["in_force_import_w"][0] == 0
    assert trace["in_force_import_w"][-1] == 25_000
    assert trace["mode"][-1] == 1
    assert trace["meter_w"][-1] == pytest.approx(trace["pcc_w"][-1], rel=0.2)
    assert set(trace["evse_a_command_w"]) == {None}  # the status does not hold the commands
    assert result.metrics["cycles"] >= 70  # 10 a second; up to 1 s before the end
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
@pytest.mark.parametrize("hang_up", [signal.SIG_DFL, signal.SIG_IGN], ids=["plain", "nohup"])
def test_controller_of_a_killed_bench_ends_too(tmp_path, hang_up):
    command = [sys.executable, "-m", "hil", "run", str(SCENARIOS / "meter_cut.toml")]
    command += ["--target", "micropython", "--clock", "wall", "--out", str(tmp_path / "out")]
    bench = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hang_up),
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
    give_up_s = time.monotonic() + 20
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


# --- bytes into requests ---------------------------------------------------------------------


class NotingWire:
    def __init__(self):
        self.sent = []
        self.on_receive = None

    def send(self, data, t_us):
        self.sent.append((t_us, data))


def test_requests_are_cut_at_their_ends_and_anything_else_at_a_silence():
    from hil.line.rtu import read_request, write_request
    from hil.targets.wall import _Port

    pty = pytest.importorskip("pty")
    tty = pytest.importorskip("tty")
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
