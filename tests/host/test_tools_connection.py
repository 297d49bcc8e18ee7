# SPDX-License-Identifier: MIT
"""`firmline` finds the controller, or says in one line why not; `status` over both cables.

The controller is the real firmware in a MicroPython process behind pseudo-terminals; what is not
a Firmline is played by pymodbus.
"""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.host.deploy_runs import archive, small
from tests.host.tool_runs import firmline, live_site
from tests.host.wall_runs import (
    NullModem,
    held_tcp_port,
    interpreter,  # noqa: F401 - skips without MicroPython
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with live_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def test_status_says_mode_limits_devices_over_usb_rs485_and_tcp(site):
    for way in (site.usb, site.rtu, site.tcp):
        ran = firmline("status", *way, "--json")
        assert ran.status == 0, ran.err
        now = ran.json
        assert now["device"]["manufacturer"] == "Firmline"
        assert now["device"]["model"] == "desktop"
        assert now["limits"]["import_w"] == 17_000  # the scenario's firm limits
        assert now["limits"]["export_w"] == 3000
        assert now["limits"]["binding_import"] == "firm"
        assert now["pcc"]["is_usable"] and now["pcc"]["w"] > 3900  # truth: household and cars
        assert len(now["pcc"]["l_a"]) == 3
        assert len(now["resources"]) == 2
        assert now["counters"]["uptime_s"] >= 0


def test_status_as_text(site):
    ran = firmline("status", *site.usb)
    assert ran.status == 0
    assert "import limit  17 000 W (firm)" in ran.out
    assert "export limit  3 000 W (firm)" in ran.out
    assert "evse_a" in ran.out and "evse_b" in ran.out  # names from the configuration in force


def test_wrong_unit_and_wrong_framing_are_one_line(site):
    ran = firmline("status", *site.rtu, "--unit", "9", "--timeout", "0.2")
    assert ran.status == 2
    assert "no answer from" in ran.line() and "--unit" in ran.line()
    ran = firmline("status", "--usb", site.rtu_cable.path, "--timeout", "0.2")
    assert ran.status == 2
    assert "no answer from" in ran.line()


def test_a_unit_that_is_another_one_is_told_from_no_firmline(site):
    ran = firmline("status", *site.usb, "--unit", "9", "--timeout", "0.3")
    assert ran.status == 2
    assert "a Firmline, but not as this unit" in ran.line()


def test_port_that_is_not_there_or_in_use(site, tmp_path):
    import serial

    ran = firmline("status", "--usb", tmp_path / "ttyNO")
    assert ran.status == 2
    assert ran.line() == f"firmline: {tmp_path}/ttyNO: does not exist: is the cable in?"
    with serial.Serial(site.usb_cable.path, exclusive=True):
        ran = firmline("status", *site.usb)
    assert ran.status == 2
    assert "is in use by another program" in ran.line()


def test_what_is_no_serial_port_is_one_line(tmp_path):
    (tmp_path / "text").write_text("no port")
    for name, said in (("text", "is no serial port"), (".", "is a folder, no serial port")):
        for way in ("--usb", "--rtu"):
            ran = firmline("status", way, tmp_path / name)
            assert ran.status == 2
            assert ran.line() == f"firmline: {tmp_path / name}: {said}"


def test_tcp_without_a_listener_is_one_line():
    with held_tcp_port() as held:
        peer = f"127.0.0.1:{held.getsockname()[1]}"
        ran = firmline("status", "--tcp", peer)
    assert ran.status == 2
    assert f"{peer}: Connection refused" in ran.line()
    ran = firmline("status", "--tcp", "no..host")
    assert ran.status == 2
    assert ran.line() == "firmline: no..host: there is no host of that name"


@pytest.mark.parametrize(
    "arguments, package",
    [
        (("status",), "pyserial is"),
        (("config", "show"), "pyserial is"),
        (("status", "--usb", "/dev/null"), "pymodbus and pyserial are"),
        (("monitor", "--tcp", "127.0.0.1"), "pymodbus and pyserial are"),
        (("deploy", "--usb", "/dev/null", "--archive", "ARCHIVE"), "mpremote is"),
    ],
)
def test_a_bare_installation_says_what_is_missing(monkeypatch, tmp_path, arguments, package):
    made = archive(tmp_path, small("one"))
    for name in ("serial", "serial.tools", "pymodbus.client", "mpremote.transport"):
        monkeypatch.setitem(sys.modules, name, None)
    ran = firmline(*(made if word == "ARCHIVE" else word for word in arguments))
    assert ran.status == 2
    assert ran.line() == f"firmline: {package} missing: pip install 'firmline[tools]'"


def test_micropython_prompt_is_recognised(tmp_path, interpreter):  # noqa: F811
    from tests.host.live_site import Cable

    cable = Cable(tmp_path / "ttyACM9")
    with open(cable.far, "r+b", buffering=0) as console:
        process = subprocess.Popen(
            [interpreter], stdin=console, stdout=console, stderr=console, start_new_session=True
        )
    try:
        ran = firmline("status", "--usb", cable.path, "--timeout", "0.3")
    finally:
        process.kill()
        process.wait()
        cable.close()
    assert ran.status == 2
    assert "a MicroPython prompt: Firmline is not running there" in ran.line()


# --- something else at the other end -----------------------------------------------------------


def common_model(maker):
    text = maker.encode().ljust(32, b"\0")
    words = [int.from_bytes(text[k : k + 2], "big") for k in range(0, 32, 2)]
    return [0x5375, 0x6E53, 1, 66, *words, *[0x4D31] * 16, *[0] * 48]  # marker, then model 1


@pytest.mark.parametrize(
    "registers, said",
    [
        ({0: [1] * 10}, "answers Modbus, but has no SunSpec marker at 40000: not a Firmline"),
        ({40000: [1] * 100}, "has no SunSpec marker"),
        (
            {40000: [*common_model("Acme"), 0, 0xFFFF, 0]},
            "is a 'Acme M1M1M1M1M1M1M1M1M1M1M1M1M1M1M1M1', not a Firmline",
        ),
        ({40000: [*common_model("Firmline")[:70], 0xFFFF, 0]}, "has no model 64900"),
        (
            {40000: [*common_model("Firmline")[:70], 64900, 3, 99, 0, 0, 0xFFFF, 0]},
            "map version 99; this tool reads",
        ),
    ],
)
def test_what_is_not_a_firmline_is_named(registers, said):
    from tests.host.pymodbus_peer import MeterServer

    modem = NullModem()
    try:
        with MeterServer(modem.far, 1, {}, registers=registers):
            ran = firmline("status", "--rtu", f"{modem.near}:19200")
    finally:
        modem.close()
    assert ran.status == 2
    assert said in ran.line()


@pytest.mark.parametrize(
    "ports, said",
    [
        ([], "no board on USB"),
        ([(0x1234, "/dev/ttyS0")], "no board on USB"),
        (
            [(0x2E8A, "/dev/ttyACM0"), (0x303A, "/dev/ttyACM1"), (None, "/dev/ttyS0")],
            "2 boards on USB: /dev/ttyACM0 (Raspberry Pi, E66), /dev/ttyACM1 (Espressif, E66)",
        ),
    ],
)
def test_no_board_or_two_are_listed(monkeypatch, ports, said):
    from serial.tools import list_ports

    found = [SimpleNamespace(vid=vid, device=name, serial_number="E66") for vid, name in ports]
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    ran = firmline("status")
    assert ran.status == 2
    assert said in ran.line()


def test_the_one_board_is_taken(monkeypatch, site):
    from serial.tools import list_ports

    found = [
        SimpleNamespace(vid=0x2E8A, device=site.usb_cable.path, serial_number=None),
        SimpleNamespace(vid=None, device="/dev/ttyS0", serial_number=None),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    assert firmline("status", "--json").json["device"]["where"] == f"{site.usb_cable.path} (USB)"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--rtu", "/dev/x:12"], "--rtu /dev/x:12: expected DEVICE or DEVICE:BAUD"),
        (["--tcp", ":502"], "--tcp :502: expected HOST or HOST:PORT"),
        (["--tcp", "h:99999"], "expected HOST or HOST:PORT"),
        (["--unit", "300"], "--unit: 300: expected a whole number from 1 to 247"),
        (["--timeout", "0"], "--timeout: 0: expected seconds from 0.05 to 60"),
        (["--usb", "a", "--tcp", "b"], "not allowed with argument"),
    ],
)
def test_bad_options_are_one_line(arguments, said):
    ran = firmline("status", *arguments)
    assert ran.status == 2
    assert said in ran.line()


def test_no_command_prints_the_help_and_a_wrong_one_says_which_there_are():
    ran = firmline()
    assert ran.status == 0
    for command in ("status", "monitor", "log", "config", "commission", "envelope", "report"):
        assert f"\n    {command}" in ran.out
        help_text = firmline(command, "--help")
        assert help_text.status == 0 and "examples:" in help_text.out
    ran = firmline("stats")
    assert ran.status == 2
    assert "invalid choice" in ran.line()


def test_help_loads_no_library():
    code = (
        "import sys; from host_tools import cli; cli.parser(cli.modules()); "
        "print([m for m in ('pymodbus', 'serial', 'rich', 'hil') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
