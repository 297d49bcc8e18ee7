# SPDX-License-Identifier: MIT
"""Whole files in one folder, replaced in one step: what a power cut leaves is the old or the new.

A file is written under another name and then renamed over the old one. littlefs commits a file
when it is closed, and a rename in one step; but a *program* fault in the middle closes the file
too and so commits half of it, hence the second name there as well. A desktop file is flushed to
the disk before it is renamed. Nothing here is for the hot path: opening a file allocates.

The contract (`hardware.files` of every port; hal/ramfiles.py is the same without a disk):
 load(name, buffer) -> bytes read, at most len(buffer), -1 if there is no such file
 read_at(name, offset, buffer, n) -> bytes read, 0 past the end, -1
 save(name, buffer, n, head=b"") -> head and then n bytes of buffer become the file; or OSError
 crc32(name, offset, crc) -> crc carried on over the file from offset to its end, -1
 size(name) -> bytes, -1;  remove(name): no fault if there is none
 errors -> faults of the disk so far (not: "no such file")
"""

import binascii
import os
from errno import ENOENT

from firmline.core.units import const

_ENOSPC = const(28)  # MicroPython has no name for it
_CHUNK_BYTES = const(128)
_NEW = "new"  # the second name; what a cut has left there is written over


class FileStore:
    """`folder` is made with the first save if its parent exists."""

    def __init__(self, folder):
        self._folder = folder
        self.errors = 0

    def _path(self, name):
        return self._folder + "/" + name

    def load(self, name, buffer):
        return self.read_at(name, 0, buffer, len(buffer))

    def read_at(self, name, offset, buffer, n):
        try:
            with open(self._path(name), "rb") as file:
                file.seek(offset)
                return file.readinto(memoryview(buffer)[:n])
        except OSError as error:
            return self._count(error)

    def crc32(self, name, offset, crc):
        chunk = bytearray(_CHUNK_BYTES)
        try:
            with open(self._path(name), "rb") as file:
                file.seek(offset)
                n = file.readinto(chunk)
                while n:
                    crc = binascii.crc32(memoryview(chunk)[:n], crc)
                    n = file.readinto(chunk)
        except OSError as error:
            return self._count(error)
        return crc

    def size(self, name):
        try:
            return os.stat(self._path(name))[6]
        except OSError as error:
            return self._count(error)

    def remove(self, name):
        try:
            os.remove(self._path(name))
        except OSError as error:
            self._count(error)

    def _count(self, error):
        if error.errno != ENOENT:
            self.errors += 1
        return -1

    def save(self, name, buffer, n, head=b""):
        try:
            self._write(buffer, n, head)
            os.rename(self._path(_NEW), self._path(name))
        except OSError:
            self.errors += 1
            self.remove(_NEW)  # a full disk is not left fuller
            raise

    def _write(self, buffer, n, head):
        with self._new_file() as file:
            written = file.write(head) + file.write(memoryview(buffer)[:n])
            file.flush()  # on the desktop: to the disk
        if written != n + len(head):
            raise OSError(_ENOSPC)

    def _new_file(self):
        try:
            return open(self._path(_NEW), "wb")
        except OSError as error:
            if error.errno != ENOENT:
                raise
        os.mkdir(self._folder)
        return open(self._path(_NEW), "wb")
