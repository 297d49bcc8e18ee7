# SPDX-License-Identifier: MIT
"""The controller refuses what it cannot run: one line that says what, exit status 2, nothing
switched. In a real MicroPython, as a user would start it."""

import json
import os
import subprocess

import pytest

from hil.targets.firmware import FIRMWARE_DIR, TargetError, find_micropython
from tests.host.tools_site import CONFIG, METER

pty = pytest.importorskip("pty")

HEATER = {"name": "heater", "type": "relay_output", "pin": 5, "load_w": 2000, "active_low": True}
GOOD = CONFIG | {"devices": [METER, HEATER, {"name": "trip", "type": "trip_output", "pin": 6}]}


@pytest.fixture
def ttys():
    """Paths of two terminals that a controller may open."""
    pairs = [pty.openpty() for _ in range(2)]
    yield [os.ttyname(slave) for _, slave in pairs]
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "site.json"
    path.write_text(json.dumps(GOOD))
    return str(path)


def start(*arguments):
    try:
        command = [find_micropython(), str(FIRMWARE_DIR / "main.py"), *map(str, arguments)]
    except TargetError as error:
        pytest.skip(str(error))
    return subprocess.run(
        command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
    )


def refusal(*arguments):
    """The one line with which the controller refuses to start."""
    ended = start(*arguments)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""  # neither "running" nor an output that is switched
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("firmline: ") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("firmline: ").rstrip("\n")


def usage_refusal(*arguments):
    """As refusal, for arguments that are wrong: the usage text follows."""
    ended = start(*arguments)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    line, usage = ended.stderr.split("\n", 1)
    assert usage.startswith("usage: micropython firmware/main.py CONFIG.json --port NAME=DEVICE")
    return line.removeprefix("firmline: ")


def ports(ttys):
    return [word for k, path in enumerate(ttys) for word in ("--port", f"uart{k}={path}")]


def test_missing_file_is_named(tmp_path, ttys):
    path = tmp_path / "nothing.json"

    assert refusal(path, *ports(ttys)) == f"{path}: cannot be read: does not exist"


def test_folder_in_place_of_a_file_is_refused(tmp_path, ttys):
    assert refusal(tmp_path, *ports(ttys)).startswith(f"{tmp_path}: cannot be read: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "config"),
        (b'{"schema": 1, "site": {"name": "x" "phases": 1}}', "line 1 column"),
        (b"[1, 2]", "one JSON object"),
        (b'{"schema": 1, "site": "caf\xe9"}', "not UTF-8"),
        (b" " * 300_000, "at most 16384 characters"),
        (b"[" * 10_000, "config"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path, ttys, content, said):
    path = tmp_path / "site.json"
    path.write_bytes(content)

    assert said in refusal(path, *ports(ttys))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("site", "firm_import_w"), None, "site.firm_import_w"),
        (("site", "firm_import_w"), 20_000, "site.firm_import_w"),
        (("site", "phases"), 4, "site.phases"),
        (("buses", 0, "baud"), 300, "buses[0].baud"),
        (("devices", 0, "unit"), 248, "devices[0].unit"),
        (("devices", 2, "pin"), 5, "devices[2].pin"),
        (("surprise",), 1, "surprise"),
    ],
)
def test_refused_field_is_named_and_nothing_is_switched(tmp_path, ttys, place, value, said):
    config = json.loads(json.dumps(GOOD))
    table = config
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    if value is None:
        del table[place[-1]]
    path = tmp_path / "site.json"
    path.write_text(json.dumps(config))

    line = refusal(path, *ports(ttys))

    assert said in line and "accepted" in line


def test_port_that_was_not_given_is_named(good, ttys):
    assert refusal(good, "--port", f"uart0={ttys[0]}") == (
        "port uart1 is not given: use --port uart1=/dev/..."
    )


def test_port_that_does_not_exist_is_named(good, ttys, tmp_path):
    path = tmp_path / "ttyUSB7"

    line = refusal(good, "--port", f"uart0={path}", "--port", f"uart1={ttys[1]}")

    assert line == f"port uart0: {path}: does not exist"


def test_plain_file_is_no_port_and_stays_as_it_is(good, ttys, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")

    line = refusal(good, "--port", f"uart0={ttys[0]}", "--port", f"uart1={path}")

    assert line == f"port uart1: {path}: is not a serial port"
    assert path.read_text() == "mine"


def test_two_ports_on_one_device_are_refused(good, ttys):
    line = refusal(good, "--port", f"uart0={ttys[0]}", "--port", f"uart1={ttys[0]}")

    assert line == f"port uart1: {ttys[0]} is port uart0 already"


@pytest.mark.skipif("sys.platform != 'linux'", reason="speeds are free elsewhere")
def test_speed_that_no_terminal_has_is_refused(tmp_path, ttys):
    config = json.loads(json.dumps(GOOD))
    config["buses"][0]["baud"] = 12345
    path = tmp_path / "site.json"
    path.write_text(json.dumps(config))

    line = refusal(path, *ports(ttys))

    assert line.startswith(f"port uart0: {ttys[0]}: baud 12345: accepted are [1200, 2400,")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no configuration file given"),
        (("--help",), "not understood: --help"),
        (("CONFIG", "--baud", "9600"), "not understood: --baud"),
        (("CONFIG", "other.json"), "not understood: other.json"),
        (("CONFIG", "--port"), "--port : wanted NAME=DEVICE, each name once"),
        (("CONFIG", "--port", "uart0"), "--port uart0: wanted NAME=DEVICE, each name once"),
        (("CONFIG", "--port", "=x"), "--port =x: wanted NAME=DEVICE, each name once"),
        (
            ("CONFIG", "--port", "a=x", "--port", "a=y"),
            "--port a=y: wanted NAME=DEVICE, each name once",
        ),
        (("CONFIG", "--data"), "--data : wanted a folder"),
        (("CONFIG", "--data", "--lockstep"), "--data --lockstep: wanted a folder"),
        (("CONFIG", "--data", "a", "--data", "b"), "not understood: --data"),
        (("CONFIG", "--data", __file__), f"--data {__file__}: it is a file, wanted a folder"),
        (
            ("CONFIG", "--data", "/no/such/folder"),
            "--data /no/such/folder: no such folder, and none can be made: [Errno 2] ENOENT",
        ),
    ],
)
def test_wrong_arguments_get_the_usage(good, arguments, said):
    given = [good if argument == "CONFIG" else argument for argument in arguments]

    assert usage_refusal(*given) == said


def test_what_the_tests_start_from_runs(good, ttys):
    """Otherwise every refusal above might have another cause."""
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        subprocess.run(
            [find_micropython(), str(FIRMWARE_DIR / "main.py"), good, *ports(ttys)],
            capture_output=True,
            timeout=2,
            check=False,
        )

    assert b"firmline: running\n" in caught.value.stdout
