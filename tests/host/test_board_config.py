# SPDX-License-Identifier: MIT
"""A configuration against a board, before anything is sent: the tools and the start of the
firmware refuse the same, and the line says what would be accepted."""

import copy
import importlib
import json
import subprocess

import pytest

from hil.targets.firmware import FIRMWARE_DIR, find_micropython
from host_tools import config_check
from tests.host.deploy_runs import archive, deploy, small
from tests.host.pty_board import PtyBoard
from tests.host.test_boards import NAMES
from tests.host.wall_runs import interpreter  # noqa: F401 - skips without MicroPython

SITE = {
    "schema": 1,
    "site": {
        "name": "Depot",
        "phases": 1,
        "voltage_v": 230,
        "service_a": 63,
        "firm_import_w": 9000,
        "firm_export_w": 0,
        "worst_case_load_w": 3000,
    },
    "buses": [{"port": "uart0"}],
    "devices": [
        {"type": "eastron_sdm630", "name": "grid", "unit": 1},
        {"type": "relay_output", "name": "boiler", "pin": 8, "load_w": 2000},
        {"type": "trip_output", "name": "trip", "pin": 9},
    ],
}

# The start of the real firmware on a board whose chip is played: what a pin or a port is asked
# for is what the board file says. stdin: a line of JSON a case, (board, configuration).
PROGRAM = """
import json, sys
class Machine:
    class Pin:
        IN = OUT = PULL_UP = PULL_DOWN = 0
        def __init__(self, *arguments, **options): pass
        def value(self, *arguments): return 1
    class UART:
        def __init__(self, *arguments, **options): pass
        def any(self): return 0
    @staticmethod
    def unique_id(): return b"1"
class Wlan:
    STA_IF = 0
    def __init__(self, interface=0): pass
    WLAN = lambda self, interface: self
    def active(self, on): pass
sys.modules["machine"] = Machine
sys.modules["network"] = Wlan()
from firmline.app import Controller
from firmline.hal.board import BoardHardware
from firmline.services import boot
class Hardware(BoardHardware):
    reset_cause = lambda self: 0
    open_console = lambda self: None
    record_cause = lambda self, text: None
for line in sys.stdin:
    name, text = json.loads(line)
    hardware = Hardware(__import__("firmline.boards." + name, None, None, ("NAME",)))
    hardware.files = None
    hardware.read_config = lambda: text
    controller, cause = boot.start(hardware, Controller)
    print(json.dumps(cause))
"""


def site(**fields):
    return copy.deepcopy(SITE) | fields


def cases(name):
    """Configurations of which all fit the desktop: one that fits the board, and it with each pin,
    port and so on in turn."""
    board = importlib.import_module(f"firmline.boards.{name}")
    good = site(buses=[{"port": sorted(board.UARTS)[0]}])
    good["devices"][1]["pin"], good["devices"][2]["pin"] = board.OUTPUT_PINS[:2]
    if board.INPUT_PINS:
        good["devices"][1]["readback_pin"] = board.INPUT_PINS[0]
    yield good
    for pin in range(49):
        for index, key in ((1, "pin"), (2, "pin"), (1, "readback_pin")):
            made = copy.deepcopy(good)
            made["devices"][index][key] = pin
            yield made
    for port in ("uart0", "uart1", "uart2", "console"):
        yield good | {"buses": [{"port": port}]}
        yield good | {"head_end": {"port": port}}
    for told in (name, "pico", "pico_w", "toaster"):
        yield good | {"board": told}
    yield good | {"network": {"ssid": "site", "password": "12345678"}}


def on_the_device(pairs, folder):
    """The cause of each start, "" where it went well."""
    (folder / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [find_micropython(), "-X", "heapsize=8M", "program.py"],
        cwd=folder,
        env={"MICROPYPATH": str(FIRMWARE_DIR)},
        input="".join(json.dumps(pair) + "\n" for pair in pairs),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_tools_refuse_what_the_start_refuses_and_nothing_else(tmp_path):
    pairs = [(name, json.dumps(made)) for name in NAMES for made in cases(name)]
    pairs = [pair for pair in pairs if not config_check.faults(pair[1])]  # no pin twice
    causes = on_the_device(pairs, tmp_path)
    assert len(causes) == len(pairs) > 1000
    for (name, text), cause in zip(pairs, causes, strict=True):
        found = [config_check.as_line(error) for error in config_check.faults(text, name)]
        assert bool(found) == bool(cause), (name, text, found, cause)
    assert 100 < causes.count("") < len(pairs) - 500
    for word in ("port ", "pin ", "readback_pin ", "network: ", "config: board"):
        assert any(cause.startswith(word) for cause in causes), word


FAULTS = {
    "a pin of the RS-485 direction": (
        {"devices": [SITE["devices"][0], SITE["devices"][1] | {"pin": 2}]},
        "devices[1].pin = 2: accepted is an output of pico: 8, 9, 10, 11, 12, 13, 14, 15 "
        "(2 is the direction of uart0)",
    ),
    "a pin of a UART": (
        {"devices": [SITE["devices"][0], SITE["devices"][1] | {"pin": 4}]},
        "devices[1].pin = 4: accepted is an output of pico: 8, 9, 10, 11, 12, 13, 14, 15 "
        "(4 is TX of uart1)",
    ),
    "the service jumper's pin": (
        {"devices": [SITE["devices"][0], SITE["devices"][1] | {"readback_pin": 22}]},
        "devices[1].readback_pin = 22: accepted is an input of pico: 16, 17, 18, 19, 20, 21 "
        "(22 is the service jumper)",
    ),
    "no pin at all": (
        {"devices": [SITE["devices"][0], SITE["devices"][2] | {"pin": 40}]},
        "devices[1].pin = 40: accepted is an output of pico: 8, 9, 10, 11, 12, 13, 14, 15",
    ),
    "a pin twice": (
        {"devices": [*SITE["devices"], SITE["devices"][2] | {"name": "again"}]},
        "devices[3].pin = 9: accepted is a pin that devices[2] does not use",
    ),
    "a port": (
        {"head_end": {"port": "uart7"}},
        'head_end.port = "uart7": accepted is a port of pico: uart0, uart1',
    ),
    "another board": (
        {"board": "pico_w"},
        'board = "pico_w": accepted is pico, which this is',
    ),
    "no radio": (
        {"network": {"ssid": "site", "password": "secret78"}},
        'network = "(not shown)": accepted is none: pico has no network',
    ),
    "no network for TCP": (
        {"head_end": {"tcp_port": 502}},
        "head_end.tcp_port = 502: accepted is none: pico has no network",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_each_fault_is_one_line_that_says_what_would_be_accepted(what):
    fields, line = FAULTS[what]
    found = config_check.faults(json.dumps(site(**fields)), "pico")
    assert [config_check.as_line(error) for error in found] == [line]
    with pytest.raises(config_check.Faults) as refusal:
        config_check.check("site.json", json.dumps(site(**fields)), "pico")
    assert str(refusal.value) == f"site.json: {line}"
    assert "secret78" not in json.dumps(refusal.value.as_json())


def test_a_board_that_has_none_says_so():
    text = json.dumps(site(devices=[SITE["devices"][0], SITE["devices"][1] | {"pin": 1}]))
    found = config_check.faults(text.replace('"pin": 1', '"pin": 1, "readback_pin": 5'), NAMES[-1])
    assert config_check.as_line(found[0]).endswith(f"none: {NAMES[-1]} has no input")


# --- deploy ---


@pytest.fixture
def board(tmp_path):
    with PtyBoard(tmp_path / "board") as made:
        made.wait_for_port()
        yield made


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b"pico\n", "(2 is the direction of uart0)"),
        (b"waveshare_s3_relay_6ch", "an output of waveshare_s3_relay_6ch: 1, 2, 41, 42"),
        (b"toaster", "its board.txt says 'toaster': expected one of esp32_devkit, "),
    ],
)
def test_deploy_refuses_it_before_anything_is_written(capsys, board, tmp_path, written, line):
    made = archive(tmp_path, small("one"))
    assert deploy(capsys, board, made)[0] == 0
    board.put("/board.txt", written)
    before = board.flash()
    bad = tmp_path / "site.json"
    devices = [SITE["devices"][0], SITE["devices"][1] | {"pin": 2}, SITE["devices"][2]]
    bad.write_text(json.dumps(site(devices=devices)))
    status, _, err = deploy(capsys, board, archive(tmp_path, small("two")), "--config", bad)
    assert status == 2, err
    assert line in err
    assert "Traceback" not in err
    assert board.flash() == before


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b"", '{bad}: board = "pico": accepted is pico_w, which this is\n'),
        (b"esp32_s3", "its board.txt says 'esp32_s3': that has another chip than it\n"),
    ],
)
def test_deploy_asks_the_build(capsys, board, tmp_path, written, line):
    machine = "Raspberry Pi Pico W with RP2040"
    board.put("/board.txt", written)
    fake = (
        "import sys\nreal = sys\n"
        f"class Own: name, _mpy, _machine = 'micropython', {2822}, {machine!r}\n"
        "Own.__getitem__ = lambda self, index: (1, 28, 0)\n"
        "class Fake:\n"
        "    def __getattr__(self, name):\n"
        "        return Own() if name == 'implementation' else getattr(real, name)\n"
        "sys.modules['sys'] = Fake()\n"
    )
    board.put("/boot.py", fake.encode())
    bad = tmp_path / "site.json"
    bad.write_text(json.dumps(site(board="pico")))
    status, _, err = deploy(capsys, board, archive(tmp_path, small("one")), "--config", bad)
    assert status == 2, err
    assert err.startswith("firmline: ") and err.endswith(line.format(bad=bad))
