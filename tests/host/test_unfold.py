# SPDX-License-Identifier: MIT
"""Error texts of a board, which has short names, read as the source has them.

The texts are real: the firmware compiled as for a board, in MicroPython. What they should say is
what CPython says of the source.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from firmline.version import VERSION
from hil.targets.firmware import FIRMWARE_DIR, find_micropython
from host_tools import fold, release, unfold
from host_tools.errors import BadInput
from tests.host import tools_desktop
from tests.host.deploy_runs import ARCHITECTURE, archive, damaged, deploy, small, whole
from tests.host.pty_board import PtyBoard
from tests.host.test_deploy import SITE
from tests.host.tool_runs import firmline
from tests.host.tools_desktop import Desktop
from tests.host.wall_runs import interpreter  # noqa: F401 - skips without MicroPython

pytestmark = pytest.mark.timeout(120)

# What goes wrong, and the frame where it does. An object without its attributes is one whose
# __init__ did not come so far.
FAULTS = {
    "bare(app.Controller).poll(0)": "Controller.poll",
    "bare(app.Controller)._run_cycle(True, 0)": "Controller._run_cycle",
    "bare(Bus).poll(0)": "Bus.poll",
    "bare(RtuServer).poll(0)": "RtuServer.poll",
    "bare(Supervisor).may_feed()": "Supervisor.may_feed",
    "bare(HeadEnd).poll(0)": "HeadEnd.poll",
    "app.Controller._apply(None, 0)": "Controller._apply",
    "config_checks.CHECKS[0]({})": "_check_ceiling",
}
PROGRAM = """
import sys, json
sys.path[:0] = {paths!r}
from firmline import app
from firmline.core.supervisor import Supervisor
from firmline.modbus.server import RtuServer
from firmline.services import config_checks
from firmline.services.bus import Bus
from firmline.services.headend import HeadEnd
bare = lambda kind: object.__new__(kind)
for fault in {faults!r}:
    try:
        eval(fault)
    except Exception as error:
        text = repr(error)
        if hasattr(sys, "print_exception"):
            text += getattr(app, WHERE)(error)
        else:
            import traceback
            frame = traceback.extract_tb(error.__traceback__)[-1]
            text += ", in " + frame.name
        print(json.dumps(text))
"""


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """A folder with the firmware as a board has it, for the desktop interpreter."""
    folder = tmp_path_factory.mktemp("folded")
    for path, data in release.build([ARCHITECTURE]).files[ARCHITECTURE].items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def said(interpreter, folder, tmp_path):  # noqa: F811
    """What each fault says, by interpreter and firmware."""
    where = f"WHERE = {fold.short_names()['_where']!r}\n"
    program = tmp_path / "program.py"
    calls = list(FAULTS)
    if folder != FIRMWARE_DIR:  # a caller has to use the short names too
        for name, short in (fold.short_names() | fold.public_names()).items():
            calls = [call.replace(f".{name}(", f".{short}(") for call in calls]
    program.write_text(where + PROGRAM.format(paths=[str(folder)], faults=calls))
    done = subprocess.run(
        [interpreter, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def plain(text):
    """Without the marks in which the two interpreters differ."""
    return text.replace(",)", ")").replace('"', "").replace("'", "")


def test_errors_of_the_folded_firmware_read_like_those_of_the_source(folded, tmp_path):
    there = said(find_micropython(), folded, tmp_path)
    here = said(sys.executable, FIRMWARE_DIR, tmp_path)
    assert len(there) == len(here) == len(FAULTS)
    changed = 0
    for text, truth, frame in zip(there, here, FAULTS.values(), strict=True):
        read = unfold.readable(text, unfold.own_names())
        changed += read != text
        message, _, place = plain(read).rpartition(", File ")
        truth, _, function = plain(truth).rpartition(", in ")
        assert message == truth, text
        assert frame.endswith(function), "the table above is right"
        if function.startswith("_") or function in fold.public_names():
            assert place.endswith(f", in {frame}")
        else:
            assert place.endswith(f", in {function}")
        assert "line" not in place
    assert changed == len(FAULTS)


NAMES = {
    "functions": {"app": {"_a": ["Controller._poll_all"], "_b": ["A._x", "B._y"]}},
    "classes": {"Bus": {"_a": ["_owner"]}},
    "modules": {"app": {"_a": ["_poll_all"], "_c": ["_tick"]}},
}
TEXTS = {
    'File "app", line 1, in _a': 'File "app", in Controller._poll_all',
    'File "app", line 1, in _b': 'File "app", in A._x or B._y',
    'File "app", line 1, in poll': 'File "app", in poll',
    'File "app.py", line 20, in _a': 'File "app.py", line 20, in _a',
    'File "app", line 1, in _zz': 'File "app", in _zz',
    "'Bus' object has no attribute '_a'": "'Bus' object has no attribute '_owner'",
    "'NoneType' object has no attribute '_c', File \"app\", line 1, in _a": (
        "'NoneType' object has no attribute '_tick', File \"app\", in Controller._poll_all"
    ),
    "'NoneType' object has no attribute '_c'": "'NoneType' object has no attribute '_c'",
    "module 'firmline.app' has no attribute '_a'": (
        "module 'firmline.app' has no attribute '_poll_all'"
    ),
    "stopped: Ctrl-C": "stopped: Ctrl-C",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_name_is_read_by_the_class_or_module_that_stands_by_it(text):
    assert unfold.readable(text, NAMES) == TEXTS[text]
    assert unfold.readable(text, {}) == text


def test_an_installed_package_gives_the_same_table_as_a_checkout(tmp_path, monkeypatch):
    """boot.py and main.py are in no package."""
    shutil.copytree(fold.PACKAGE, tmp_path / "site" / "firmline")
    here = unfold.own_names()
    caches = (fold.trees, fold.census, fold.short_names, unfold.own_names)
    monkeypatch.setattr(fold, "PACKAGE", tmp_path / "site" / "firmline")
    for cache in caches:
        cache.cache_clear()
    try:
        assert unfold.own_names() == here
    finally:
        for cache in caches:
            cache.cache_clear()


# --- where the table comes from ---


def test_the_archive_carries_the_table_under_its_hash(tmp_path):
    made = release.Release("1", "", {"x64": {"boot.py": b"", "main.py": b""}}, NAMES)
    path = release.write(made, tmp_path)
    assert release.read(path).names == NAMES
    with pytest.raises(BadInput, match="names.json is not what the manifest says"):
        release.read(damaged(path, "names.json", lambda data: data.replace(b"_owner", b"_other")))
    with pytest.raises(BadInput, match="names.json is missing"):
        release.read(damaged(path, "names.json", lambda data: None))


@pytest.mark.parametrize("names", [[], {"functions": []}, {"functions": {"app": {"_a": "x"}}}, 1])
def test_a_table_that_is_none_is_refused(tmp_path, names):
    made = release.Release("1", "", {"x64": {"boot.py": b"", "main.py": b""}}, names)
    with pytest.raises(BadInput, match="names.json is no table of names"):
        release.read(release.write(made, tmp_path))


def test_the_table_that_deploy_left_counts_before_the_own_one():
    unfold.keep("e66058388361c72d", "0.0.9", NAMES)
    assert unfold.names_of("e66058388361c72d", "0.0.9") == NAMES
    assert unfold.names_of("e66058388361c72d", "0.0.8") == {}
    assert unfold.names_of("e66058388361c72d", VERSION) == unfold.own_names()
    assert unfold.names_of("00", VERSION) == unfold.own_names()
    unfold.keep("../../x", VERSION, NAMES)
    assert unfold.names_of("../../x", VERSION) == unfold.own_names()


def test_a_damaged_table_is_none(state_folder):
    unfold.keep("aa01", "0.0.9", NAMES)
    for text in ("", "{", "[]", "null", '{"version": "0.0.9", "names": [1]}'):
        (state_folder / "firmline" / "aa01.json").write_text(text)
        assert unfold.names_of("aa01", "0.0.9") == {}


# --- end to end ---

BREAKS = """
import time
from firmline.services.telemetry import Telemetry
time.sleep(2)  # what is said before the port is there is lost
Telemetry.update = None
"""


def test_deploy_says_where_the_new_firmware_failed(capsys, tmp_path, state_folder):
    line = tools_desktop.NullModem()
    made = whole()
    files = made.files[ARCHITECTURE]
    arguments = ["/config.json", "--port", f"uart0=/host{line.far}"]
    good = archive(tmp_path / "good", made)
    files["main.py"] = BREAKS.encode() + files["main.py"]
    bad = archive(tmp_path / "bad", made)
    site = tmp_path / "site.json"
    site.write_text(SITE)
    with PtyBoard(tmp_path / "board", arguments=arguments) as board:
        board.wait_for_port()
        board.put("/board.txt", b"pico")
        assert deploy(capsys, board, good, "--config", site, "--wait", "10")[0] == 0
        assert unfold.names_of("0001", made.version) == made.names
        assert (state_folder / "firmline" / "0001.json").is_file()
        status, _, err = deploy(capsys, board, bad, "--wait", "10")
    line.close()
    assert status == 1
    assert "TypeError(" in err
    assert 'File "app", in Controller._run_cycle: what was there before is back' in err


NOTES_AND_RESETS = """
import machine


def main():
    with open("/cause.txt", "w") as file:
        file.write('stopped: KeyError(1,), File "app", line 1, in _a')
    machine.reset()
"""


def test_deploy_reads_the_cause_that_a_board_has_kept(capsys, tmp_path):
    """A board restarts by itself; what it said meanwhile nobody has heard."""
    made = replace(small("kept", NOTES_AND_RESETS), names=NAMES)
    with PtyBoard(tmp_path / "board") as board:
        board.wait_for_port()
        board.put("/cause.txt", b"an earlier one")
        assert deploy(capsys, board, archive(tmp_path, small("one")))[0] == 0
        status, _, err = deploy(capsys, board, archive(tmp_path, made))
    assert status == 1
    why = 'stopped: KeyError(1,), File "app", in Controller._poll_all'
    assert err.endswith(f"did not come up: {why}: what was there before is back\n"), err


def test_status_and_report_read_the_cause(folded, tmp_path, monkeypatch):
    """A start that fails: the console of the safe mode says why, in short names."""
    folder = tmp_path / "firmware"
    shutil.copytree(folded, folder)
    fault = (
        "from firmline import app as broken\nfrom firmline.services import boot\n"
        "def _fail(config, hardware):\n    object.__new__(broken.Controller).poll(0)\n"
        f"boot.{fold.public_names()['check_board']} = _fail\n"
    )
    (folder / "main.py").write_text(fault + (folder / "main.py").read_text())
    monkeypatch.setattr(tools_desktop, "FIRMWARE_DIR", folder)
    desktop = Desktop(tmp_path, says="safe mode")
    try:
        said = next(each for each in desktop.lines if "AttributeError" in each)
        ran = firmline("status", "--usb", desktop.console.near, "--json")
        assert firmline("report", "--usb", desktop.console.near, "--save", tmp_path / "r.json",
                        "--out", tmp_path / "r.html").status == 0  # fmt: skip
    finally:
        desktop.close()
    assert ran.status == 0, ran.err
    cause = ran.json["cause"]
    assert "'Controller' object has no attribute '_polled_ms'" in cause
    assert "'_polled_ms'" not in said, "the board itself says a short one"
    details = json.loads((tmp_path / "r.json").read_text())["device"]["details"]
    assert details["cause"] == cause
    assert details["cause_as_said"] in said
    assert "_polled_ms" in (tmp_path / "r.html").read_text()
