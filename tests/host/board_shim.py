# SPDX-License-Identifier: MIT
"""Makes the desktop MicroPython a board: a littlefs in a file as its only root, a `machine` that
can reset and has a watchdog, boot.py and main.py from the board's own files, then the REPL.

Started by tests/host/pty_board.py with: folder, blocks, cut (0: never; n: the power goes in the
middle of the n-th block written or erased from now on), arguments of main.py. CPython never
imports it. Nothing but `_board` is left in the names of the REPL.
"""

import os
import sys


class _Board:
    BLOCK = 4096

    def __init__(self, folder, blocks, cut_at):
        self.folder = folder
        self.blocks = blocks
        self.cut_at = cut_at
        self.writes = 0
        self.file = open(folder + "/flash", "r+b", buffering=0)
        self.count = open(folder + "/writes", "wb", buffering=0)

    def mount(self):
        if self.file.read(16) == b"\xff" * 16:
            os.VfsLfs2.mkfs(self)
        os.umount("/")
        os.mount(os.VfsLfs2(self), "/")
        os.mount(os.VfsPosix("/"), "/host")
        sys.modules["machine"] = self
        sys.path[:] = ["", ".frozen", "/lib"]

    # The block device: NOR flash, erased to 0xff

    def readblocks(self, number, buffer, offset=0):
        self.file.seek(number * self.BLOCK + offset)
        self.file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        self._write(number * self.BLOCK + offset, bytes(buffer))

    def ioctl(self, what, argument):
        if what == 6:
            self._write(argument * self.BLOCK, b"\xff" * self.BLOCK)
        return {4: self.blocks, 5: self.BLOCK}.get(what, 0)

    def _write(self, position, data):
        self.writes += 1
        self.count.write(b".")
        self.file.seek(position)
        if self.writes == self.cut_at:
            self.file.write(data[: len(data) // 2])
            self.reset()
        self.file.write(data)

    # What firmware and deploy use of the module machine

    def reset(self):
        os.system("kill -9 $PPID")
        while True:
            pass

    def unique_id(self):
        return b"\x00\x01"

    def WDT(self, timeout):
        return _Watchdog("/host" + self.folder + "/watchdog")

    class Pin:
        IN = OUT = PULL_DOWN = PULL_UP = 0

        def __init__(self, *arguments, **options):
            pass

        def value(self, *arguments):
            return 1


class _Watchdog:
    def __init__(self, path):
        self.file = open(path, "wb", buffering=0)
        self.feed()

    def feed(self):
        self.file.write(b".")


def _run(path):
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        return
    exec(text, globals())  # as a board does: the REPL sees what it leaves


_board = _Board(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
_board.mount()
open("/host" + _board.folder + "/up", "w").close()
sys.argv[:] = ["main.py"] + sys.argv[4:]
_run("boot.py")
_run("main.py")
