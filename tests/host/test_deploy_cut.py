# SPDX-License-Identifier: MIT
"""The cable is pulled or the power goes in the middle of `firmline deploy`: the board starts the
old firmware or the new one, never neither, and another deploy succeeds.

Power goes in the middle of a block of the littlefs. How many blocks a deploy writes is counted
first, so that the last steps, where /slot changes, are cut one by one.
"""

import pytest

from host_tools import deploy as command
from tests.host.deploy_runs import archive, deploy, running, small
from tests.host.pty_board import PtyBoard

CUTS = 4  # evenly spread, beside each of the last
LAST = 4


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases")
    more = {"firmline/more": f"DATA = {bytes(range(256)) * 6!r}\n"}
    return {name: archive(folder, small(name, more=more)) for name in ("one", "two")}


@pytest.fixture(scope="module")
def old(releases, tmp_path_factory):
    """The flash of a board with release one on it."""
    with PtyBoard(tmp_path_factory.mktemp("old") / "board") as board:
        assert _deploy(board, releases["one"]) == 0
        board.power_cycle()
        return board.flash()


def _deploy(board, path):
    from host_tools import cli

    board.wait_for_port()
    return cli.main(["deploy", "--archive", str(path), "--usb", board.device, "--wait", "2.5"])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(command, "_STAY_S", 0.2)


@pytest.fixture
def board(old, tmp_path):
    with PtyBoard(tmp_path / "board", flash=old) as made:
        made.wait_for_port()
        yield made


def test_the_power_goes_at_any_block(capsys, releases, old, tmp_path):
    with PtyBoard(tmp_path / "count", flash=old) as board:
        board.wait_for_port()
        board.repl("")
        status, _, _ = deploy(capsys, board, releases["two"])
        assert status == 0
        until_restart = board.blocks_written[-2]
        assert until_restart > 20
    spread = [1 + k * until_restart // CUTS for k in range(CUTS)]
    seen = set()
    for cut in sorted({*spread, *range(until_restart - LAST, until_restart + 1)}):
        with PtyBoard(tmp_path / f"cut{cut}", flash=old, cut_at=cut) as board:
            board.wait_for_port()
            status, _, err = deploy(capsys, board, releases["two"])
            board.wait_for_cut()
            assert status == 1
            assert "The board restarts by itself" in err
            first = running(board)
            assert first in ("one", "two"), f"cut at block {cut}: runs {first}"
            seen.add(first)
            if first == "two":
                assert running(board) == "one", f"cut at block {cut}: unconfirmed, and kept"
            if cut in spread[::2]:
                assert deploy(capsys, board, releases["two"])[0] == 0
                assert running(board) == "two"
    assert "one" in seen


STEPS = {
    "looking": b"tree('/a'",
    "making a file": b"begin('/b",
    "sending": b"put(b'",
    "verifying": b"tree('/b'",
    "switching": b"'/slot', b'ba'",
}


@pytest.mark.parametrize("step", STEPS)
def test_the_cable_is_pulled(capsys, board, releases, step):
    """The board's own watchdog brings the old firmware back, nobody need touch it."""
    board.watchdog_s = 0.6
    board.pull_at = STEPS[step]
    board.said = b""
    status, _, err = deploy(capsys, board, releases["two"])
    assert status == 1
    assert "the cable is gone" in err
    assert err.count("\n") == 1
    board.wait_for(b"this is one")
    board.plug_in()
    board.watchdog_s = None
    assert deploy(capsys, board, releases["two"])[0] == 0
    assert running(board) == "two"


def test_the_board_resets_in_the_middle(capsys, board, releases):
    """Its watchdog, or somebody's finger: the port comes back by itself."""
    board.reset_at = b"put(b'"
    status, _, err = deploy(capsys, board, releases["two"])
    assert status == 1
    assert "then: firmline deploy" in err
    assert running(board) == "one"
    assert deploy(capsys, board, releases["two"])[0] == 0
    assert running(board) == "two"
