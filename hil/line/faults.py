# SPDX-License-Identifier: MIT
"""Faults of a line as a table: what each kind does to a frame on its way to the controller.

A new kind is one function and one row. A wire kind edits a Frame; a value kind (frozen ...)
switches something on in the device itself while its window is open.
"""

from dataclasses import dataclass, field

from hil.line.rtu import with_crc


@dataclass(frozen=True)
class Fault:
    """One fault window: active for from_us <= t < to_us (None: until the end of the run).

    target is a device's name or unit, or the line's own name for everything on it. parameters
    are those of the kind (KINDS[kind].defaults), plus `probability` 0..1 per frame.
    """

    kind: str
    target: object
    from_us: int = 0
    to_us: int | None = None
    parameters: dict = field(default_factory=dict)


class Frame:
    """A frame about to be sent toward the controller.

    chunks are (gap_us before it, bytes); is_good says the controller can still use it.
    """

    __slots__ = ("chunks", "is_good")

    def __init__(self, data):
        self.chunks = [(0, data)]
        self.is_good = True

    @property
    def data(self):
        return b"".join(chunk for _, chunk in self.chunks)

    def replace(self, data):
        """Damage: other bytes in the place of the first chunk, nothing else of the frame."""
        self.chunks = [(self.chunks[0][0], bytes(data))] if self.chunks else []
        self.is_good = False


@dataclass(frozen=True)
class Kind:
    """apply(frame, parameters, rng) for a wire kind; begin/end(device, parameters) for values.

    is_deaf: the request does not reach the device either, so its own watchdog runs on.
    """

    apply: object = None
    begin: object = None
    end: object = None
    is_deaf: bool = False
    defaults: dict = field(default_factory=dict)


def _silence(frame, parameters, rng):
    frame.chunks = []
    frame.is_good = False


def _bad_crc(frame, parameters, rng):
    data = bytearray(frame.data)
    data[-1] ^= 0x55
    frame.replace(data)


def _delay(frame, parameters, rng):
    gap_us, data = frame.chunks[0]
    frame.chunks[0] = (gap_us + round(parameters["delay_ms"] * 1000), data)


def _exception(frame, parameters, rng):
    data = frame.data
    frame.replace(with_crc(bytes((data[0], data[1] & 0x7F | 0x80, parameters["code"]))))


def _wrong_unit(frame, parameters, rng):
    data = bytearray(frame.data[:-2])
    data[0] = (data[0] + parameters["offset"]) & 0xFF
    frame.replace(with_crc(data))


def _wrong_fc(frame, parameters, rng):
    data = bytearray(frame.data[:-2])
    data[1] ^= 0x07
    frame.replace(with_crc(data))


def _truncated(frame, parameters, rng):
    data = frame.data
    keep = parameters["keep"]
    frame.replace(data[: len(data) // 2 if keep is None else keep])


def _extra_bytes(frame, parameters, rng):
    frame.replace(frame.data + bytes(rng.randrange(256) for _ in range(parameters["count"])))


def _duplicate(frame, parameters, rng):
    frame.chunks.append((round(parameters["gap_ms"] * 1000), frame.data))


def _fragmented(frame, parameters, rng):
    size = parameters["size"]
    first_gap_us, data = frame.chunks[0][0], frame.data
    gap_us = round(parameters["gap_ms"] * 1000)
    pieces = [data[k : k + size] for k in range(0, len(data), size)]
    frame.chunks = [(gap_us if k else first_gap_us, piece) for k, piece in enumerate(pieces)]


def _garbage(frame, parameters, rng):
    frame.replace(bytes(rng.randrange(256) for _ in frame.data))


def _freeze(device, parameters):
    device.meter.frozen += 1


def _thaw(device, parameters):
    device.meter.frozen -= 1


def _gain(device, parameters):
    device.meter.gains.append(parameters["gain"])


def _gain_off(device, parameters):
    device.meter.gains.remove(parameters["gain"])


KINDS = {
    "no_response": Kind(_silence, is_deaf=True),
    "reply_lost": Kind(_silence),
    "bad_crc": Kind(_bad_crc),
    "delay": Kind(_delay, defaults={"delay_ms": 50}),
    "late_after_timeout": Kind(_delay, defaults={"delay_ms": 1500}),
    "exception": Kind(_exception, defaults={"code": 4}),
    "wrong_unit": Kind(_wrong_unit, defaults={"offset": 1}),
    "wrong_fc": Kind(_wrong_fc),
    "truncated": Kind(_truncated, defaults={"keep": None}),
    "extra_bytes": Kind(_extra_bytes, defaults={"count": 3}),
    "duplicate": Kind(_duplicate, defaults={"gap_ms": 5}),
    "fragmented": Kind(_fragmented, defaults={"size": 4, "gap_ms": 3}),
    "garbage": Kind(_garbage),
    "frozen": Kind(begin=_freeze, end=_thaw),
    "stuck_zero": Kind(begin=_gain, end=_gain_off, defaults={"gain": 0}),
    "sign_flip": Kind(begin=_gain, end=_gain_off, defaults={"gain": -1}),
    "scale_changed": Kind(begin=_gain, end=_gain_off, defaults={"gain": 0.1}),
}


def complete(fault):
    """The fault's Kind and its parameters with defaults; ValueError names what is wrong."""
    kind = KINDS.get(fault.kind)
    if kind is None:
        raise ValueError(f"fault kind {fault.kind!r}: one of {', '.join(KINDS)} wanted")
    accepted = set(kind.defaults) | ({"probability"} if kind.apply else set())
    unknown = sorted(set(fault.parameters) - accepted)
    if unknown:
        wanted = ", ".join(sorted(accepted)) or "none"
        raise ValueError(f"fault {fault.kind}: parameter {unknown[0]!r}: {wanted} wanted")
    if fault.to_us is not None and fault.to_us <= fault.from_us:
        raise ValueError(f"fault {fault.kind}: ends before it begins")
    return kind, {**kind.defaults, **fault.parameters}
