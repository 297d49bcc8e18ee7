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
_WORDS = "<IIII"


class Hardware(BoardHardware):
    """`board`: a module of firmline.boards. The task watchdog resets the chip by a panic. There
    is no timer interrupt beside the program: no dead-man."""

    def reset_cause(self):
        return _CAUSES.get(machine.reset_cause(), 0)

    def kept(self, k):
        return self._words()[k]

    def keep(self, k, word):
        words = list(self._words())
        words[k] = word
        machine.RTC().memory(struct.pack(_WORDS, *words))

    def _words(self):
        memory = machine.RTC().memory()
        return struct.unpack(_WORDS, memory) if len(memory) == 16 else (0, 0, 0, 0)
