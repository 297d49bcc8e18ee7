# SPDX-License-Identifier: MIT
"""The files that tools read and write by Modbus functions 20 and 21 (docs/registers.md).

 1 configuration in force, JSON text
 2 staged configuration, to be committed
 3 event log, 16 bytes an event, oldest first: sequence u32 (of this boot; 0xFFFFFFFF: of one
   before), seconds since start u32, boot u16, code u16 (services/eventlog.py), value s32
 4 commissioning record, JSON text; the staged one from its first write to its commit
 5 identity, JSON text with spaces at its end

Record number k is bytes 2k and 2k + 1, the first one high; an odd file ends with a 0. Numbers are
big-endian. What is written is kept in memory until its commit, which checks length and CRC-32 and
then makes it the next generation in services/store.py: a cable pulled before changes nothing, a
power cut during it leaves the old or the new. The configuration in force is never written over.

Loaded and dropped by services.tools, which also says who may write. Nothing here is for the
control cycle: it allocates, and a commit waits for the flash.
Source: Modbus Application Protocol V1.1b3, 6.14 and 6.15.
"""

import binascii
import gc
import json
import struct
import sys

from firmline.core.units import const
from firmline.services.journal import BOOTS, EVENT_BYTES
from firmline.services.store import TwoGenerations
from firmline.version import VERSION

_CONFIG = const(1)
_STAGED = const(2)
_EVENTS = const(3)
_RECORD = const(4)
_IDENTITY = const(5)

_READ_FILE = const(20)
_REFERENCE = const(6)
_MOST_RECORD = const(9999)
_MOST_BYTES = const(16384)  # of a staged file
_ONE_PART = const(9)  # bytes of a request
_MOST_COUNT = const(124)  # registers that an answer has room for
_ECHO_BYTES = const(5)
_EVENT_BYTES = const(16)
_EARLIER = const(0xFFFFFFFF)
IDENTITY_BYTES = const(512)
CONFIG_SCHEMA = const(1)
RECORD_SCHEMA = const(1)
_MAP_VERSION = const(2)  # of services.register_map (a test compares)

_ILLEGAL_FUNCTION = const(1)
_ILLEGAL_ADDRESS = const(2)
_ILLEGAL_VALUE = const(3)
_DEVICE_FAILURE = const(4)
_MODES = ("start", "normal", "hold", "fallback", "tripped", "safe")  # of core.mode
_NOTHING = bytearray()  # never written to


class Files:
    """tools: what keeps the lengths of the files, and the generation in force. staged_file: 2
    or 4, 0 while nothing is."""

    def __init__(self, controller, hardware, tools):
        self._controller = controller
        self._hardware = hardware
        self._tools = tools
        self._config = TwoGenerations(hardware.files, "config", CONFIG_SCHEMA, _MOST_BYTES)
        self._record = TwoGenerations(hardware.files, "record", RECORD_SCHEMA, _MOST_BYTES)
        self._text = None  # a configuration that is not in the store
        self._identity = b""
        self._checksums = None  # of files 1 and 4
        self._earlier = b""  # the stored events of earlier boots ...
        self._earlier_at = -1  # ... when the journal had stored so many
        self._staged = _NOTHING
        self.staged_file = 0
        self._steps = self._open()

    def run(self, request, n):
        """A step of what services.tools is asked for: a file request of n bytes, else a commit, or
        the line for a person where there is no request. 0 where there are more steps, else what
        Pdu.reply takes, or the line. A step is what control can wait for; a commit is not."""
        if request is None:
            return self._status()
        for _ in self._steps:  # the next one alone
            return 0
        return self._answer(request, n) if n else self._commit(request) or -_ECHO_BYTES

    def _open(self):
        self._config.find()
        self._config.keep(self._tools.in_force)
        yield
        self._record.find()
        self._tools.lengths[3] = self._record.length
        yield

    def _answer(self, pdu, n):
        """Run function 20 or 21 of n bytes: -bytes of the reply in tx[1:], an exception code, or 0
        when `_steps` have to come first."""
        rx = pdu.rx
        if n < 9 or n != 2 + rx[2]:
            return _ILLEGAL_VALUE
        if rx[1] == _READ_FILE:
            return self._read_part(pdu, n)
        code = self._write_groups(rx, n, False) or self._write_groups(rx, n, True)
        if code:
            return code
        pdu.tx[2 : n + 1] = rx[2 : n + 1]
        return -n

    def _commit(self, request):
        """Registers file, length, CRC-32 high, low: 0, or an exception code."""
        file = request.get(0)
        n = request.get(1)
        crc = request.get(2) << 16 | request.get(3)
        if file != self.staged_file or not 0 < n <= len(self._staged):
            return _ILLEGAL_VALUE
        payload = memoryview(self._staged)[:n]
        if binascii.crc32(payload) & 0xFFFFFFFF != crc or not _is_object(self._staged, n):
            return _ILLEGAL_VALUE
        store = self._config if file == _STAGED else self._record
        try:
            store.write(payload, n)
        except OSError:
            return _DEVICE_FAILURE
        self._config.keep(self._tools.in_force)
        self._checksums = None
        self.forget()
        return 0

    def forget(self):
        """What was staged, and is not committed. It needs no memory for that."""
        self._staged = _NOTHING
        self.staged_file = self._tools.lengths[1] = 0
        self._tools.lengths[3] = self._record.length

    def _read_part(self, pdu, n):
        """One part a request: more of them would be more work than control can wait for."""
        if n != _ONE_PART:
            return _ILLEGAL_VALUE
        kind, file, record, count = struct.unpack_from(">BHHH", pdu.rx, 3)
        if kind != _REFERENCE or record > _MOST_RECORD:
            return _ILLEGAL_ADDRESS
        if not 1 <= count <= _MOST_COUNT:
            return _ILLEGAL_VALUE
        if self._is_hidden(file) and not self._tools.may_install(pdu):
            return _ILLEGAL_FUNCTION
        self._steps = self._steps_before(file)
        for _ in self._steps:
            return 0
        code = self._read(file, 2 * record, memoryview(pdu.tx)[5 : 5 + 2 * count])
        pdu.tx[2] = 2 + 2 * count
        pdu.tx[3] = 1 + 2 * count
        pdu.tx[4] = _REFERENCE
        return code or -4 - 2 * count

    def _steps_before(self, file):
        """What reading a file needs, once while this is loaded; each step a few openings of files
        at most."""
        if file == _IDENTITY and not self._checksums:
            config = self._config.crc32() if self._tools.in_force else self._crc32_by_hand()
            yield
            self._checksums = config, self._record.crc32()
            yield
        journal = self._controller.journal
        if file == _EVENTS and journal and journal.written != self._earlier_at:
            self._earlier_at = journal.written
            self._earlier = journal.stored()
            self._tools.earlier = len(self._earlier) // EVENT_BYTES
            yield

    def _is_hidden(self, file):
        """What holds, or may hold, the password of a network."""
        return file == _STAGED or file == _CONFIG and self._tools.has_secret

    def _read(self, file, offset, buffer):
        """Fill the buffer from there on; 0 or an exception code."""
        n = len(buffer)
        buffer[n - 1] = 0  # what an odd file ends with
        if file == _CONFIG:
            got = self._read_config(offset, buffer)
        elif file == self.staged_file:
            got = _copy(self._staged, offset, buffer)
        elif file == _EVENTS:
            got = self._read_events(offset, buffer)
        elif file == _RECORD:
            got = self._record.read_at(offset, buffer, n)
        elif file == _IDENTITY:
            if offset == 0 or not self._identity:
                self._identity = self._make_identity()
            got = _copy(self._identity, offset, buffer)
        else:
            return _ILLEGAL_ADDRESS
        return 0 if got > 0 and got + 1 >= n else _ILLEGAL_ADDRESS

    def _read_config(self, offset, buffer):
        if self._tools.in_force:
            return self._config.read_at(offset, buffer, len(buffer))
        return _copy(self._text_by_hand(), offset, buffer)

    def _text_by_hand(self):
        """config.json, b"" for none."""
        if self._text is None:
            try:
                self._text = self._hardware.read_config().encode()
            except (OSError, ValueError):  # ValueError: not a text
                return b""
        return self._text

    def _crc32_by_hand(self):
        return binascii.crc32(self._text_by_hand()) & 0xFFFFFFFF

    def _read_events(self, offset, buffer):
        """Event by event: the part that is asked for is copied."""
        got = 0
        for event in self._events_from(offset // _EVENT_BYTES):
            skip = offset % _EVENT_BYTES if got == 0 else 0
            part = min(_EVENT_BYTES - skip, len(buffer) - got)
            buffer[got : got + part] = memoryview(event)[skip : skip + part]
            got += part
            if got == len(buffer):
                break
        return got

    def _events_from(self, number):
        """From the number-th on, 16 bytes each: those of earlier boots, then of this one."""
        one = bytearray(_EVENT_BYTES)
        events = self._controller.events
        journal = self._controller.journal
        boot = journal.counts[BOOTS] & 0xFFFF if journal else 0
        earlier = len(self._earlier) // EVENT_BYTES
        for k in range(number, earlier):
            row = struct.unpack_from("<HHIi", self._earlier, k * EVENT_BYTES)
            struct.pack_into(">IIHHi", one, 0, _EARLIER, row[2], row[0], row[1], row[3])
            yield one
        number = max(0, number - earlier)
        for sequence, time_s, code, value in events.since(events.dropped + number):
            struct.pack_into(">IIHHi", one, 0, sequence, time_s, boot, code, value)
            yield one

    def _write_groups(self, rx, n, is_real):
        """Check all, or write all: a request is taken or refused as one. 0, or the code."""
        at = 3
        while at <= n:
            if at + 7 > n:
                return _ILLEGAL_VALUE
            kind, file, record, count = struct.unpack_from(">BHHH", rx, at)
            at += 7 + 2 * count
            if kind != _REFERENCE or record > _MOST_RECORD or file not in (_STAGED, _RECORD):
                return _ILLEGAL_ADDRESS
            if count < 1 or at > n + 1 or 2 * (record + count) > _MOST_BYTES:
                return _ILLEGAL_VALUE
            if is_real:
                self._stage(file, 2 * record, memoryview(rx)[at - 2 * count : at])
        return 0

    def _stage(self, file, offset, data):
        """One file is staged at a time: writing another one forgets it."""
        if file != self.staged_file:
            self.forget()
            self._staged = bytearray()
            self.staged_file = file
        end = offset + len(data)
        if end > len(self._staged):
            self._staged.extend(bytes(end - len(self._staged)))
        self._staged[offset:end] = data
        self._tools.lengths[file - 1] = len(self._staged)

    def _status(self):
        """One line for a person at the console."""
        controller = self._controller
        if hasattr(controller, "cause"):
            text = "safe mode: " + controller.cause
        else:
            text = "mode %s, import limit %d W, service %d" % (
                _MODES[controller.cycle.mode],
                controller.cycle.limits.high_w[0],
                self._hardware.is_service(),
            )
        return ("Firmline %s: %s\r\n" % (VERSION, text)).encode()

    def _make_identity(self):
        hardware = self._hardware
        tools = self._tools
        journal = self._controller.journal
        identity = {
            "model": hardware.model,
            "serial": hardware.serial,
            "firmware": VERSION,
            "micropython": ".".join(str(part) for part in sys.implementation.version[:3]),
            "map": _MAP_VERSION,
            "reset_cause": self._controller.start_cause,
            "boots": journal.counts[BOOTS] if journal else 0,
            "service": bool(hardware.is_service()),
            "schema": CONFIG_SCHEMA,
            "config_generation": tools.in_force,
            "config_crc32": self._checksums[0],
            "record_crc32": self._checksums[1],
            "failures": tools.failures,
            "free": gc.mem_free() if hasattr(gc, "mem_free") else 0,
            "cause": "",
        }
        room = IDENTITY_BYTES - len(json.dumps(identity))
        cause = hardware.last_cause()[:room]
        over = len(json.dumps(cause)) - 2 - room
        while over > 0:  # quotes take two characters each
            cause = cause[: -(over + 1) // 2]
            over = len(json.dumps(cause)) - 2 - room
        identity["cause"] = cause
        text = json.dumps(identity).encode()
        return text + b" " * (IDENTITY_BYTES - len(text))


def _copy(data, offset, buffer):
    part = memoryview(data)[offset : offset + len(buffer)]
    buffer[: len(part)] = part
    return len(part)


def _is_object(data, n):
    """From { to }: not a check of the configuration, only of what cannot be one."""
    space = b" \t\r\n"
    first = 0
    last = n - 1
    while first < last and data[first] in space:
        first += 1
    while first < last and data[last] in space:
        last -= 1
    return data[first] == 123 and data[last] == 125
