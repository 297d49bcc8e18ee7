# SPDX-License-Identifier: MIT
"""An emulated head-end: a Modbus RTU master that beats, grants limits and reads the status.

It follows a script and can fall silent, which is what the controller has to survive. Register
addresses come in as a HeadEndMap, built from the firmware's own table by the caller.
"""

from collections import deque
from dataclasses import dataclass, field
from struct import unpack_from

from hil.line.rtu import is_intact, read_request, write_request, write_single_request

S_US = 1_000_000
# kind -> (registers, struct format)
KINDS = {"u16": (1, ">H"), "i16": (1, ">h"), "u32": (2, ">I"), "i32": (2, ">i")}


@dataclass(frozen=True)
class HeadEndMap:
    """Where things are in the controller's server, PDU addresses.

    heartbeat: a uint16 that is written. write: first register of one contiguous block whose
    fields, in order, are write_fields: (name, kind) with the names import_w, export_w and
    duration_s. status: first register and count of the block that is polled; status_fields maps
    a name to (offset in registers, kind).
    """

    heartbeat: int
    write: int
    write_fields: tuple = (("import_w", "i32"), ("export_w", "i32"), ("duration_s", "u16"))
    status: int = 0
    status_count: int = 0
    status_fields: dict = field(default_factory=dict)
    status_function: int = 3


@dataclass(frozen=True)
class Grant:
    """Limits to write at at_s (s): W >= 0, None leaves that direction as it is."""

    at_s: float
    import_w: int | None
    export_w: int | None
    duration_s: int


@dataclass(frozen=True)
class Outcome:
    """What became of one grant. error: None when acknowledged, else timeout, silent, malformed
    or exception N. The values are those that were on the wire (None: "no limit" was written).
    """

    at_us: int
    done_us: int
    import_w: int | None
    export_w: int | None
    duration_s: int
    error: str | None


class HeadEnd:
    """Runs a script on a MasterLine; takes over its `on_arrive`.

    script: heartbeat_s, status_s (0 or None: none), write (objects like Grant), silent (pairs
    of from_s, to_s in which it says nothing). A grant is tried `attempts` times.
    `outcomes` lists every grant; `status` is the last status read, `status_us` when it came,
    `on_status(t_us, status)` an optional listener.
    """

    def __init__(self, world, line, unit, addresses, script, timeout_ms=500, attempts=3):
        self.world = world
        self.line = line
        self.unit = unit
        self.addresses = addresses
        self.outcomes = []
        self.status = {}
        self.status_us = None
        self.on_status = None
        self.on_done = None  # listener (t_us, kind, values, error) for every ended request
        self.heartbeats = 0  # acknowledged
        self.timeouts = 0
        self.exceptions = 0
        self.malformed = 0
        self._attempts = attempts
        self._timeout_us = round(timeout_ms * 1000)
        self._gap_us = max(line.duration_us(4), 2000)
        self._silent = [(round(a * S_US), round(b * S_US)) for a, b in script.silent]
        self._beat = 0
        self._held = {"import_w": (None, 0), "export_w": (None, 0)}  # value, until_us
        self._jobs = deque()  # (kind, frame, grant, attempt)
        self._job = None
        self._serial = 0  # of the transaction, so that old timers are ignored
        self._buffer = bytearray()
        self._expected = 0
        line.on_arrive = self._arrive
        for period_s, due in ((script.heartbeat_s, self._beat_due), (script.status_s, self._poll)):
            if period_s:
                world.at(world.now_us, due, round(period_s * S_US))
        for grant in script.write:
            world.at(round(grant.at_s * S_US), self._grant_due, grant)

    def is_silent(self, t_us):
        return any(from_us <= t_us < to_us for from_us, to_us in self._silent)

    @property
    def acknowledged(self):
        """The outcomes that the controller has taken."""
        return [outcome for outcome in self.outcomes if outcome.error is None]

    def _beat_due(self, period_us):
        self.world.at(self.world.now_us + period_us, self._beat_due, period_us)
        self._beat = (self._beat + 1) & 0xFFFF
        frame = write_single_request(self.unit, self.addresses.heartbeat, self._beat)
        self._enqueue("heartbeat", frame)

    def _poll(self, period_us):
        self.world.at(self.world.now_us + period_us, self._poll, period_us)
        where = self.addresses
        if where.status_count:
            frame = read_request(
                self.unit, where.status_function, where.status, where.status_count
            )
            self._enqueue("status", frame)

    def _grant_due(self, grant):
        now_us = self.world.now_us
        values = {"duration_s": grant.duration_s}
        for name in ("import_w", "export_w"):
            value = getattr(grant, name)
            held, until_us = self._held[name]
            if value is None and now_us < until_us:
                value = held
            elif value is not None:
                self._held[name] = (value, now_us + grant.duration_s * S_US)
            values[name] = value
        registers = []
        for name, kind in self.addresses.write_fields:
            registers += _registers(values[name], kind)
        frame = write_request(self.unit, self.addresses.write, registers)
        self._enqueue("grant", frame, (now_us, values))

    def _enqueue(self, kind, frame, grant=None):
        if kind != "grant" and any(job[0] == kind for job in self._jobs):
            return
        self._jobs.append((kind, frame, grant, 1))
        if self._job is None:
            self._begin()

    def _begin(self):
        """Start the next job; called when the line is free."""
        while self._jobs:
            job = self._jobs.popleft()
            if self.is_silent(self.world.now_us):
                self._report(job, "silent")
                continue
            self._job = job
            self._serial += 1
            self._buffer.clear()
            kind, frame = job[0], job[1]
            self._expected = 8 if kind != "status" else 5 + 2 * self.addresses.status_count
            end_us = self.line.transmit(frame, self.world.now_us)
            self.world.at(end_us + self._timeout_us, self._give_up, self._serial)
            return

    def _finish(self, error):
        job, self._job = self._job, None
        kind, frame, grant, attempt = job
        self._serial += 1
        if error in ("timeout", "malformed") and kind == "grant" and attempt < self._attempts:
            self._jobs.appendleft((kind, frame, grant, attempt + 1))
        else:
            self._report(job, error)
        self._job = ("gap",)
        self.world.at(self.world.now_us + self._gap_us, self._end_gap)

    def _end_gap(self):
        self._job = None
        self._begin()

    def _report(self, job, error):
        kind, _, grant, _ = job
        if self.on_done is not None:
            values = grant[1] if grant else None
            self.on_done(self.world.now_us, kind, values, error)
        if kind == "heartbeat" and error is None:
            self.heartbeats += 1
        if kind == "grant":
            at_us, values = grant
            self.outcomes.append(Outcome(at_us, self.world.now_us, error=error, **values))

    def _give_up(self, serial):
        if serial == self._serial:
            self.timeouts += 1
            self._finish("timeout")

    def _arrive(self, t_us, data):
        """Bytes of the controller; what comes outside a transaction is dropped."""
        if self._job is None or len(self._job) == 1:
            return
        buffer = self._buffer
        buffer += data
        if len(buffer) >= 2 and buffer[1] & 0x80:
            self._expected = 5
        if len(buffer) < self._expected:
            return
        request = self._job[1]
        if not is_intact(buffer) or buffer[0] != self.unit or buffer[1] & 0x7F != request[1]:
            self.malformed += 1
            self._finish("malformed")
        elif buffer[1] & 0x80:
            self.exceptions += 1
            self._finish(f"exception {buffer[2]}")
        elif self._job[0] == "status":
            self._take_status(t_us)
            self._finish(None)
        else:
            is_echo = buffer[:6] == request[:6]
            self.malformed += not is_echo
            self._finish(None if is_echo else "malformed")

    def _take_status(self, t_us):
        self.status = {
            name: unpack_from(KINDS[kind][1], self._buffer, 3 + 2 * offset)[0]
            for name, (offset, kind) in self.addresses.status_fields.items()
        }
        self.status_us = t_us
        if self.on_status is not None:
            self.on_status(t_us, self.status)


def _registers(value, kind):
    """uint16 registers of a value, high word first; None is all ones (-1 when signed)."""
    size = KINDS[kind][0]
    raw = (1 << 16 * size) - 1 if value is None else value & ((1 << 16 * size) - 1)
    if value is not None and not -(1 << 16 * size - 1) <= value <= (1 << 16 * size) - 1:
        raise ValueError(f"{value} does not fit {kind}")
    return [raw >> 16, raw & 0xFFFF] if size == 2 else [raw]
