# SPDX-License-Identifier: MIT
"""The contract of `hardware.files`, as plain asserts that CPython and MicroPython both run.

micropython files_contract.py FIRMWARE STORE [FOLDER]     STORE: folder, ram or littlefs
"""

import os
import sys


class RamBlocks:
    """32 blocks of 512 bytes in memory, with the protocol of a block device."""

    def __init__(self):
        self._data = bytearray(b"\xff" * 32 * 512)

    def readblocks(self, block, buffer, offset=0):
        start = block * 512 + offset
        buffer[:] = self._data[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * 512 + offset
        self._data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return 32
        if operation == 5:
            return 512
        return 0


def open_store(kind, folder):
    from firmline.hal.files import FileStore
    from firmline.hal.ramfiles import RamStore

    if kind == "ram":
        return RamStore()
    if kind == "littlefs":
        blocks = RamBlocks()
        os.VfsLfs2.mkfs(blocks)
        os.mount(os.VfsLfs2(blocks), "/lfs")
        folder = "/lfs/data"
    return FileStore(folder)


def check(files):
    buffer = bytearray(8)
    assert files.load("a", buffer) == -1
    assert files.read_at("a", 0, buffer, 8) == -1
    assert files.size("a") == -1
    files.remove("a")
    assert files.errors == 0, "no such file is no fault"
    files.save("a", b"0123456789", 6)
    assert files.size("a") == 6
    assert files.load("a", buffer) == 6 and bytes(buffer) == b"012345\0\0"
    assert files.load("a", bytearray(4)) == 4, "no more than fits"
    assert files.read_at("a", 4, buffer, 8) == 2 and bytes(buffer) == b"452345\0\0"
    assert files.read_at("a", 1, buffer, 2) == 2 and bytes(buffer) == b"122345\0\0"
    assert files.read_at("a", 6, buffer, 8) == 0
    assert files.read_at("a", 99, buffer, 8) == 0
    files.save("a", bytearray(b"xyz"), 3, b"head")
    assert files.size("a") == 7
    assert files.load("a", buffer) == 7 and bytes(buffer) == b"headxyz\0"
    assert files.crc32("a", 4, 0) == 0xEB8EBA67  # of "xyz"
    assert files.crc32("a", 7, 5) == 5 and files.crc32("no", 0, 0) == -1
    files.save("long", b"0123456789" * 100, 1000)
    assert files.crc32("long", 1, 0xF4DBDF21) == 0x7C858FF1, "carried on over many pieces"
    files.remove("long")
    files.save("b", b"", 0)
    assert files.size("b") == 0 and files.load("b", buffer) == 0
    files.remove("a")
    assert files.size("a") == -1 and files.size("b") == 0
    assert files.errors == 0


def fill_up(files):
    """A full disk: the save fails, what was there is still there, and nothing is left over."""
    files.save("kept", b"old", 3)
    try:
        files.save("kept", bytearray(40000), 40000)
        raise AssertionError("40 kB fitted on 16")
    except OSError:
        pass
    assert files.errors == 1
    buffer = bytearray(8)
    assert files.load("kept", buffer) == 3 and bytes(buffer[:3]) == b"old"
    assert files.size("new") == -1
    files.save("kept", b"next", 4)
    assert files.load("kept", buffer) == 4


def main(arguments):
    sys.path.insert(0, arguments[0])
    files = open_store(arguments[1], arguments[-1])
    check(files)
    if arguments[1] == "littlefs":
        fill_up(files)
    print("contract kept")


if __name__ == "__main__":
    main(sys.argv[1:])
