# SPDX-License-Identifier: MIT
"""The registers of the controller's own Modbus map, as modbus.server reads and writes them.

Built once from the table in services.register_map, which is not needed afterwards. Called with
PDU addresses. Reading and writing never allocate, never raise.
Measured SunSpec points read "not implemented" while the sample is not usable: a client must not
take an old value for a live one.
"""

from array import array

from firmline.core.units import clamp, const
from firmline.modbus.words import put_map
from firmline.services.headend import NONE
from firmline.version import VERSION

# Of services.register_map, but folded into the code (a test compares)
_BASE = const(40000)
_REGISTERS = const(319)
_HEARTBEAT = const(40225)
_DYNAMIC = const(40226)
_EMERGENCY = const(40231)
_WRITABLE_END = const(40236)
_COMMIT = const(40312)
_RESTART = const(40316)
_AMPS = const(7)
_VOLTS = const(8)
_WATTS = const(9)
_AMPS_SUM = const(10)
_VOLTS_MEAN = const(11)
_EVENTS = const(12)
_T_HEAD_END = const(2)
_T_METER_IS_USABLE = const(4)
_T_HEARTBEAT = const(29)
_T_DYNAMIC_IMPORT_W = const(30)
_T_DYNAMIC_EXPORT_W = const(31)
_T_DYNAMIC_LEFT_S = const(32)
_T_EMERGENCY_IMPORT_W = const(33)
_T_EMERGENCY_EXPORT_W = const(34)
_T_EMERGENCY_LEFT_S = const(35)

_LIMITS = const(5)
_TOOLS_AT = const(301)  # from boot_count on
_MAY_LOOSEN = const(1)  # of modbus.pdu
_ABSENT_16 = const(0x8000)
_MISSING_SENSOR = const(0x80)
_SUMMAND = const(0x0FFFFFFF)  # three of them stay below 2**30
_ILLEGAL_ADDRESS = const(2)
_ILLEGAL_VALUE = const(3)


class Registers:
    """`telemetry`: array('i') of TELEMETRY_SIZE, owned by the app. `site`: that part of the
    configuration; the service rating sets the scale factors, so that twice the rating fits.
    `unit`: the Modbus address. Texts: ASCII, cut to their field. `tools`: a services.tools.Tools
    once there is one; until then nothing of it can be written."""

    def __init__(self, telemetry, head_end, site, unit=1, model="PCS controller", serial=""):
        from firmline.services import register_map  # dropped once all is built

        self._telemetry = telemetry
        self._head_end = head_end
        self._phases = site["phases"]
        amps_exponent, watts_exponent = register_map.scale_factors(site)
        self._amps_divisor = 10 ** (amps_exponent + 3)
        self._watts_divisor = 10**watts_exponent
        self._kind = bytearray(_REGISTERS)
        self._image = array("H", [0] * _REGISTERS)  # a constant, or an index of the telemetry
        self._measured_from = self._measured_to = 0  # where the kinds are that need arithmetic
        self._heartbeat = 0
        self.tools = None
        self._import_w = NONE  # what a write asks for, until it is taken or refused
        self._export_w = NONE
        self._duration_s = 0
        texts = ("Firmline", model, "", VERSION, serial)
        settings = (amps_exponent, -1, watts_exponent, unit)
        register_map.fill(self._kind, self._image, self._image, texts, settings)
        for at in range(_REGISTERS):
            if self._is_measured(at):
                self._measured_from = self._measured_from or at
                self._measured_to = at + 1
        self.publish()

    def publish(self):
        """Copy the head-end's values into the telemetry; every read does it first."""
        telemetry = self._telemetry
        head_end = self._head_end
        telemetry[_T_HEAD_END] = head_end.state
        telemetry[_T_HEARTBEAT] = self._heartbeat
        telemetry[_T_DYNAMIC_IMPORT_W] = head_end.dynamic_import_w
        telemetry[_T_DYNAMIC_EXPORT_W] = head_end.dynamic_export_w
        telemetry[_T_DYNAMIC_LEFT_S] = (head_end.dynamic_left_ms + 999) // 1000
        telemetry[_T_EMERGENCY_IMPORT_W] = head_end.emergency_import_w
        telemetry[_T_EMERGENCY_EXPORT_W] = head_end.emergency_export_w
        telemetry[_T_EMERGENCY_LEFT_S] = (head_end.emergency_left_ms + 999) // 1000

    def read(self, address, count, reply):
        """Registers address..address+count-1 into `reply.tx`, from its byte 3 on; 0 or exception
        2."""
        address -= _BASE
        if address < 0 or count < 1 or address + count > _REGISTERS:
            return _ILLEGAL_ADDRESS
        self.publish()
        if self.tools and address + count > _TOOLS_AT:
            self.tools.publish(self._telemetry)
        self._put_plain(reply.tx, address, count)
        if address < self._measured_to and address + count > self._measured_from:
            self._put_measured(address, count, reply)
        return 0

    # Locals and the deepest expression of a function must fit 11 words: a larger frame is
    # allocated. Hence the small steps from here on.

    def _put_plain(self, target, address, count):
        put_map(target, self._image, self._kind, self._telemetry, address, count)

    def _put_measured(self, address, count, reply):
        while count:
            count -= 1
            if self._is_measured(address + count):
                reply.put(count, self._word(address + count))

    def _is_measured(self, at):
        return _AMPS <= self._kind[at] <= _EVENTS

    def _word(self, at):
        kind = self._kind[at]
        if self._telemetry[_T_METER_IS_USABLE]:
            return self._measured(kind, self._image[at])
        return _MISSING_SENSOR if kind == _EVENTS else _ABSENT_16

    def _measured(self, kind, source):
        if kind == _WATTS:
            return _int16(self._telemetry[source], self._watts_divisor)
        if kind == _AMPS:
            return _int16(self._telemetry[source], self._amps_divisor)
        if kind == _VOLTS:
            return _int16(self._telemetry[source], 1)
        if kind == _AMPS_SUM:
            return _int16(self._sum(source), self._amps_divisor)
        if kind == _VOLTS_MEAN:
            return _int16(self._sum(source), self._phases)
        return 0  # EVENTS

    def _sum(self, source):
        total = 0
        for k in range(3):
            total += clamp(self._telemetry[source + k], -_SUMMAND, _SUMMAND)
        return total

    def write(self, address, count, request):
        """uint16 values from `request.get(k)`, sent with `request.rights` (modbus/pdu.py); 0 or
        exception 2 (not writable), 3 (refused), and what services.tools says of its own."""
        if address == _HEARTBEAT and count == 1:
            self._heartbeat = request.get(0)
            self._head_end.heartbeat(self._head_end.now_ms)
            return 0
        if count == _LIMITS and (address == _DYNAMIC or address == _EMERGENCY):
            self._import_w = _limit(request, 0)
            self._export_w = _limit(request, 2)
            self._duration_s = request.get(4)
            return self._set(address, request)
        if self.tools and address >= _COMMIT and address + count <= _RESTART + 1:
            return self.tools.write(address, count, request)
        if count < 1 or address < _HEARTBEAT or address + count > _WRITABLE_END:
            return _ILLEGAL_ADDRESS
        return _ILLEGAL_VALUE  # a part of a block, or more than one

    def _set(self, address, request):
        head_end = self._head_end
        if address == _DYNAMIC:
            if not request.rights & _MAY_LOOSEN and self._would_loosen():
                return _ILLEGAL_VALUE
            return head_end.set_dynamic(
                self._import_w, self._export_w, self._duration_s, head_end.now_ms
            )
        return head_end.set_emergency(
            self._import_w, self._export_w, self._duration_s, head_end.now_ms
        )

    def _would_loosen(self):
        return self._head_end.would_loosen(self._import_w, self._export_w, self._duration_s)


def _limit(request, k):
    """The int32 at register k: 0..2**29-1, -1 (none), or -2 for all that cannot be a limit."""
    high = request.get(k)
    low = request.get(k + 1)
    if high < 0x2000:
        return (high << 16) | low
    return NONE if high == 0xFFFF and low == 0xFFFF else -2


def _int16(value, divisor):
    """value / divisor to the nearest, half up, inside int16, as its register."""
    return clamp((value + divisor // 2) // divisor, -32767, 32767) & 0xFFFF
