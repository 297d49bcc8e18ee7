# SPDX-License-Identifier: MIT
"""`firmline flash` onto a folder laid out as the drive of a Pico in BOOTSEL mode is."""

import struct

import pytest

from host_tools import cli, flash
from host_tools.errors import BadInput

RP2040, RP2350 = 0xE48BFF56, 0xE48BFF59
BANNER = b"\0MicroPython v1.28.0 on 2026-04-06; Raspberry Pi Pico with RP2040\0"
INFO = {
    "RP2040": "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n",
    "RP2350": "UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n",
}


def uf2(content=BANNER, family=RP2040, count=None):
    """A UF2 of `content` with 20 blocks of padding before it."""
    data = bytes(256 * 20) + content
    blocks = [data[at : at + 256] for at in range(0, len(data), 256)]
    out = b""
    for number, block in enumerate(blocks):
        head = (0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * number, 256, number)
        total = len(blocks) if count is None else count
        out += struct.pack("<8I", *head, total, family) + block.ljust(476, b"\0")
        out += struct.pack("<I", 0x0AB16F30)
    return out


def esp32(chip_id=0, content=BANNER):
    return bytes([0xE9, 3, 2, 0x20]) + bytes(8) + struct.pack("<H", chip_id) + bytes(600) + content


@pytest.fixture
def drive(tmp_path):
    """drive(chip) -> the folder of a board in BOOTSEL mode."""

    def make(chip="RP2040", name="RPI-RP2"):
        folder = tmp_path / "media" / name
        folder.mkdir(parents=True)
        (folder / "INFO_UF2.TXT").write_text(INFO[chip])
        return folder

    return make


def call(capsys, tmp_path, data, *arguments):
    image = tmp_path / "image.uf2"
    image.write_bytes(data)
    status = cli.main(["flash", str(image), *map(str, arguments), "--wait", "0"])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize(("chip", "family"), [("RP2040", RP2040), ("RP2350", RP2350)])
def test_the_image_is_copied_to_the_drive(capsys, tmp_path, drive, chip, family):
    folder = drive(chip)
    status, out, err = call(capsys, tmp_path, uf2(family=family), "--volume", folder)
    assert (status, err) == (0, "")
    assert (folder / "firmware.uf2").read_bytes() == uf2(family=family)
    assert "MicroPython v1.28.0 on 2026-04-06 for Raspberry Pi Pico with RP2040" in out


def test_an_rp2350_image_has_one_block_of_another_family_before_it(capsys, tmp_path, drive):
    extra = uf2(b"", 0xE48BFF57, count=2)[:512]
    folder = drive("RP2350")
    status, _, err = call(capsys, tmp_path, extra + uf2(family=RP2350), "--volume", folder)
    assert (status, err) == (0, "")


OLD = BANNER.replace(b"1.28", b"1.25")
BAD_IMAGES = {
    "a text": (b"hello\n" * 400, "neither a UF2 file (Pico) nor an ESP32 image"),
    "empty": (b"", "neither a UF2"),
    "cut in a block": (uf2()[:-100], "cut short"),
    "a block less": (uf2()[:-512], "cut short: 20 of 21 blocks"),
    "a block twice": (uf2() + uf2()[:512], "there twice"),
    "a damaged block": (uf2()[:-4] + b"\0\0\0\0", "block 20 is damaged"),
    "for the RISC-V cores": (uf2(family=0xE48BFF5A), "RISC-V"),
    "for another chip": (uf2(family=0x68ED2B88), "family 0x68ed2b88"),
    "no MicroPython": (uf2(b"CircuitPython 9.1"), "not MicroPython"),
    "old MicroPython": (uf2(OLD), "MicroPython 1.25: Firmline needs 1.26 or newer"),
    "for the other chip": (uf2(family=RP2350), "for RP2350, but the board on"),
    "an ESP32-C3": (esp32(5), "Espressif chip of id 5: expected ESP32 or ESP32-S3"),
}


@pytest.mark.parametrize("what", BAD_IMAGES)
def test_a_wrong_image_is_one_clear_line_and_nothing_is_copied(capsys, tmp_path, drive, what):
    data, line = BAD_IMAGES[what]
    folder = drive()
    status, _, err = call(capsys, tmp_path, data, "--volume", folder)
    assert status == 2
    assert line in err
    assert err.count("\n") == 1
    assert not (folder / "firmware.uf2").exists()


def test_no_such_file_is_one_clear_line(capsys):
    assert cli.main(["flash", "missing.uf2"]) == 2
    assert capsys.readouterr().err == "firmline: missing.uf2: No such file or directory\n"


def test_the_one_drive_is_found(tmp_path, drive):
    drive()
    assert flash.find_volume(None, [str(tmp_path / "media/*")]) == tmp_path / "media/RPI-RP2"


def test_no_drive_and_two_drives_are_refused(tmp_path, drive):
    roots = [str(tmp_path / "media/*")]
    (tmp_path / "media/stick").mkdir(parents=True)
    with pytest.raises(BadInput, match="no Pico in BOOTSEL mode"):
        flash.find_volume(None, roots)
    drive()
    drive("RP2350", "RP2350")
    with pytest.raises(BadInput, match="2 boards in BOOTSEL mode: .*RP2350, .*RPI-RP2"):
        flash.find_volume(None, roots)


def test_another_folder_is_no_drive(capsys, tmp_path):
    status, _, err = call(capsys, tmp_path, uf2(), "--volume", tmp_path)
    assert status == 2
    assert "it has no INFO_UF2.TXT" in err


def test_another_bootloader_is_refused(capsys, tmp_path, drive):
    folder = drive()
    (folder / "INFO_UF2.TXT").write_text("UF2 Bootloader v1.23\nBoard-ID: SAMD21G18A-Trinket\n")
    status, _, err = call(capsys, tmp_path, uf2(), "--volume", folder)
    assert status == 2
    assert "expected RPI-RP2 or RP2350" in err


def test_a_board_that_does_not_come_up_is_said(capsys, tmp_path, drive):
    image = tmp_path / "image.uf2"
    image.write_bytes(uf2())
    arguments = ["flash", str(image), "--volume", str(drive()), "--wait", "0.3"]
    assert cli.main(arguments) == 1
    assert "no board came up within 0.3 s" in capsys.readouterr().err


def test_esptool_is_explained_where_it_is_missing(capsys, tmp_path):
    status, _, err = call(capsys, tmp_path, esp32(9), "--usb", "/dev/ttyUSB0")
    assert status == 2
    assert "pip install esptool" in err
    assert "--chip esp32s3 --port /dev/ttyUSB0 write_flash --erase-all 0x0" in err


def test_esptool_is_called_where_it_is(capsys, tmp_path, monkeypatch):
    """A stand-in of the same name: what it is told is what matters here."""
    (tmp_path / "esptool.py").write_text(
        "import pathlib, sys\n"
        "pathlib.Path(__file__).with_name('told').write_text(str(sys.argv[1:]))"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    status, _, err = call(capsys, tmp_path, esp32(), "--usb", "/dev/ttyUSB0")
    assert (status, err) == (0, "")
    told = (tmp_path / "told").read_text()
    assert "'--port', '/dev/ttyUSB0', 'write_flash', '--erase-all', '0x1000'" in told
