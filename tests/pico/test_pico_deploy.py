# SPDX-License-Identifier: MIT
"""`firmline deploy` over the USB of the emulated RP2040: official MicroPython, its littlefs in
the chip's flash, its watchdog and its reset. The cable is pulled, or the supply goes in the middle
of an erase or a program: the board starts the old firmware or the new one, and deploy, called
again, succeeds. Every block and every step: tests/host/test_deploy_cut.py, on the desktop.
"""

import contextlib

import pytest

from hil.targets.pico import assets, chip, image
from host_tools import board as tool_board
from host_tools import cli, layout
from host_tools import deploy as command
from tests.host import deploy_runs
from tests.pico.usb_bridge import UsbBridge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ARCHITECTURE = "armv6m"


@contextlib.contextmanager
def plugged_in(pico_assets, folder, files):
    """The bridge to a board with those files, up and running. The tool's time is the chip's, or a
    busy machine would make the chip slow to answer."""
    transport = pytest.importorskip("mpremote.transport_serial")
    flash = image.flash_image(pico_assets[assets.MICROPYTHON], files)
    board = chip.Chip(pico_assets[assets.BOOTROM], flash, [2, 6], ())
    bridge = UsbBridge(board, folder)
    try:
        bridge.wait_until(2.5)  # its USB is up
        with pytest.MonkeyPatch.context() as patch:
            for module in (command, tool_board, transport):
                patch.setattr(module, "time", bridge)
            yield bridge
    finally:
        bridge.close()
        board.close()


def small(name):
    more = {"firmline/more": f"DATA = {name!r}, {bytes(range(256)) * 6!r}\n"}
    return deploy_runs.small(name, more=more, architecture=ARCHITECTURE)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return deploy_runs.archive(tmp_path_factory.mktemp("release"), small("two"))


def with_one():
    """The files of a board with release one, as deploy leaves it."""
    files = small("one").files[ARCHITECTURE]
    files = {f"a/{path}": data for path, data in files.items()} | layout.launcher_files()
    return files | {"slot": b"a"}


@pytest.fixture
def board(pico_assets, tmp_path):
    with plugged_in(pico_assets, tmp_path, with_one()) as made:
        made.wait_for("this is one")
        yield made


def deploy(capsys, bridge, path):
    """(exit status, stdout, stderr)"""
    capsys.readouterr()
    status = cli.main(["deploy", "--archive", str(path), "--usb", bridge.device, "--wait", "15"])
    said = capsys.readouterr()
    return status, said.out, said.err


def deployed_again(capsys, board, path):
    """It succeeds, and is what starts from now on."""
    board.wait_for_port()
    status, _, err = deploy(capsys, board, path)
    assert (status, err) == (0, "")
    assert started(board) == "two"


def started(board):
    """Which release runs after a power cycle."""
    board.power_cycle()
    board.wait_for("this is ")
    return board.said.partition("this is ")[2][:3]


def test_deployed_over_usb_onto_an_empty_board(capsys, pico_assets, tmp_path):
    one = deploy_runs.archive(tmp_path, small("one"))
    with plugged_in(pico_assets, tmp_path, {"empty.txt": b"-"}) as bridge:
        status, out, err = deploy(capsys, bridge, one)
        assert (status, err) == (0, ""), err
        assert "sending 6 of 6 files" in out
        assert "and runs" in out
        bridge.said = ""
        bridge.wait_for("this is one")
        assert {why for why, _ in bridge.resets} == {"commanded"}


@pytest.mark.parametrize("step", [b"put(b'", b"'/slot', b'ba'"], ids=["sending", "switching"])
def test_the_cable_is_pulled(capsys, board, two, step):
    """The watchdog of the board brings the old firmware back, nobody need touch it."""
    board.pull_at = step
    status, _, err = deploy(capsys, board, two)
    assert status == 1
    assert err.count("\n") == 1 and "the cable is gone" in err
    board.said = ""
    board.wait_for("this is one")
    assert board.resets[0][0] == "watchdog"
    board.plug_in()
    deployed_again(capsys, board, two)


def test_the_cable_is_pulled_before_the_restart_into_the_new_firmware(capsys, board, two):
    """It is tried once, as nobody confirms it."""
    board.pull_at = b"machine.reset()"
    status, _, err = deploy(capsys, board, two)
    assert status == 1
    assert err.count("\n") == 1 and "tried and not confirmed" in err
    board.said = ""
    board.wait_for("this is two")
    assert started(board) == "one"
    deployed_again(capsys, board, two)


@pytest.fixture(scope="module")
def writes(pico_assets, two, tmp_path_factory):
    """How often deploy has erased or programmed when it restarts the board."""
    with plugged_in(pico_assets, tmp_path_factory.mktemp("count"), with_one()) as board:
        arguments = ["deploy", "--archive", str(two), "--usb", board.device, "--wait", "15"]
        assert cli.main(arguments) == 0
        assert [why for why, _ in board.resets] == ["commanded", "commanded"]
        assert board.resets[0][1] > 20
        return board.resets[0][1]


@pytest.mark.parametrize("before_restart", ["half", 1, 0, -1])
def test_the_supply_goes_in_the_middle_of_a_write(capsys, board, two, writes, before_restart):
    """The last but one and the last write name the new firmware, the next is its launcher's."""
    at = writes // 2 if before_restart == "half" else writes - before_restart
    board.cut_after(at)
    status, _, err = deploy(capsys, board, two)
    assert status == 1
    assert err.count("\n") == 1 and "firmline deploy" in err
    assert board.resets[-1] == ("power", at)
    first = started(board)
    if before_restart in ("half", 1):
        assert first == "one"
    if first == "two":
        assert started(board) == "one", "not confirmed, and kept"
    deployed_again(capsys, board, two)
