# SPDX-License-Identifier: MIT
"""An emulated half-duplex serial line: baud pacing, turnaround, collisions, faults, counters.

Knows nothing of how bytes get into and out of the controller: `send` takes what it transmitted,
`on_receive` hands it what arrived. So the same object serves the in-process bench and, driven
by the host's clock, a pty or a real port.
"""

from random import Random

from hil.line.faults import Frame, complete

BITS_PER_BYTE_US = 10_000_000  # 8N1: start, 8 data, stop; times bytes, over baud, is microseconds
_NEVER_US = 1 << 62


class Wire:
    """One pair of wires between the controller and the bench. Base of Line and MasterLine.

    Times are microseconds of `world`. bytes_down left the controller, bytes_up went toward it;
    busy_us adds up both. A transmission is [begin, end); two at once spoil each other. `log`,
    when set to a list, takes (t_us, '>' or '<', bytes): '>' at the first bit on the wire, '<'
    when the last byte has reached the controller. `on_depart(t_us, bytes)` announces a chunk that
    begins to reach it at t_us, for a target that paces the bytes itself. `last_good` maps a unit
    to the time its last undamaged, non-exception frame finished arriving.
    """

    def __init__(self, world, baud, latency_us=0, seed=0, name="bus0"):
        if baud <= 0 or latency_us < 0:
            raise ValueError(f"baud {baud}, latency_us {latency_us}: positive values wanted")
        self.world = world
        self.baud = baud
        self.latency_us = latency_us
        self.name = name
        self.on_receive = None
        self.on_depart = None
        self.log = None
        self.last_good = {}
        self.busy_us = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self.frames_up = 0
        self.frames_down = 0
        self.collisions = 0
        self.tx_free_us = 0
        self._burst_us = _NEVER_US  # when the controller's uninterrupted transmission began
        self._spoiled_us = -1  # controller frames ending up to here met a collision
        self._flights = []  # frames toward the controller: [begin_us, end_us, is_spoiled]
        self._active = {}  # unit -> [(kind, parameters)] of the open wire-fault windows
        self._rng = Random(f"{seed} {name}")

    def duration_us(self, count):
        """Time `count` bytes occupy the wire, rounded down to a microsecond."""
        return count * BITS_PER_BYTE_US // self.baud

    def send(self, data, t_us):
        """The controller puts one frame on the wire at t_us; it queues behind its own bytes."""
        if not data:
            return
        if t_us >= self.tx_free_us:
            self._burst_us = t_us
        else:
            t_us = self.tx_free_us
        count = len(data)
        duration_us = count * BITS_PER_BYTE_US // self.baud
        end_us = t_us + duration_us
        self.tx_free_us = end_us
        self.busy_us += duration_us
        self.bytes_down += count
        self.frames_down += 1
        if self.log is not None:
            self.log.append((t_us, ">", bytes(data)))
        self.world.at(end_us + self.latency_us, self._arrive, bytes(data), t_us, end_us)

    def tx_done(self, t_us):
        """Has the controller's last byte left its port at t_us?"""
        return t_us >= self.tx_free_us

    def add_fault(self, fault):
        """Open and close the fault's window by itself. Attach the devices first."""
        kind, parameters = complete(fault)
        targets = self._targets(fault.target)
        if not targets:
            raise ValueError(f"fault {fault.kind}: target {fault.target!r} is not on {self.name}")
        for unit, device in targets:
            if kind.begin is not None and not hasattr(device, "meter"):
                raise ValueError(f"fault {fault.kind}: {fault.target!r} measures nothing")
            if fault.from_us <= self.world.now_us:
                self._open(unit, device, kind, parameters)
            else:
                self.world.at(fault.from_us, self._open, unit, device, kind, parameters)
            if fault.to_us is not None:
                self.world.at(fault.to_us, self._close, unit, device, kind, parameters)

    def _open(self, unit, device, kind, parameters):
        if kind.begin is not None:
            kind.begin(device, parameters)
        else:
            self._active.setdefault(unit, []).append((kind, parameters))

    def _close(self, unit, device, kind, parameters):
        if kind.begin is not None:
            kind.end(device, parameters)
            return
        self._active[unit].remove((kind, parameters))
        if not self._active[unit]:
            del self._active[unit]

    def _hits(self, unit):
        """The wire faults that strike this frame of `unit`; draws their probability."""
        hits = []
        for kind, parameters in self._active.get(unit, ()):
            probability = parameters.get("probability", 1)
            if probability >= 1 or self._rng.random() < probability:
                hits.append((kind, parameters))
        return hits

    def _is_clear(self, begin_us, end_us):
        """Was the wire free of other bytes while a controller frame used it? Times at the far
        end. Spoils what it met."""
        clear = end_us > self._spoiled_us
        for flight in self._flights:
            if flight[0] < end_us and flight[1] > begin_us:
                flight[2] = True
                clear = False
        return clear

    def _depart(self, data, begin_us, unit, is_good):
        """Put a chunk toward the controller on the wire at begin_us."""
        end_us = begin_us + len(data) * BITS_PER_BYTE_US // self.baud
        flight = [begin_us, end_us, False]
        self._flights.append(flight)
        if self.on_depart is not None:
            self.on_depart(begin_us + self.latency_us, data)
        self.world.at(end_us + self.latency_us, self._deliver, data, unit, is_good, flight)
        return end_us

    def _depart_faulty(self, data, begin_us, unit, hits):
        frame = Frame(data)
        for kind, parameters in hits:
            if frame.chunks:
                kind.apply(frame, parameters, self._rng)
        last = len(frame.chunks) - 1
        for k, (gap_us, chunk) in enumerate(frame.chunks):
            begin_us = self._depart(chunk, begin_us + gap_us, unit, frame.is_good and k == last)

    def _deliver(self, data, unit, is_good, flight):
        flights = self._flights
        flights.remove(flight)
        begin_us, end_us, spoiled = flight
        if flights:
            for other in flights:
                if other[0] < end_us and other[1] > begin_us:
                    other[2] = spoiled = True
        latency_us = self.latency_us
        if self.tx_free_us + latency_us > begin_us and self._burst_us + latency_us < end_us:
            spoiled = True
            self._spoiled_us = self.tx_free_us + latency_us
        self.busy_us += end_us - begin_us
        self.bytes_up += len(data)
        self.frames_up += 1
        if spoiled:
            self.collisions += 1
            data = bytes(byte ^ self._rng.randrange(1, 256) for byte in data)
        elif is_good:
            self.last_good[unit] = self.world.now_us
        if self.log is not None:
            self.log.append((self.world.now_us, "<", data))
        if self.on_receive is not None:
            self.on_receive(self.world.now_us, data)


class Line(Wire):
    """The controller is the master; emulated devices answer. One `send` call is one frame."""

    def __init__(self, world, baud, latency_us=0, seed=0, name="bus0"):
        super().__init__(world, baud, latency_us, seed, name)
        self._devices = {}

    def attach(self, device):
        if device.unit in self._devices:
            raise ValueError(f"unit {device.unit} is on {self.name} already")
        self._devices[device.unit] = device

    def _targets(self, target):
        return [
            (unit, device)
            for unit, device in self._devices.items()
            if target in (self.name, unit, getattr(device, "name", None))
        ]

    def _arrive(self, data, begin_us, end_us):
        """A frame of the controller has reached the devices."""
        now_us = self.world.now_us
        device = self._devices.get(data[0])
        if self._flights or end_us + self.latency_us <= self._spoiled_us:
            if not self._is_clear(begin_us + self.latency_us, now_us):
                self.collisions += 1
                return
        if device is None:
            if data[0] == 0:
                self._broadcast(data, now_us)
            return
        if self._active:
            self._answer_faulty(device, data, now_us)
            return
        reply = device.handle(data, now_us)
        if reply is not None:
            begin_us = now_us + device.response_delay_us
            self._depart(reply, begin_us, device.unit, reply[1] < 0x80)

    def _answer_faulty(self, device, data, now_us):
        unit = device.unit
        hits = self._hits(unit)
        for kind, _ in hits:
            if kind.is_deaf:
                return
        reply = device.handle(data, now_us)
        if reply is not None:
            begin_us = now_us + device.response_delay_us
            if hits:
                self._depart_faulty(reply, begin_us, unit, hits)
            else:
                self._depart(reply, begin_us, unit, reply[1] < 0x80)

    def _broadcast(self, data, now_us):
        for unit, device in self._devices.items():
            if not any(kind.is_deaf for kind, _ in self._hits(unit)):
                device.handle(data, now_us)


class MasterLine(Wire):
    """The bench is the master (a head-end) and the controller the device.

    `transmit` sends toward the controller; `on_arrive(t_us, data)` gets what the controller
    sent. A deaf fault (no_response) silences both directions. Fault targets: the line's name.
    """

    def __init__(self, world, baud, latency_us=0, seed=0, name="head_end"):
        super().__init__(world, baud, latency_us, seed, name)
        self.on_arrive = None
        self._bench_free_us = 0

    def _targets(self, target):
        return [(0, None)] if target == self.name else []

    def transmit(self, data, t_us):
        """The bench puts one frame on the wire at t_us; returns when its last byte arrives."""
        begin_us = max(t_us, self._bench_free_us)
        self._bench_free_us = begin_us + self.duration_us(len(data))
        hits = self._hits(0) if self._active else ()
        if hits:
            self._depart_faulty(data, begin_us, 0, hits)
        else:
            self._depart(data, begin_us, 0, True)
        return self._bench_free_us + self.latency_us

    def _arrive(self, data, begin_us, end_us):
        if any(kind.is_deaf for kind, _ in self._hits(0)):
            return
        if not self._is_clear(begin_us + self.latency_us, self.world.now_us):
            self.collisions += 1
            data = bytes(byte ^ self._rng.randrange(1, 256) for byte in data)
        if self.on_arrive is not None:
            self.on_arrive(self.world.now_us, data)
