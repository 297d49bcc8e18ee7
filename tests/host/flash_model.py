# SPDX-License-Identifier: MIT
"""NOR flash in memory as a block device of MicroPython's littlefs, with a power switch.

Erase makes a block 0xFF, programming clears bits. Every erase and every program counts; at the
one numbered `cut_at` the power fails: that operation is not done (CLEAN), or done for the first
or the second half of its bytes only (FIRST, SECOND). Nothing after it changes a bit.
"""

CLEAN, FIRST, SECOND = range(3)
BLOCK_BYTES = 4096
PAGE_BYTES = 256
_EIO = -5


class Flash:
    def __init__(self, blocks):
        self.blocks = blocks
        self.data = bytearray(b"\xff" * (blocks * BLOCK_BYTES))
        self.erases_of = [0] * blocks
        self.reset()

    def reset(self, data=None, cut_at=0, how=CLEAN):
        """Power on, with other contents if given, and cut at the cut_at-th operation from here
        (0: never)."""
        if data is not None:
            self.data[:] = data
        self.erases = 0
        self.programs = 0
        self.is_off = False
        self._cut_at = cut_at
        self._how = how

    @property
    def operations(self):
        return self.erases + self.programs

    def readblocks(self, block, buffer, offset=0):
        start = block * BLOCK_BYTES + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        if self.is_off:
            return _EIO
        self.programs += 1
        start = block * BLOCK_BYTES + offset
        first, last = self._reach(len(buffer))
        there = self.data[start + first : start + last]
        if there == b"\xff" * (last - first):
            self.data[start + first : start + last] = buffer[first:last]
        else:
            for k in range(first, last):
                self.data[start + k] &= buffer[k]
        return _EIO if self.is_off else 0

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            return self._erase(argument)
        return 0

    def _erase(self, block):
        if self.is_off:
            return _EIO
        self.erases += 1
        self.erases_of[block] += 1
        first, last = self._reach(BLOCK_BYTES)
        start = block * BLOCK_BYTES
        self.data[start + first : start + last] = b"\xff" * (last - first)
        return _EIO if self.is_off else 0

    def _reach(self, count):
        """Which bytes of this operation are done."""
        if self.operations != self._cut_at:
            return 0, count
        self.is_off = True
        if self._how == CLEAN:
            return 0, 0
        half = count // 2
        return (0, half) if self._how == FIRST else (half, count)
