# SPDX-License-Identifier: MIT
"""`firmline deploy` over the USB of the emulated RP2040: official MicroPython, its littlefs in
the chip's flash, its reset. Cuts are played on the desktop: tests/host/pty_board.py."""

import pytest

from hil.targets.pico import assets, chip, image
from host_tools import cli
from tests.host import deploy_runs
from tests.pico.usb_bridge import UsbBridge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ARCHITECTURE = "armv6m"


@pytest.fixture
def bridge(pico_assets):
    flash = image.flash_image(pico_assets[assets.MICROPYTHON], {"empty.txt": b"-"})
    board = chip.Chip(pico_assets[assets.BOOTROM], flash, [2, 6], ())
    made = UsbBridge(board)
    yield made
    made.close()
    board.close()


def deploy(capsys, bridge, path):
    capsys.readouterr()
    status = cli.main(["deploy", "--archive", str(path), "--usb", bridge.device, "--wait", "15"])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_deployed_over_usb_onto_an_empty_board(capsys, bridge, tmp_path):
    one = deploy_runs.archive(tmp_path, deploy_runs.small("one", architecture=ARCHITECTURE))
    bridge.wait_until(2.5)  # its USB is up
    status, out, err = deploy(capsys, bridge, one)
    assert (status, err) == (0, ""), err
    assert "sending 5 of 5 files" in out
    assert "and runs" in out
    bridge.said = ""
    bridge.wait_for("this is one")
    assert set(bridge.resets) == {"commanded"}
