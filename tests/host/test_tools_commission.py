# SPDX-License-Identifier: MIT
"""`firmline commission` and `report`: what is recorded was measured. Against the real firmware
behind pseudo-terminals."""

import contextlib
import hashlib
import json
import threading
import time

import pytest

from tests.host.live_site import KETTLE_W, configuration
from tests.host.tool_runs import (
    await_line,
    firmline,
    in_force,
    live_site,
    quick_configuration,
    start_firmline,
    written,
)
from tests.host.wall_runs import interpreter  # noqa: F401 - skips without MicroPython

HEARTBEAT = 40225  # docs/registers.md
pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with live_site(tmp_path_factory.mktemp("site"), config=quick_configuration()) as site:
        yield site


def arguments_of(site, folder, answers):
    path = written(folder / "answers.json", answers)
    out = folder / "records"
    return ("commission", *site.usb, "--answers", path, "--yes", "--out", out, "--json")


def commission(site, folder, answers, *more):
    return firmline(*arguments_of(site, folder, answers), *more)


def commission_with_kettle(site, folder, answers):
    """The kettle is switched on, in truth, when the tool asks for it. (exit status, record)"""
    process = start_firmline(*arguments_of(site, folder, answers))
    try:
        await_line(process, process.stderr, f"Switch the load of {KETTLE_W} W on", 40)
        time.sleep(0.5)
        site.switch_kettle(True)
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
    assert "Traceback" not in err
    return process.returncode, json.loads(out)


class Beating:
    """A head-end that beats over RS-485, and does nothing else."""

    def __init__(self, site):
        from tests.host.pymodbus_peer import HeadEndClient

        self._client = HeadEndClient(site.rtu_cable.path, 1)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self):
        self._client.__enter__()
        self._thread.start()

    def __exit__(self, *error):
        self._is_over.set()
        self._thread.join()
        self._client.__exit__()

    def _beat(self):
        value = 0
        while not self._is_over.wait(0.3):
            value += 1
            with contextlib.suppress(self._client.Silent):  # while the controller restarts
                self._client.write_single(HEARTBEAT, value)


def test_commissioning_checks_the_running_site_and_keeps_a_record(site, tmp_path):
    answers = {
        "configuration": quick_configuration(firm_import_w=15_000, name="Depot 7"),
        "sign_load_w": KETTLE_W,
        "sign_wait_s": 30,
        "installer": "A. Volta",
    }
    site.switch_kettle(False)
    with Beating(site):
        status, record = commission_with_kettle(site, tmp_path, answers)
    site.switch_kettle(False)
    verdicts = {row["id"]: row["verdict"] for row in record["checks"]}
    failed = {name for name, verdict in verdicts.items() if verdict != "PASS"}
    assert failed <= {"cycles"}, record["checks"]  # a busy host is late
    assert (status, record["verdict"]) == ((1, "FAIL") if failed else (0, "PASS"))
    assert {"meter.fresh", "meter.volts", "meter.sign", "device.evse_a", "head_end"} <= set(
        verdicts
    )
    sign = next(row for row in record["checks"] if row["id"] == "meter.sign")
    assert abs(int(sign["measured"].split()[0]) - KETTLE_W) < 300  # truth
    assert record["site"]["firm_import_w"] == 15_000
    assert record["site"]["ceiling_import_w"] == 34_500
    assert record["notes"] == ["installer: A. Volta"]
    assert record["device"]["serial"] == "0"
    assert record["configuration"]["sha256"] == in_force(site)["sha256"]
    body = {key: value for key, value in record.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert record["sha256"] == hashlib.sha256(text.encode()).hexdigest()

    saved = list((tmp_path / "records").glob("*.json"))
    assert [json.loads(file.read_text()) for file in saved] == [record]
    text = saved[0].with_suffix(".txt").read_text()
    assert (
        f"Commissioning record of Depot 7: {record['verdict']}" in text
        and record["sha256"] in text
    )
    site.stop()
    site.start()
    log = firmline("log", *site.usb, "--json").json
    assert log[0]["sequence"] is None and log[0]["time"] is None  # of earlier starts
    assert log[-1]["sequence"] is not None
    kept = firmline("report", *site.usb, "--out", tmp_path / "r.html", "--save", tmp_path / "r")
    assert kept.status == 0
    assert json.loads((tmp_path / "r").read_text())["record"] == record  # and kept


def test_reversed_meter_fails_the_sign_check(tmp_path_factory, tmp_path):
    folder = tmp_path_factory.mktemp("site")
    with live_site(folder, config=quick_configuration(), cars=False) as site:
        site.add_fault("sign_flip", "grid_meter")
        time.sleep(0.5)
        answers = {"sign_load_w": KETTLE_W, "sign_wait_s": 20, "skip_head_end": "not yet there"}
        status, record = commission_with_kettle(site, tmp_path, answers)
    checks = {row["id"]: row for row in record["checks"]}
    assert status == 1
    assert checks["meter.sign"]["verdict"] == "FAIL", checks["meter.sign"]
    assert "turn it round" in checks["meter.sign"]["note"]
    assert checks["head_end"]["verdict"] == "N-A"
    assert checks["head_end"]["note"] == "not yet there"


def test_silent_charger_and_skipped_checks_are_in_the_record(
    tmp_path_factory, tmp_path, monkeypatch
):
    monkeypatch.setattr("host_tools.live_checks.ONLINE_S", 2.0)
    with live_site(tmp_path_factory.mktemp("site"), config=quick_configuration()) as site:
        site.add_fault("no_response", "evse_b")
        give_up_s = time.monotonic() + 20
        while "device lost: evse_b" not in firmline("log", *site.usb).out:
            assert time.monotonic() < give_up_s
        answers = {"skip_live_sign": "no load at hand", "skip_head_end": "not yet there"}
        ran = commission(site, tmp_path, answers)
        assert ran.status == 1
        checks = {row["id"]: row for row in ran.json["checks"]}
        assert checks["device.evse_a"]["verdict"] == "PASS"
        assert checks["device.evse_b"]["verdict"] == "FAIL"
        assert checks["meter.sign"]["verdict"] == "N-A"
        assert checks["meter.sign"]["note"] == "no load at hand"

        # the report has all of it, and knows when it was changed
        page = tmp_path / "report.html"
        ran = firmline("report", *site.usb, "--out", page, "--save", tmp_path / "saved.json")
        assert ran.status == 0, ran.err
    text = page.read_text()
    assert "House with 3 x 63 A" in text and "no load at hand" in text and "FAIL" in text
    assert "http" not in text.replace("http-equiv", "")  # nothing from a network
    assert firmline("report", "--verify", page).status == 0
    again = tmp_path / "again.html"
    assert firmline("report", "--from", tmp_path / "saved.json", "--out", again).status == 0
    assert again.read_bytes() == page.read_bytes()
    shown = ("17 000 W (firm)", "18 000 W (firm)", "what it shows is not its content")
    content = ('"mode":"', '"mode":"un', ": changed: it says ")
    for old, new, said in (shown, content):
        other = written(tmp_path / "other.html", text.replace(old, new, 1))
        ran = firmline("report", "--verify", other)
        assert ran.status == 1
        assert said in ran.line()
    saved = (tmp_path / "saved.json").read_text().replace("no load at hand", "all well")
    ran = firmline("report", "--from", written(tmp_path / "saved.json", saved), "--out", again)
    assert ran.status == 2
    assert "does not have its SHA-256 any more" in ran.line()


def test_cable_pulled_during_the_checks_leaves_no_record(site, tmp_path):
    answers = {"skip_live_sign": "x", "skip_head_end": "x"}
    site.usb_cable.pull_after(5000)  # characters: somewhere in the checks
    try:
        ran = commission(site, tmp_path, answers, "--timeout", "10")
    finally:
        site.usb_cable.plug()
    assert ran.status == 1
    assert "commissioning is not finished and left no record: run it again" in ran.line()
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(
    "answers, said",
    [
        ("{", "answers.json: not JSON"),
        ("[]", "answers.json: expected one JSON object"),
        ({"sign": 5}, "answers.json: sign: expected one of configuration, sign_load_w"),
        ({"sign_load_w": "2 kW"}, "sign_load_w = '2 kW': accepted is a whole number from 1"),
        ({"note": "x"}, "give sign_load_w in --answers, or --skip-live-sign"),
    ],
)
def test_bad_answers_are_one_line(tmp_path, answers, said):
    path = written(tmp_path / "answers.json", answers)
    ran = firmline("commission", "--answers", path, "--usb", "/dev/null/none")
    assert ran.status == 2
    assert said in ran.line()


def test_answers_with_a_faulty_configuration_change_nothing(site, tmp_path):
    before = in_force(site)
    config = quick_configuration(firm_import_w=70_000)
    ran = commission(site, tmp_path, {"configuration": config, "skip_live_sign": "x"})
    assert ran.status == 2
    assert "site.firm_import_w = 70000: accepted is at most 34500 W" in ran.line()
    assert in_force(site) == before


# --- the guided dialogue -----------------------------------------------------------------------


def dialogue(text, before=None):
    """(configuration, all that was said) of a person who types the lines of `text`."""
    from host_tools.questions import Dialogue

    lines = iter(text.split("\n"))
    said = []

    def read(prompt):
        said.append(prompt)
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    return Dialogue(read, said.append).configuration(before or {}), "\n".join(said)


SITE = "Depot 7\n3\n230\n400\nn\n-\n-\n-\n"


def test_dialogue_explains_the_ceiling_and_refuses_a_limit_above_it():
    config, said = dialogue(
        SITE + "250000\n100000\n0\n10\n"  # above the ceiling: asked again
        "200000\n"
        "uart0\n9600\nnone\nn\nn\n"
        "1\ngrid\n1\nn\n"
    )
    assert "Setting ceiling: 320 A on each conductor, 220800 W together." in said
    assert "80 % of the overcurrent device's 400 A" in said
    assert "site.firm_import_w = 250000: accepted is at most 220800 W" in said
    assert config["site"]["firm_import_w"] == 200_000
    assert config["site"]["name"] == "Depot 7"
    assert config["buses"] == [{"port": "uart0", "baud": 9600, "parity": "none"}]
    assert config["devices"] == [{"type": "eastron_sdm630", "name": "grid", "unit": 1}]
    assert "head_end" not in config


def test_dialogue_asks_for_what_cts_need_and_says_when_they_see_no_direction():
    config, said = dialogue(
        "House\n2\n120\n125\nn\n-\n-\n-\n9600\n2000\n-\n10\n"
        "uart0\n9600\nnone\nn\nn\n"
        "4\ngrid\n100\n333\n-\n60\n"
        "y\npv\nsunspec_pv_704\nroof\n31\nL12\n6000\n0\nn\n"
        "600\n"
    )
    assert "devices[0].voltage_mv = (missing): accepted is a voltage input, or a Modbus" in said
    assert config["devices"][0] == {
        "type": "ct_input",
        "name": "grid",
        "rated_a": 100,
        "rated_mv": 333,
        "voltage_mv": 600,
        "mains_hz": 60,
    }


def test_dialogue_asks_again_for_what_does_not_fit_together():
    config, said = dialogue(
        SITE + "200000\n0\n-\n\n"
        "uart0\n\n\nn\nn\n"
        "2\ngrid\n1\n"
        "y\n1\n1\nbay 1\n1\n\n6\n48\n0\nn\n"  # a charger with the meter's address
        "11\n"
    )
    assert "devices[1].unit = 1: accepted is a unit that devices[0] does not use" in said
    assert [device["unit"] for device in config["devices"]] == [1, 11]
    assert config["devices"][1]["max_a"] == 48


def test_dialogue_keeps_what_is_in_force():
    before = configuration()
    config, _ = dialogue("\n" * 8 + "16000\n\n\n\n\n", before)
    expected = json.loads(json.dumps(before))
    expected["site"]["firm_import_w"] = 16_000
    assert {k: config["site"][k] for k in expected["site"]} == expected["site"]
    assert config["devices"] == before["devices"]


def test_dialogue_that_ends_too_early_changes_nothing():
    from host_tools.errors import BadInput

    with pytest.raises(BadInput, match="the input ended before the last answer"):
        dialogue("Depot 7\n3")
