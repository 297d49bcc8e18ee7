# SPDX-License-Identifier: MIT
"""The contract of hal/files.py without a disk: gone when the program ends."""

import binascii

from firmline.hal.files import FileStore


def open_files(folder):
    """What a desktop keeps its files in: a folder, or None for memory alone."""
    return FileStore(folder) if folder else RamStore()


class RamStore:
    def __init__(self):
        self._files = {}
        self.errors = 0

    def load(self, name, buffer):
        return self.read_at(name, 0, buffer, len(buffer))

    def read_at(self, name, offset, buffer, n):
        if name not in self._files:
            return -1
        part = self._files[name][offset : offset + n]
        buffer[: len(part)] = part
        return len(part)

    def crc32(self, name, offset, crc):
        if name not in self._files:
            return -1
        return binascii.crc32(self._files[name][offset:], crc)

    def size(self, name):
        return len(self._files[name]) if name in self._files else -1

    def remove(self, name):
        self._files.pop(name, None)

    def save(self, name, buffer, n, head=b""):
        self._files[name] = bytes(head) + bytes(memoryview(buffer)[:n])
