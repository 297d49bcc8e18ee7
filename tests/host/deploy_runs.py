# SPDX-License-Identifier: MIT
"""Releases to deploy in tests, and a call of `firmline deploy` on a board of pty_board.py."""

import json

from host_tools import cli, release
from host_tools.compile import compiled_text

ARCHITECTURE = "x64"  # of the desktop interpreter
BOOT = b"print('booted')\n"
MAIN = b"from firmline import app\n\napp.main()\n"
APP = """\
import time
from firmline import extra


def main():
    time.sleep_ms(300)  # what is said before the port is there is lost
    print("firmline: running")
    try:
        while True:
            print("this is", extra.NAME)
            time.sleep_ms(1000)
    except KeyboardInterrupt:
        print("firmline: stopped: Ctrl-C")
"""


def small(name, app=APP, more=None, architecture=ARCHITECTURE):
    """A Release of four small files that run as a firmware does; `name` is in one of them."""
    texts = {"firmline/__init__": "", "firmline/app": app, "firmline/extra": f"NAME = {name!r}\n"}
    texts |= more or {}
    files = {"boot.py": BOOT, "main.py": MAIN}
    for path, text in texts.items():
        files[f"{path}.mpy"] = compiled_text(text, f"{path}.py", architecture)
    return release.Release(name, "", {architecture: dict(sorted(files.items()))})


PICO = b"""\
from firmline.hal import choose


class _Pico:
    class implementation:
        _machine = "desktop with RP2040"


choose.sys = _Pico  # board.txt says pico, and the desktop is no chip
"""


def whole():
    """The Release of this tree for the desktop, which takes itself for a Pico."""
    made = release.build([ARCHITECTURE])
    made.files[ARCHITECTURE]["boot.py"] = PICO + made.files[ARCHITECTURE]["boot.py"]
    return made


def archive(folder, made):
    """The path of the archive of a Release."""
    return release.write(made, folder / made.version)


def deploy(capsys, board, path, *arguments):
    """(exit status, stdout, stderr)"""
    capsys.readouterr()
    command = ["deploy", "--archive", str(path), "--usb", board.device, "--wait", "2.5"]
    status = cli.main([*command, *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def running(board):
    """Which of the small releases runs after a power cycle; None if none does."""
    board.said = b""
    board.power_cycle()
    for _ in range(600):
        board.pause()
        if b"this is " in board.said and b"\n" in board.said.partition(b"this is ")[2]:
            return board.said.partition(b"this is ")[2].split()[0].decode()
        if b">>> " in board.said:
            return None
    raise AssertionError(f"neither runs nor ends: {board.said!r}")


def damaged(path, member, change):
    """A copy of the archive with one member changed: `change`(bytes) -> bytes, None: left out."""
    import zipfile

    target = path.with_name("damaged.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == member:
                data = change(data)
            if data is not None:
                new.writestr(name, data)
    return target


def manifest_with(**changes):
    """A change of manifest.json for `damaged`."""
    return lambda data: json.dumps(json.loads(data) | changes).encode()
