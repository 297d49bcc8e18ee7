# SPDX-License-Identifier: MIT
"""Safe mode: outputs at their idle level, no control, nobody commanded; the console stays alive,
for people and for tools, which may put another configuration in and restart.

Entered when a stage of the start fails (services/boot.py). Left by a restart: power-up, the reset
button, or the tools. The watchdog is not started: nothing here holds an output, a reset would
only lead back to here, and files can be copied in peace.
"""

from array import array

from firmline.core.units import const, elapsed_ms

_SAY_MS = const(3000)  # a console over USB is not there yet when the chip starts
_AGAIN_MS = const(1000)
_WAIT_MS = const(100)
_MODE = const(5)  # of core.mode: SAFE
_ANY_UNIT = const(0)
_SITE = {
    "phases": 3,
    "voltage_v": 230,
    "service_a": 100,
}  # only for the scale of what is not shown


class SafeMode:
    """`cause`: why, a text. Advanced by `poll` like the controller, in whose place it is for the
    tools."""

    journal = None
    start_cause = 0

    def __init__(self, hardware, cause):
        self._hardware = hardware
        self.cause = cause
        self._has_begun = False
        self._has_said = False
        self._since_ms = 0
        self._safe_ms = 0
        try:
            self._open_tools()
        except (OSError, MemoryError) as error:  # safe it stays
            self.tools = None
            hardware.record_cause("safe mode without tools: " + repr(error))

    def _open_tools(self):
        """The console answers, whatever unit is asked: which one it was may not be known."""
        from firmline.services import assembly, register_map
        from firmline.services.eventlog import EventLog
        from firmline.services.headend import HeadEnd
        from firmline.services.registers import Registers

        hardware = self._hardware
        telemetry = array("i", [0] * register_map.TELEMETRY_SIZE)
        telemetry[register_map.T_MODE] = _MODE
        texts = hardware.model, hardware.serial
        self.events = EventLog(1)
        self.registers = Registers(telemetry, HeadEnd(1), _SITE, 1, texts[0], texts[1])
        config = {"head_end": None, "unit": _ANY_UNIT}
        self.tools = assembly.build_tools(config, self, hardware, None)

    def fail(self):
        """What the tools ask for before a restart: it is safe already."""
        self._hardware.make_safe()

    def poll(self, now_ms):
        """Returns how long (ms) nothing more is due."""
        if not self._has_begun:
            self._has_begun = True
            self._since_ms = self._safe_ms = now_ms
        if elapsed_ms(now_ms, self._safe_ms) >= _AGAIN_MS:
            self._safe_ms = now_ms
            self._hardware.make_safe()  # whatever somebody did at the console
        if not self._has_said and elapsed_ms(now_ms, self._since_ms) >= _SAY_MS:
            self._has_said = True
            print("firmline: safe mode:", self.cause)
        if self.tools is None:
            return _WAIT_MS
        self.tools.poll(now_ms)
        return 2 if self.tools.is_awake else _WAIT_MS
