# SPDX-License-Identifier: MIT
"""A SunSpec device: 'SunS', the common model, its own models, the end marker; any sub-range.

Subclasses say which models they have, which points can be written and what a write does.
"""

from hil.line.registers import RegisterDevice
from hil.line.rtu import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE
from hil.line.sunspec_models import layout, length


class SunSpecChain(RegisterDevice):
    """Image of a chain of models, function 3 to read and 16 or 6 to write.

    WRITABLE maps (model, point) to the lowest and highest raw value accepted (None: any). A
    write is all or nothing: exception 2 when a register of it cannot be written, 3 for a value.
    `start` maps a model to the register address of its ID.
    """

    WRITABLE = {}

    def __init__(self, world, unit, models, name=None, response_delay_ms=20, base=40000):
        super().__init__(world, unit, name, response_delay_ms)
        self.base = base
        self.start = {}
        self._points = {}  # (model, point) -> (byte offset in the image, bytes, codec)
        self._image = bytearray(b"SunS")
        for model in (1, *models):
            self._append(model)
        self._image += b"\xff\xff\x00\x00"
        self._writable = {}  # register address -> (model, point)
        for key in self.WRITABLE:
            at, size, _ = self._points[key]
            for k in range(0, size, 2):
                self._writable[base + (at + k) // 2] = key
        for point, text in (("Mn", "Firmline"), ("Md", "bench"), ("Vr", "1"), ("SN", self.name)):
            self.put(1, point, text.encode()[:32])
        self.put(1, "DA", unit)

    def _append(self, model):
        image = self._image
        begin = len(image)
        self.start[model] = self.base + begin // 2
        image += model.to_bytes(2, "big") + length(model).to_bytes(2, "big")
        for point, offset, size, codec, absent in layout(model):
            self._points[model, point] = (begin + 2 * offset, 2 * size, codec)
            image += absent

    def put(self, model, point, value):
        """Set a point's raw value; integers saturate at the point's range, as devices do."""
        at, size, codec = self._points[model, point]
        if codec.format in (">h", ">i"):
            top = 1 << (8 * size - 1)
            value = min(max(value, 1 - top), top - 1)
        elif codec.format in (">H", ">I", ">Q"):
            value = min(max(value, 0), (1 << 8 * size) - 1)
        codec.pack_into(self._image, at, value)

    def get(self, model, point):
        """A point's raw value."""
        at, _, codec = self._points[model, point]
        return codec.unpack_from(self._image, at)[0]

    def refresh(self, t_us):
        """Bring measured points up to date before a read; False keeps the device silent."""
        return True

    def written(self, points, t_us):
        """Act on the set of points just written."""

    def read(self, function, address, count, t_us):
        if function != 3:
            return ILLEGAL_FUNCTION
        begin = 2 * (address - self.base)
        if begin < 0 or begin + 2 * count > len(self._image):
            return ILLEGAL_ADDRESS
        if not self.refresh(t_us):
            return None
        return self._image[begin : begin + 2 * count]

    def write(self, address, values, t_us):
        points = set()
        for k in range(len(values)):
            key = self._writable.get(address + k)
            if key is None:
                return ILLEGAL_ADDRESS
            points.add(key)
        begin = 2 * (address - self.base)
        span = slice(begin, begin + 2 * len(values))
        before = self._image[span]
        self._image[span] = b"".join(value.to_bytes(2, "big") for value in values)
        for key in points:
            accepted = self.WRITABLE[key]
            if accepted and not accepted[0] <= self.get(*key) <= accepted[1]:
                self._image[span] = before
                return ILLEGAL_VALUE
        self.written({point for _, point in points}, t_us)
        return 0
