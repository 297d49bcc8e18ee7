# SPDX-License-Identifier: MIT
"""`firmline deploy` onto a real MicroPython with a real littlefs (tests/host/pty_board.py)."""

import os

import pytest
from mpremote.transport_serial import SerialTransport

from host_tools import board as link
from host_tools import cli, layout
from host_tools import deploy as command
from tests.host.deploy_runs import (
    APP,
    ARCHITECTURE,
    archive,
    damaged,
    deploy,
    manifest_with,
    running,
    small,
    whole,
)
from tests.host.pty_board import PtyBoard

SITE = """{"schema": 1, "site": {"name": "Depot", "phases": 1, "voltage_v": 230, "service_a": 63,
"firm_import_w": 9000, "firm_export_w": 0, "worst_case_load_w": 3000},
"buses": [{"port": "uart0", "baud": 19200}],
"devices": [{"type": "eastron_sdm630", "name": "grid", "bus": 0, "unit": 1, "role": "pcc"},
{"type": "trip_output", "name": "trip", "pin": 8}]}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(command, "_STAY_S", 0.2)


@pytest.fixture
def board(tmp_path):
    with PtyBoard(tmp_path / "board") as made:
        made.wait_for_port()
        yield made


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """name -> archive"""
    folder = tmp_path_factory.mktemp("releases")
    crash = APP.replace("from firmline import extra", "from firmline import missing")
    resets = "import machine\n\n\ndef main():\n    machine.reset()\n"
    waits = APP.partition('    print("firmline')[0] + "    print('firmline: site.name: missing')\n"
    made = {
        "one": small("one"),
        "two": small("two", more={"firmline/more/__init__": "", "firmline/more/new": "X = 1\n"}),
        "crash": small("crash", crash),
        "resets": small("resets", resets),
        "waits": small("waits", waits),
    }
    return {name: archive(folder, each) for name, each in made.items()}


def test_a_fresh_board_runs_what_was_deployed(capsys, board, releases):
    status, out, err = deploy(capsys, board, releases["one"])
    assert (status, err) == (0, "")
    assert "sending 5 of 5 files" in out
    assert "firmline one is on the board, and runs" in out
    assert running(board) == "one"
    assert running(board) == "one"


def test_nothing_is_sent_where_nothing_changed(capsys, board, releases):
    deploy(capsys, board, releases["one"])
    before = board.flash()
    status, out, err = deploy(capsys, board, releases["one"])
    assert (status, err) == (0, "")
    assert "nothing to send" in out
    assert board.flash() == before
    assert running(board) == "one"


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(capsys, board, releases):
    deploy(capsys, board, releases["two"])
    status, out, _ = deploy(capsys, board, releases["one"])
    assert status == 0
    assert "sending 1 of 5 files" in out
    assert "4 are on the board already" in out
    status, out, _ = deploy(capsys, board, releases["two"])
    assert status == 0
    assert "sending 0 of 7 files, 0 bytes" in out
    assert running(board) == "two"


@pytest.mark.parametrize("name", ["crash", "resets"])
def test_a_firmware_that_does_not_come_up_gives_way_to_the_old(capsys, board, releases, name):
    deploy(capsys, board, releases["one"])
    status, _, err = deploy(capsys, board, releases[name])
    assert status == 1, err
    assert "did not come up" in err
    assert "what was there before is back" in err
    assert err.count("\n") == 1
    if name == "crash":
        assert "ImportError" in err
    assert running(board) == "one"


def _interrupted(*_):
    raise KeyboardInterrupt


def test_a_firmware_on_trial_lasts_one_start(capsys, board, releases, monkeypatch):
    """The computer goes away right after the restart: nobody confirms."""
    deploy(capsys, board, releases["one"])
    with monkeypatch.context() as patched:
        patched.setattr(command.Deployment, "_listen", _interrupted)
        assert deploy(capsys, board, releases["two"])[0] == 130
    board.wait_for(b"this is two")
    assert running(board) == "one"
    status, out, _ = deploy(capsys, board, releases["two"])
    assert status == 0
    assert "sending 0 of 7 files" in out
    assert running(board) == "two"


def test_a_first_firmware_that_waits_for_its_configuration_stays(capsys, board, releases):
    status, out, err = deploy(capsys, board, releases["waits"])
    assert (status, err) == (0, "")
    assert "waits for a configuration" in out
    assert "site.name: missing" in out


def test_one_that_waits_where_another_ran_gives_way(capsys, board, releases):
    deploy(capsys, board, releases["one"])
    status, _, err = deploy(capsys, board, releases["waits"])
    assert status == 1, err
    assert "site.name: missing: what was there before is back" in err
    assert running(board) == "one"


MEMBER = f"{ARCHITECTURE}/firmline/app.mpy"
DAMAGE = {
    "a changed byte": (MEMBER, lambda data: data[:-1] + b"x", "not what the manifest says"),
    "a missing file": (MEMBER, lambda data: None, "firmline/app.mpy is missing"),
    "no manifest": ("manifest.json", lambda data: None, "it has no manifest.json"),
    "another product": ("manifest.json", manifest_with(name="other"), "another format or product"),
    "another chip": ("manifest.json", manifest_with(architectures={}), "the chip is x64"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_bad_archive_is_refused_and_the_board_is_as_it_was(capsys, board, releases, what):
    member, change, line = DAMAGE[what]
    before = board.flash()
    status, _, err = deploy(capsys, board, damaged(releases["one"], member, change))
    assert status == 2, err
    assert line in err
    assert err.count("\n") == 1
    assert board.flash() == before


def test_no_archive_at_all_is_one_clear_line(capsys, board, tmp_path):
    text = tmp_path / "some.zip"
    text.write_text("no zip")
    status, _, err = deploy(capsys, board, text)
    assert status == 2, err
    assert "not a whole zip archive" in err


FILL = """
import os
for k in range(64):
    try:
        with open('/mine%d' % k, 'wb') as file: file.write(bytes(4096))
    except OSError: break
"""


def test_a_file_system_that_is_full_after_all_leaves_the_old(
    capsys, monkeypatch, tmp_path, releases
):
    with PtyBoard(tmp_path / "board", blocks=64) as board:
        board.wait_for_port()
        assert deploy(capsys, board, releases["one"])[0] == 0
        board.repl(FILL)
        monkeypatch.setattr(layout, "_check_space", lambda *_: None)
        status, _, err = deploy(capsys, board, releases["two"])
        assert status == 1, err
        assert "the board says: no space left" in err
        assert running(board) == "one"


def test_a_full_file_system_is_refused_before_anything_is_touched(capsys, tmp_path, releases):
    with PtyBoard(tmp_path / "board", blocks=64) as board:
        board.wait_for_port()
        assert deploy(capsys, board, releases["one"])[0] == 0
        board.repl(FILL)
        before = board.flash()
        status, _, err = deploy(capsys, board, releases["two"])
        assert status == 2, err
        assert "file system is too full" in err
        assert board.flash() == before
        assert running(board) == "one"


def test_another_program_is_not_overwritten_unless_asked(capsys, board, releases):
    board.put("/main.py", b"print(12345)")
    status, _, err = deploy(capsys, board, releases["one"])
    assert status == 2, err
    assert "another program" in err
    status, _, _ = deploy(capsys, board, releases["one"], "--replace")
    assert status == 0
    assert running(board) == "one"


def test_a_firmware_copied_by_hand_becomes_the_way_back(capsys, board, releases):
    import zipfile

    with zipfile.ZipFile(releases["one"]) as files:
        for name in files.namelist():
            path = name.removeprefix(f"{ARCHITECTURE}/")
            if path.endswith("py"):
                board.put(f"/{path}", files.read(name))
    assert running(board) == "one"
    status, _, err = deploy(capsys, board, releases["crash"])
    assert status == 1, err
    assert "what was there before is back" in err
    assert running(board) == "one"
    assert deploy(capsys, board, releases["two"])[0] == 0
    assert running(board) == "two"
    assert "firmline" not in board.repl("import os; print(os.listdir('/'))")


def test_the_configuration_goes_with_it_and_comes_back(capsys, board, releases, tmp_path):
    good = tmp_path / "site.json"
    good.write_text(SITE)
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    status, _, err = deploy(capsys, board, releases["one"], "--config", bad)
    assert status == 2, err
    assert "bad.json: " in err
    assert deploy(capsys, board, releases["one"], "--config", good)[0] == 0
    other = tmp_path / "other.json"
    other.write_text(SITE.replace("Depot", "Other"))
    assert deploy(capsys, board, releases["crash"], "--config", other)[0] == 1
    assert "Depot" in board.repl("print(open('/config.json').read())")
    assert deploy(capsys, board, releases["two"], "--config", other)[0] == 0
    assert "Other" in board.repl("print(open('/config.json').read())")


def test_no_port_is_one_clear_line(capsys, monkeypatch, releases, tmp_path):
    monkeypatch.setattr(command, "_BUSY_S", 0.1)
    wrong = {"none": "does not exist: is the cable in?", "": "is a folder, no serial port"}
    (tmp_path / "text").write_text("no port")
    wrong["text"] = "is no serial port"
    for device, line in wrong.items():
        device = tmp_path / device
        status = cli.main(["deploy", "--archive", str(releases["one"]), "--usb", str(device)])
        assert status == 2
        err = capsys.readouterr().err
        assert line in err
        assert err.count("\n") == 1


STRANGERS = {"an echo": "cat", "silence": "sleep 600"}


@pytest.mark.parametrize("what", STRANGERS)
def test_something_else_on_the_port_is_one_clear_line(
    capsys, monkeypatch, tmp_path, releases, what
):
    monkeypatch.setattr(link, "_STOP_S", 0.1)
    enter_raw_repl, attempts = SerialTransport.enter_raw_repl, []

    def counted(self, **options):
        attempts.append(options["timeout_overall"])
        enter_raw_repl(self, **options)

    monkeypatch.setattr(SerialTransport, "enter_raw_repl", counted)
    with PtyBoard(
        tmp_path / "board", command=["/bin/sh", "-c", f"trap '' INT; {STRANGERS[what]}"]
    ) as board:
        board.wait_for_port()
        status, _, err = deploy(capsys, board, releases["one"])
    assert attempts == [2, 2], "each with its own limit, in s"
    assert status == 2, err
    assert "no MicroPython answers there" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (("circuitpython", (9, 1, 0)), "the board runs circuitpython, not MicroPython"),
        (("micropython", (1, 25, 0)), "MicroPython 1.25.0 on the board: Firmline needs 1.26"),
    ],
)
def test_another_interpreter_is_refused(capsys, board, releases, own, line):
    text = (
        "import sys\nreal = sys\n"
        f"class Own: name, _mpy, _machine = {own[0]!r}, 2822, 'x'\n"
        f"Own.__getitem__ = lambda self, index: {own[1]}\n"
        "class Fake:\n"
        "    def __getattr__(self, name):\n"
        "        return Own() if name == 'implementation' else getattr(real, name)\n"
        "sys.modules['sys'] = Fake()\n"
    )
    board.put("/boot.py", text.encode())
    status, _, err = deploy(capsys, board, releases["one"])
    assert status == 2, err
    assert line in err


def test_the_real_firmware_runs_from_a_slot(capsys, tmp_path):
    """All of it, compiled for the desktop, with a meter that nobody answers for."""
    line, other = os.openpty()
    arguments = ["/config.json", "--port", f"uart0=/host{os.ttyname(other)}"]
    made = archive(tmp_path, whole())
    site = tmp_path / "site.json"
    site.write_text(SITE)
    with PtyBoard(tmp_path / "board", arguments=arguments) as board:
        board.wait_for_port()
        board.put("/board.txt", b"pico")  # no build says that a desktop is one
        status, out, err = deploy(capsys, board, made, "--config", site, "--wait", "10")
        assert (status, err) == (0, "")
        assert "is on the board, and runs" in out
        board.wait_for(b"firmline: running")
        status, out, err = deploy(capsys, board, made)
        if status == 2 and b"heap is locked" in board.said:
            # The unix port takes Ctrl-C in its signal handler, also in the midst of a collection,
            # and then has no heap any more; a board takes it between two instructions.
            board.wait_for_port()
            status, out, err = deploy(capsys, board, made)
        assert (status, err) == (0, "")
        assert "nothing to send" in out
    os.close(line)
    os.close(other)


def test_a_file_that_arrives_changed_is_noticed(capsys, board, releases, monkeypatch):
    deploy(capsys, board, releases["one"])
    send = link.Board.send

    def worse(self, path, data, advance):
        send(self, path, data[:-1] + b"!", advance)

    with monkeypatch.context() as patched:
        patched.setattr(link.Board, "send", worse)
        status, _, err = deploy(capsys, board, releases["two"])
    assert status == 1, err
    assert "is not on the board as it was sent: the firmware it had stays in force" in err
    assert running(board) == "one"
