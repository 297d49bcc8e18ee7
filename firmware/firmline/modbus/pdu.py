# SPDX-License-Identifier: MIT
"""What a Modbus request asks and what is answered, without the framing around it.

One Pdu serves one server (server.py: RTU, tcp.py, ascii.py), whose two buffers it shares: the
function code is at index 1 of either, the unit at index 0 belongs to the framing. It never blocks,
allocates or raises. What the registers mean is decided by `registers`:
    read(address, count, reply) -> exception code or 0; it calls reply.put(k, u16) for each k
    write(address, count, request) -> exception code or 0; it calls request.get(k) -> u16
A write must be refused as a whole or applied as a whole: that is up to `registers`.

Functions: 3 and 4 read, 6 and 16 write; 20 and 21 (file records) where `files` is set:
    answer(function, pdu, n) -> exception code, or 0 after setting `later`
What takes long is answered later: who does it sets `later` to -1, and to what `reply` returns
once it is done. rx stays until then, or the server gives it up and sets `later` to 0.
Source: Modbus Application Protocol V1.1b3.
"""

from firmline.core.units import const

ILLEGAL_FUNCTION = const(1)
ILLEGAL_ADDRESS = const(2)
ILLEGAL_VALUE = const(3)

READ_HOLDING = const(3)
READ_INPUT = const(4)
WRITE_SINGLE = const(6)
WRITE_MULTIPLE = const(16)
READ_FILE = const(20)
WRITE_FILE = const(21)

MAY_LOOSEN = const(1)  # rights: limits may also be raised this way, up to the ceiling
MAY_INSTALL = const(2)  # configuration and restart need no service jumper: physical access

_MAX_READ = const(125)
_MAX_WRITE = const(123)


class Pdu:
    """rx and tx: at least 254 bytes, owned by the server. rights: MAY_... bits."""

    def __init__(self, registers, rx, tx, rights=MAY_LOOSEN):
        self._registers = registers
        self._data_at = 0
        self.rx = rx
        self.tx = tx
        self.rights = rights
        self.files = None
        self.later = 0

    def answer(self, n):
        """Run the request of n >= 1 bytes in rx[1:]; returns how many bytes tx[1:] now has, 0:
        they come later."""
        self.later = 0
        function = self.rx[1]
        if function == READ_HOLDING or function == READ_INPUT:
            code = self._read(n)
        elif function == WRITE_MULTIPLE:
            code = self._write_multiple(n)
        elif function == WRITE_SINGLE:
            code = self._write_single(n)
        elif self.files and (function == READ_FILE or function == WRITE_FILE):
            code = self.files.answer(function, self, n)
        else:
            code = ILLEGAL_FUNCTION
        return 0 if self.later and code <= 0 else self.reply(code)

    def reply(self, code):
        """Head of the reply: of -code bytes in all, or with that exception code; its bytes."""
        self.tx[1] = self.rx[1]
        if code <= 0:
            return -code
        self.tx[1] |= 0x80
        self.tx[2] = code
        return 2

    def put(self, k, value):
        """For registers.read: the k-th uint16 of the reply."""
        tx = self.tx
        tx[3 + 2 * k] = (value >> 8) & 0xFF
        tx[4 + 2 * k] = value & 0xFF

    def get(self, k):
        """For registers.write: the k-th uint16 of the request."""
        at = self._data_at + 2 * k
        return (self.rx[at] << 8) | self.rx[at + 1]

    # These return -(bytes of the reply), or an exception code.

    def _read(self, n):
        self._data_at = 4
        count = self.get(0)
        if n != 5 or count < 1 or count > _MAX_READ:
            return ILLEGAL_VALUE
        code = self._registers.read(self.get(-1), count, self)
        self.tx[2] = 2 * count & 0xFF
        return code if code else -2 - 2 * count

    def _write_single(self, n):
        self._data_at = 4
        if n != 5:
            return ILLEGAL_VALUE
        return self._echo(self._registers.write(self.get(-1), 1, self))

    def _write_multiple(self, n):
        self._data_at = 4
        address = self.get(-1)
        count = self.get(0)
        if count < 1 or count > _MAX_WRITE or self.rx[6] != 2 * count or n != 6 + 2 * count:
            return ILLEGAL_VALUE
        self._data_at = 7
        return self._echo(self._registers.write(address, count, self))

    def _echo(self, code):
        for k in range(2, 6):
            self.tx[k] = self.rx[k]
        return code if code else -5
