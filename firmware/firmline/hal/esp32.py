# SPDX-License-Identifier: MIT
"""ESP32. Written against the stubs and compiled; its proof on a chip is to come."""

import struct

import machine

from firmline.hal.board import BoardHardware

# machine.reset_cause() -> codes of services.boot. A brown-out shows as a power-up; a panic, which
# is how the task watchdog ends, as a hard reset, which machine.reset() is too: the marker tells.
_CAUSES = {
    machine.PWRON_RESET: 1,
    machine.HARD_RESET: 2,
    machine.WDT_RESET: 2,
    machine.SOFT_RESET: 3,
}
_WORD = "<I"


class Hardware(BoardHardware):
    """`board`: a module of firmline.boards. The task watchdog resets the chip by a panic. There
    is no timer interrupt beside the program: no dead-man."""

    def reset_cause(self):
        return _CAUSES.get(machine.reset_cause(), 0)

    def marker(self):
        memory = machine.RTC().memory()
        return struct.unpack(_WORD, memory)[0] if len(memory) == struct.calcsize(_WORD) else 0

    def set_marker(self, word):
        machine.RTC().memory(struct.pack(_WORD, word))
