# SPDX-License-Identifier: MIT
"""A record kept in two generations: a power cut, a torn write or a bad sector costs the newest at
most, never both.

Each record has two files, NAME.0 and NAME.1. What is in force is the newest one that is complete;
writing always goes to the other and is read back before it counts. A file that is not exactly what
was written is never used. Nothing is repaired and nothing is guessed. Called at start, by the
journal and by the installer's tools; never in a control cycle. Hazard H-13.

A file, little endian: "FLM1", schema u16, 0 u16, generation u32, length u32, CRC-32 u32 over the
16 bytes before it and the payload; then the payload.
"""

import binascii
import struct
from errno import EIO

_HEAD = "<4sHHIII"
_HEAD_BYTES = 20
_CRC_AT = 16
_MAGIC = b"FLM1"
_HALF_RING = 0x7FFFFFFF  # generations are compared on the 2**32 ring


class TwoGenerations:
    """files: the contract of hal/files.py. name: at most 12 characters. schema 0..65535: what
    `write` makes. most_bytes: the longest payload. steps: {old schema: function(buffer, n) -> n of
    the next schema, -1 if that payload makes no sense}; they work in the reader's buffer.

    After `find` or `read`: generation (0: there is none), schema as it is stored, length in bytes.
    refused: files seen by the last look that exist and are not used (torn, corrupt, or of a schema
    that this version does not know).
    """

    def __init__(self, files, name, schema, most_bytes, steps=None):
        self._files = files
        self._name = name
        self._schema = schema
        self._most_bytes = most_bytes
        self._steps = steps or {}
        self._slot = -1
        self._top = 0  # the newest complete generation seen, of whatever schema ...
        self._top_slot = -1  # ... and where it is
        self.generation = 0
        self.schema = schema
        self.length = 0
        self.refused = 0

    def find(self):
        """Look at both files; True if one can be used. The newer one counts."""
        self.refused = 0
        self._top = 0
        self._top_slot = -1
        first = self._look(0)
        second = self._look(1)
        self._slot = -1
        self.generation = self.length = 0
        if first:
            self._take(0, first)
        if second and (not first or _is_newer(second[0], first[0])):
            self._take(1, second)
        return self._slot >= 0

    def read(self, buffer):
        """The payload of the newest generation that can be used, brought to this version's schema,
        into `buffer` (as large as most_bytes). Returns its length, -1 if there is none."""
        if not self.find():
            return -1
        n = self._migrated(buffer)
        return n if n >= 0 else self.read_older(buffer)

    def read_older(self, buffer):
        """As `read`, of the other generation: for a payload that made no sense to its reader. The
        next `write` replaces the one that was refused. -1: there is no other."""
        other = 1 - self._slot
        found = self._look(other) if 0 <= other <= 1 else None
        self.refused += 1
        if not found:
            return -1
        self._take(other, found)
        return self._migrated(buffer)

    def keep(self, generation):
        """Take `generation` for the one in force, if it is one of the two: the next `write` spares
        it, and `read_at` reads it. After `find`."""
        if self._slot >= 0 and self.generation != generation:
            other = self._look(1 - self._slot)
            if other and other[0] == generation:
                self._take(1 - self._slot, other)

    def read_at(self, offset, buffer, n):
        """A part of the payload as it is stored, after `find`: bytes read, 0 past the end, -1."""
        n = min(n, self.length - offset)
        if self._slot < 0:
            return -1
        if n <= 0:
            return 0
        return self._files.read_at(self._path(self._slot), _HEAD_BYTES + offset, buffer, n)

    def crc32(self):
        """Of the payload as it is stored, after `find`; 0 where there is none."""
        if self._slot < 0:
            return 0
        return self._files.crc32(self._path(self._slot), _HEAD_BYTES, 0) & 0xFFFFFFFF

    def write(self, payload, n):
        """n bytes of `payload` become the next generation. OSError when that has failed: what was
        in force before still is. Call `find` or `read` once before the first write."""
        if n > self._most_bytes:
            raise OSError(EIO)
        kept = self._slot if self._slot >= 0 else self._top_slot
        slot = 1 - kept if kept >= 0 else 0
        generation = (self._top + 1) & 0xFFFFFFFF or 1
        head = bytearray(_HEAD_BYTES)
        struct.pack_into(_HEAD, head, 0, _MAGIC, self._schema, 0, generation, n, 0)
        crc = binascii.crc32(memoryview(payload)[:n], binascii.crc32(memoryview(head)[:_CRC_AT]))
        struct.pack_into("<I", head, _CRC_AT, crc)
        self._files.save(self._path(slot), payload, n, head)
        found = self._look(slot)
        if not found or found[0] != generation or found[3] != crc:
            raise OSError(EIO)
        self._take(slot, found)

    def _path(self, slot):
        return "%s.%d" % (self._name, slot)

    def _take(self, slot, found):
        self._slot = slot
        self.generation, self.schema, self.length, _ = found

    def _look(self, slot):
        """(generation, schema, length, CRC) of a file that can be used, None of any other."""
        head = bytearray(_HEAD_BYTES)
        path = self._path(slot)
        size = self._files.size(path)
        if size < 0:
            return None
        found = None
        if self._files.read_at(path, 0, head, _HEAD_BYTES) == _HEAD_BYTES:
            magic, schema, _, generation, length, crc = struct.unpack(_HEAD, head)
            if magic == _MAGIC and generation and size == _HEAD_BYTES + length:
                start = binascii.crc32(memoryview(head)[:_CRC_AT])
                if self._files.crc32(path, _HEAD_BYTES, start) == crc:
                    self._note(slot, generation)
                    if length <= self._most_bytes and self._knows(schema):
                        found = generation, schema, length, crc
        if not found:
            self.refused += 1
        return found

    def _note(self, slot, generation):
        """Also one of a schema that only a newer version knows: what is written now is newer."""
        if self._top_slot < 0 or _is_newer(generation, self._top):
            self._top_slot = slot
            self._top = generation

    def _knows(self, schema):
        """There is a way from `schema` to this version's."""
        while schema != self._schema and schema in self._steps:
            schema += 1
        return schema == self._schema

    def _migrated(self, buffer):
        """The payload in `buffer`, step by step to this version's schema; the file stays as it
        is until `write`."""
        n = self.read_at(0, buffer, self.length)
        schema = self.schema
        if n != self.length:
            return -1
        while schema != self._schema and n >= 0:
            n = self._steps[schema](buffer, n)
            schema += 1
        return n


def _is_newer(generation, other):
    """On the ring: 1 comes after 2**32 - 1."""
    return 0 < (generation - other) & 0xFFFFFFFF <= _HALF_RING
