# SPDX-License-Identifier: MIT
"""`firmline config`: every fault is found here, and what was set is in force there. Against the
real firmware behind pseudo-terminals."""

import hashlib
import json
import zlib
from dataclasses import replace

import pytest

from host_tools.device import Device
from tests.host.live_site import LiveSite, configuration
from tests.host.tool_runs import firmline, in_force, live_site, quick_configuration, written
from tests.host.wall_runs import interpreter  # noqa: F401 - skips without MicroPython

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with live_site(tmp_path_factory.mktemp("site"), config=quick_configuration()) as site:
        yield site


@pytest.fixture(scope="module")
def secretive(tmp_path_factory):
    """One that knows a password."""
    network = {"ssid": "depot-wifi", "password": SECRET}
    config = quick_configuration() | {"network": network}
    with live_site(tmp_path_factory.mktemp("secretive"), config=config) as site:
        yield site


# --- config check: no controller ---------------------------------------------------------------


def test_check_finds_every_fault_of_the_fields(tmp_path):
    config = configuration(phases=4, nonsense=1)
    del config["site"]["firm_import_w"]
    config["devices"][0]["unit"] = 300
    config["devices"][1]["max_a"] = "16"
    config["timing"] = {"tick_ms": 5}
    ran = firmline("config", "check", written(tmp_path / "c.json", config), "--json")
    assert ran.status == 2
    found = {error["field"]: error for error in ran.json["errors"]}
    assert set(found) == {
        "site.phases",
        "site.nonsense",
        "site.firm_import_w",
        "devices[0].unit",
        "devices[1].max_a",
        "timing.tick_ms",
    }
    assert found["site.firm_import_w"]["is_missing"]
    assert found["devices[0].unit"]["value"] == 300
    assert found["devices[0].unit"]["accepted"] == "an integer from 1 to 247"


def test_check_knows_which_boards_can_sample_cts(tmp_path):
    config = configuration(firm_a=40)
    config["devices"][0] = {"type": "ct_input", "name": "g", "rated_a": 100, "rated_mv": 333}
    path = written(tmp_path / "c.json", config)
    ran = firmline("config", "check", path, "--for", "esp32_s3")
    assert ran.status == 2
    assert (
        f'firmline: {path}: devices[0].type = "ct_input": accepted is a Modbus meter: the '
        "converter of esp32_s3 cannot sample by itself" in ran.err.splitlines()
    )
    assert firmline("config", "check", path, "--for", "pico2_w").status == 0


def test_check_finds_faults_across_fields_and_of_the_board(tmp_path):
    config = configuration(firm_import_w=70_000)
    config["devices"][1]["unit"] = 1
    config["buses"][0]["port"] = "uart7"
    path = written(tmp_path / "c.json", config)
    ran = firmline("config", "check", path, "--for", "pico")
    assert ran.status == 2
    lines = ran.err.splitlines()
    assert (
        f"firmline: {path}: site.firm_import_w = 70000: accepted is at most 34500 W: "
        "80 % of service_a, which is not full_rated" in lines
    )
    assert any("devices[1].unit = 1" in line for line in lines)
    assert any('buses[0].port = "uart7": accepted is a port of pico' in line for line in lines)
    assert lines[-1].endswith("3 faults")


def test_check_of_a_good_file_gives_its_hash(tmp_path):
    path = written(tmp_path / "c.json", configuration())
    ran = firmline("config", "check", path, "--for", "pico")
    assert ran.status == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() in ran.out


@pytest.mark.parametrize(
    "text, said",
    [("{,}", "line 1 column 2"), ("[]", "one JSON object"), ("\xff", "is not UTF-8 text")],
)
def test_what_is_no_configuration_is_one_line(tmp_path, text, said):
    path = tmp_path / "c.json"
    path.write_bytes(text.encode("latin-1"))
    for command in (("check",), ("set", "--usb", "/dev/null/none")):
        ran = firmline("config", command[0], path, *command[1:])
        assert ran.status == 2
        assert said in ran.line()


# --- config set --------------------------------------------------------------------------------


def test_a_configuration_that_the_board_cannot_run_is_not_sent(site, tmp_path, monkeypatch):
    """The site's board is a desktop, which takes any port: here it calls itself a Pico."""
    before = in_force(site)
    identify = Device._identify
    monkeypatch.setattr(Device, "_identify", lambda self: replace(identify(self), model="pico"))
    config = quick_configuration(firm_import_w=16_000)
    config["buses"][0]["port"] = "uart7"
    path = written(tmp_path / "c.json", config)
    for command in (("config", "set", path), ("commission", "--config", path, "--skip-live-sign")):
        ran = firmline(*command, *site.usb, "--yes")
        assert ran.status == 2
        assert 'buses[0].port = "uart7": accepted is a port of pico' in ran.line()
    assert in_force(site) == before


def test_set_configuration_is_in_force_after_a_restart(site, tmp_path):
    before = in_force(site)
    path = written(tmp_path / "c.json", quick_configuration(firm_import_w=16_000, name="Depot"))
    ran = firmline("config", "set", path, *site.usb)  # nobody to ask
    assert ran.status == 2 and "--yes" in ran.err.splitlines()[-1]
    assert in_force(site) == before

    ran = firmline("config", "set", path, *site.usb, "--yes")
    assert ran.status == 0, ran.err
    assert '-  "firm_import_w": 17000' in ran.out and '+  "firm_import_w": 16000' in ran.out
    assert f"CRC32 {zlib.crc32(path.read_bytes()):08X}" in ran.out
    now = in_force(site)
    assert now["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert now["generation"] == before["generation"] + 1
    assert firmline("status", *site.usb, "--json").json["limits"]["import_w"] == 16_000
    assert firmline("config", "show", *site.usb).out == path.read_text()  # to the byte

    ran = firmline("config", "set", path, *site.usb, "--yes")
    assert ran.status == 0 and "already in force" in ran.out


def test_faulty_configuration_is_not_sent(site, tmp_path):
    before = in_force(site)
    path = written(tmp_path / "c.json", quick_configuration(firm_import_w=70_000))
    ran = firmline("config", "set", path, *site.usb, "--yes")
    assert ran.status == 2
    assert "site.firm_import_w = 70000: accepted is at most 34500 W" in ran.line()
    assert in_force(site) == before


def test_cable_pulled_while_a_configuration_is_sent_changes_nothing(site, tmp_path):
    before = in_force(site)
    path = written(tmp_path / "c.json", quick_configuration(name="never"))
    site.usb_cable.pull_after(5000)  # characters: after the old one was read, in the new one
    try:
        ran = firmline("config", "set", path, *site.usb, "--yes", "--json", "--timeout", "10")
    finally:
        site.usb_cable.plug()
    assert ran.status == 1
    assert "broke" in ran.line()
    assert in_force(site) == before


def test_configuration_that_the_controller_refuses_is_told_with_its_reason(site):
    """Past the check of the tool, as a tool of another version could."""
    from host_tools import config
    from host_tools.cli import modules, parser
    from host_tools.device import open_device
    from host_tools.errors import ToolError

    before = in_force(site)
    data = json.dumps(quick_configuration(firm_import_w=70_000)).encode()
    arguments = parser(modules()).parse_args(["config", "set", "x", *site.usb])
    with open_device(arguments) as device:
        boots = config.send(device, data)
    connection, device = config.wait_restarted(arguments, boots)
    with connection, pytest.raises(ToolError) as refused:
        config.confirm_in_force(device, data)
    assert "it was not taken: " in str(refused.value)
    assert before["sha256"] in str(refused.value)
    assert in_force(site)["sha256"] == before["sha256"]


def test_controller_in_safe_mode_says_why_and_is_repaired(tmp_path):
    site = LiveSite(tmp_path, config=quick_configuration(firm_import_w=70_000))
    try:
        ran = firmline("status", *site.usb)
        assert ran.status == 0, ran.err
        assert "mode          safe" in ran.out and "import limit  0 W" in ran.out
        assert "site.firm_import_w = 70000: accepted is at most 34500 W" in ran.out
        path = written(tmp_path / "good.json", quick_configuration())
        assert firmline("config", "set", path, *site.usb, "--yes").status == 0
        assert firmline("status", *site.usb, "--json").json["limits"]["import_w"] == 17_000
    finally:
        site.close()


SECRET = "correct horse"


@pytest.mark.parametrize("command", [("show",), ("show", "--json")])
def test_a_password_is_shown_only_when_asked_for(secretive, command):
    ran = firmline("config", *command, *secretive.usb)
    assert ran.status == 0 and SECRET not in ran.out + ran.err
    text = secretive.config_path.read_text()
    network = json.loads(text)["network"] | {"password": "***"}
    shown = ran.json["configuration"] if "--json" in command else ran.json
    assert shown == json.loads(text) | {"network": network}
    assert "--secrets shows it" in ran.err
    ran = firmline("config", *command, *secretive.usb, "--secrets")
    assert SECRET in ran.out and "--secrets" not in ran.err
    assert "--json" in command or ran.out == text


def test_a_masked_configuration_is_not_put_into_force(secretive, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(firmline("config", "show", *secretive.usb).out)
    ran = firmline("config", "set", path, *secretive.usb, "--yes")
    assert ran.status == 2
    assert 'network.password = "(not shown)": accepted is a text of 8 to 63' in ran.line()


def test_a_configuration_with_a_password_is_read_over_usb_only(secretive):
    for way in (secretive.tcp, secretive.rtu):
        ran = firmline("config", "show", *way, "--secrets")
        assert ran.status == 2 and SECRET not in ran.out
        assert "holds the password of a network" in ran.line() and "use --usb" in ran.line()
        ran = firmline("status", *way, "--json")  # without the names, which are in there
        assert ran.status == 0 and ran.json["limits"]["import_w"] == 17_000


def test_a_report_holds_no_password(secretive, tmp_path):
    out, save = tmp_path / "r.html", tmp_path / "r.json"
    ran = firmline("report", *secretive.usb, "--out", out, "--save", save)
    assert ran.status == 0, ran.err
    for path in (out, save):
        assert SECRET not in path.read_text() and "depot-wifi" in path.read_text()
    assert firmline("report", "--verify", out).status == 0


def test_setting_another_password_says_that_it_changes_and_not_to_what(secretive, tmp_path):
    config = json.loads(secretive.config_path.read_text())
    config["network"]["password"] = "battery staple"
    ran = firmline("config", "set", written(tmp_path / "c.json", config), *secretive.usb, "--yes")
    assert ran.status == 0, ran.err
    assert "password of the network changes" in ran.out
    assert SECRET not in ran.out and "battery staple" not in ran.out
    shown = firmline("config", "show", *secretive.usb, "--secrets").out
    assert "battery staple" in shown


def test_rs485_is_locked_without_the_service_jumper(site, tmp_path):
    before = in_force(site)
    path = written(tmp_path / "c.json", quick_configuration(name="never"))
    ran = firmline("config", "set", path, *site.rtu, "--yes")
    assert ran.status == 2
    assert "locked: " in ran.line() and "service jumper" in ran.line()
    ran = firmline("commission", *site.rtu, "--config", path, "--yes", "--skip-live-sign")
    assert ran.status == 2
    assert "locked: " in ran.line()
    assert in_force(site) == before


def test_service_jumper_unlocks_tcp(tmp_path):
    with live_site(tmp_path, config=quick_configuration(), arguments=["--service"]) as site:
        config = json.loads(site.config_path.read_text())
        config["site"]["firm_import_w"] = 14_000
        path = written(tmp_path / "c.json", config)
        ran = firmline("config", "set", path, *site.tcp, "--yes")
        assert ran.status == 0, ran.err
        assert firmline("status", *site.rtu, "--json").json["limits"]["import_w"] == 14_000
