# SPDX-License-Identifier: MIT
"""`--json` on every command: standard output is JSON, whatever happens. The tables below must
name each command of the parser, so that a new one cannot do without."""

import argparse
import json
from types import SimpleNamespace

import pytest

from host_tools import cli, release
from host_tools.monitor_view import JsonLines
from tests.host.deploy_runs import archive, small
from tests.host.live_site import configuration
from tests.host.pty_board import PtyBoard
from tests.host.test_flash import uf2
from tests.host.tool_runs import firmline, live_site, quick_configuration, written
from tests.host.wall_runs import interpreter  # noqa: F401 - skips without MicroPython

pytestmark = pytest.mark.timeout(90)
GONE = ("--usb", "/dev/none-there")

# Command -> what ends in 2 without a controller; {} is an empty folder.
MISTAKES = {
    "flash": ("{}/none.uf2",),
    "deploy": ("--archive", "{}/none.zip"),
    "release": ("--out", "/dev/null/below"),
    "commission": ("--skip-live-sign", *GONE),
    "config show": GONE,
    "config check": ("{}/none.json",),
    "config set": ("{}/none.json",),
    "status": GONE,
    "monitor": GONE,
    "log": GONE,
    "envelope push": ("--clear", *GONE),
    "report": ("--from", "{}/none.json"),
}

# Command -> (what is done, keys that the answer has); {} is the folder of `things`.
ANSWERS = {
    "flash": (("{}/image.uf2", "--check"), "image chip micropython is_flashed"),
    "deploy": (
        ("--archive", "{}/one.zip", "--usb", "{}/board/tty", "--wait", "5"),
        "device machine version files sent_files result",
    ),
    "release": (("--out", "{}/dist"), "archive version architectures sha256"),
    "commission": (
        ("--answers", "{}/answers.json", "--yes", "--out", "{}/records", "USB"),
        "verdict checks sha256",
    ),
    "config show": (("USB",), "generation sha256 configuration"),
    "config check": (("{}/site.json", "--for", "pico"), "file sha256 errors"),
    "config set": (("{}/site.json", "--yes", "USB"), "result generation sha256"),
    "status": (("USB",), "device mode limits resources"),
    "monitor": (("--once", "USB"), "time mode limits"),
    "log": (("--csv", "{}/log.csv", "USB"), "file events"),
    "envelope push": (("--clear", "USB"), "asked before after is_in_force"),
    "report": (("--out", "{}/report.html", "USB"), "file sha256"),
}


def leaves(parser, path=""):
    """[(command, its parser)] of every command that does something."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from leaves(below, f"{path} {name}".strip())
            return
    yield path, parser


COMMANDS = dict(leaves(cli.parser(cli.modules())))


def test_every_command_has_json_and_a_place_in_the_tables():
    assert len(COMMANDS) >= 12
    without = [name for name, each in COMMANDS.items() if "--json" not in each.format_help()]
    assert without == []
    assert set(MISTAKES) == set(ANSWERS) == set(COMMANDS)


def is_refused_in_json(command, arguments, said_by="firmline: "):
    plain = firmline(*command.split(), *arguments)
    assert (plain.status, plain.out) == (2, "")
    line = plain.line()
    assert line.startswith(said_by)
    told = firmline(*command.split(), *arguments, "--json")
    assert (told.status, told.line()) == (2, line)
    assert told.json["error"] == line.removeprefix(said_by)
    assert told.json["exit_status"] == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_done_is_one_object_and_the_line(command, tmp_path, monkeypatch):
    monkeypatch.setattr(release, "build", lambda: small("one"))
    is_refused_in_json(command, [word.format(tmp_path) for word in MISTAKES[command]])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_option_is_one_object_and_the_line(command):
    mine = ["x"] if command in ("flash", "config check", "config set") else []
    is_refused_in_json(command, [*mine, "--nonsense"], f"firmline {command}: ")


def test_a_wrong_command_is_one_object_and_the_line():
    is_refused_in_json("fly", [])


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """(folder with what the table names, a live site)"""
    folder = tmp_path_factory.mktemp("things")
    (folder / "image.uf2").write_bytes(uf2())
    archive(folder, small("one")).rename(folder / "one.zip")
    written(folder / "site.json", quick_configuration(name="Depot"))
    answers = {"skip_live_sign": "a test", "skip_head_end": "a test"}
    written(folder / "answers.json", answers)
    (folder / "live").mkdir()
    site = live_site(folder / "live", config=quick_configuration())
    with PtyBoard(folder / "board") as board, site as live:
        board.wait_for_port()
        yield folder, live


@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_done_is_one_object(command, things, monkeypatch):
    folder, live = things
    monkeypatch.setattr(release, "build", lambda: small("one"))
    words, keys = ANSWERS[command]
    arguments = [word.format(folder) for word in words if word != "USB"]
    arguments += live.usb if "USB" in words else []
    ran = firmline(*command.split(), *arguments, "--json")
    assert ran.status == 0, ran.err
    assert set(keys.split()) <= set(ran.json), ran.out
    assert "error" not in ran.json


def test_faults_of_a_configuration_are_all_in_the_object(tmp_path):
    config = configuration(phases=4)
    del config["site"]["firm_import_w"]
    path = written(tmp_path / "c.json", config)
    for command in (("config", "check"), ("config", "set")):
        ran = firmline(*command, path, "--json")
        assert ran.status == ran.json["exit_status"] == 2
        assert ran.json["error"] == f"{path}: 2 faults"
        assert {e["field"] for e in ran.json["errors"]} == {"site.phases", "site.firm_import_w"}
        assert len(ran.err.splitlines()) == 3


def test_a_firmware_that_is_taken_back_is_one_object(things):
    folder, _ = things
    broken = small("broken", "import missing\n")
    path = archive(folder, broken)
    device = folder / "board" / "tty"
    ran = firmline("deploy", "--archive", path, "--usb", device, "--wait", "3", "--json")
    assert ran.status == 1
    assert "did not come up" in ran.json["error"]
    assert ran.json["result"] == "taken back" and "ImportError" in ran.json["why"]
    assert ran.line() == f"firmline: {ran.json['error']}"


def test_a_monitor_that_loses_the_controller_says_so_once_in_json(capsys):
    session = SimpleNamespace(trouble="the cable broke", lost_s=0.0)
    view = JsonLines(session)
    for now in ({"mode": "normal"}, None, None, {"mode": "normal"}):
        view.show(now)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("error") for line in lines] == [None, "the cable broke", None]
    assert all("time" in line for line in lines)
