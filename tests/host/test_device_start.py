# SPDX-License-Identifier: MIT
"""app.main in a real MicroPython: what is left in memory, and how a fault of the program ends."""

import json
import os
import subprocess

import pytest

from hil.targets.firmware import FIRMWARE_DIR, TargetError, find_micropython
from tests.host.test_device_bad_config import GOOD

pty = pytest.importorskip("pty")

MAIN = """
import sys
sys.path.insert(0, {firmware!r})
from firmline import app
from firmline.hal import unix

def run(controller):
    {body}

hardware = unix.Hardware({config!r}, {ports!r}, {service})
hardware.run = run
status = app.main(hardware)
print("status", status, hex(hardware.marker()))
"""
FAULT = (
    "controller._outputs._by_resource[0].set(True); controller.poll(1); raise ValueError('boom')"
)
KEY = "controller._outputs._by_resource[0].set(True); raise KeyboardInterrupt"
LIST = "print(sorted(name for name in sys.modules if name.startswith('firmline')))"


@pytest.fixture
def run(tmp_path):
    """run(body, config, is_service) -> the ended process of a controller whose run() is `body`."""
    pairs = [pty.openpty() for _ in range(2)]
    ports = {f"uart{k}": os.ttyname(slave) for k, (_, slave) in enumerate(pairs)}

    def start(body, config=GOOD, is_service=False):
        path = tmp_path / "site.json"
        path.write_text(json.dumps(config))
        script = tmp_path / "start.py"
        script.write_text(
            MAIN.format(
                firmware=str(FIRMWARE_DIR),
                body=body,
                config=str(path),
                ports=ports,
                service=is_service,
            )
        )
        try:
            command = [find_micropython(), str(script)]
        except TargetError as error:
            pytest.skip(str(error))
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    yield start
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


def test_a_fault_switches_off_names_its_function_and_asks_for_a_restart(run):
    ended = run(FAULT)

    assert ended.returncode == 75, ended
    assert ended.stdout.index("output 5 on") < ended.stdout.index("output 5 off")
    assert "firmline: restart" in ended.stdout
    assert ended.stderr.startswith("firmline: stopped: ValueError('boom',), File ")
    assert ", in run\n" in ended.stderr


def test_a_fault_in_service_ends_with_the_traceback(run):
    ended = run(FAULT, is_service=True)

    assert ended.returncode == 1
    assert "output 5 off" in ended.stdout and "restart" not in ended.stdout
    said = ended.stdout + ended.stderr  # the interpreter prints its tracebacks on stdout
    assert "Traceback" in said and said.count("boom") == 2


def test_a_key_at_the_console_switches_off_and_ends(run):
    ended = run(KEY)

    assert ended.returncode == 0, ended
    assert ended.stdout.index("output 5 on") < ended.stdout.index("output 5 off")
    assert "status 0 0xb5a0100" in ended.stdout  # wanted: no unwell start
    assert ended.stderr == "firmline: stopped: Ctrl-C\n"


SECOND_KEY = """controller._outputs._by_resource[0].set(True)
    def make_safe():
        raise KeyboardInterrupt
    hardware.make_safe = make_safe
    raise KeyboardInterrupt"""


def test_a_second_key_while_all_is_switched_off_leaves_nothing_on(run):
    ended = run(SECOND_KEY)

    assert ended.stdout.index("output 5 on") < ended.stdout.index("output 5 off")
    assert "KeyboardInterrupt" in ended.stdout + ended.stderr


def test_what_only_the_start_needs_is_gone_from_memory(run):
    ended = run(LIST)

    kept = ended.stdout.splitlines()[0]
    assert "'firmline.core.guard'" in kept and "'firmline.devices.link'" in kept
    for gone in ("config", "config_fields", "assembly", "boot", "register_map"):
        assert f"'firmline.services.{gone}'" not in kept
    assert "catalog" not in kept and "sdm630" not in kept


def test_a_desktop_takes_a_configuration_for_a_board(run):
    ended = run("print('runs')", dict(GOOD, board="pico"))

    assert "runs" in ended.stdout


def test_a_wrong_field_ends_with_status_2_and_no_word_on_stdout(run):
    ended = run("print('runs')", dict(GOOD, board=7))

    assert "status 2" in ended.stdout and "runs" not in ended.stdout
    assert ended.stderr.startswith("firmline: config: board = 7: accepted is a text")


DIET = """
import sys
sys.path[:0] = {paths!r}
import alloc_site
import test_alloc_controller as alloc
from firmline.services import memory
bench = alloc_site.Bench()
story = alloc.Story(bench)
memory.tidy(True)
while bench.controller.supervisor.cycles < alloc.CYCLES:
    story.go_on()
    wait_ms = bench.controller.poll(bench.now_ms)
    bench.answer()
    bench.after(wait_ms)
alloc.check(bench, story)
print("runs")
"""


def test_what_a_board_drops_from_its_memory_is_not_missed(tmp_path):
    """10,000 cycles in which devices, meter and head-end come and go, and all stages are seen."""
    script = tmp_path / "diet.py"
    dual = str(FIRMWARE_DIR.parent / "tests" / "dual")
    script.write_text(DIET.format(paths=[str(FIRMWARE_DIR), dual]))
    try:
        command = [find_micropython(), "-X", "heapsize=8m", str(script)]
    except TargetError as error:
        pytest.skip(str(error))
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert done.stdout.endswith("runs\n"), done.stdout + done.stderr
