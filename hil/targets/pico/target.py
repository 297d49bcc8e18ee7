# SPDX-License-Identifier: MIT
"""The firmware on an emulated RP2040, in lock-step with the bench.

The world stays the master of time: the chip runs to the next event of the world and no further,
and stops earlier when it sends, switches a pin or resets, so that the world acts on that at its
own instant. A frame that the chip sends counts from when its first byte left; the last of its
bytes may be written up to 0.1 ms later, and so may the bench learn of it. Bytes toward the chip
arrive paced, each when its stop bit has ended.

The world's 0 is the power-up of the chip: a scenario sees the boot, and after a watchdog reset the
whole restart.
"""

import json
from pathlib import Path

from hil.line.line import MasterLine
from hil.targets.firmware import View
from hil.targets.pico import assets, image
from hil.targets.pico.chip import Chip
from hil.targets.requests import Requests


class _DebuggerView(View):
    """The controller's telemetry, read out of the chip's RAM; 0 before it has booted."""

    def __init__(self, target):
        super().__init__()
        self._target = target
        self._read_us = -1

    def get(self, name, offset=0):
        chip = self._target.chip
        if chip is not None and chip.now_us != self._read_us:
            self._read_us = chip.now_us
            self.values = chip.find_ints(_telemetry_size())
        return super().get(name, offset)


def _telemetry_size():
    from firmline.services import register_map

    return register_map.TELEMETRY_SIZE


class _Port:
    """One UART of the chip and the wire on it."""

    def __init__(self, chip, uart, wire):
        self._chip = chip
        self._uart = uart
        self._wire = wire
        self._is_server = isinstance(wire, MasterLine)
        self._requests = Requests(wire, is_from_first=True)
        wire.on_depart = self._begin
        wire.on_receive = self._end

    def _begin(self, begin_us, data):
        """A chunk starts toward the chip at begin_us: all but its last byte can be planned."""
        byte_us = 1e6 * 10 / self._wire.baud
        times = [begin_us + (k + 1) * byte_us for k in range(len(data) - 1)]
        self._chip.receive(self._uart, times, data[:-1])

    def _end(self, t_us, data):
        """The chunk has arrived. Where it met another on the way, its last byte tells."""
        self._chip.receive(self._uart, [t_us], data[-1:])

    def sent(self, t_us, data):
        """The chip has sent; a master's bytes go onto the wire as whole requests."""
        if self._is_server:
            self._wire.send(data, t_us)
            return
        self._requests.add(t_us, data)

    def rest(self, t_us):
        self._requests.rest(t_us)


class PicoTarget:
    """See SteppedTarget for what the bench uses. `resets`: (t_us, why); `console`: what the chip
    printed once its USB was up; `first_frame_us`: when it first sent."""

    name = "pico"
    is_wall_clock = False
    stalled = False

    def __init__(self, world, wires, config_path, board=None, files=None):
        from firmline.boards import pico

        self.world = world
        self.view = _DebuggerView(self)
        self.head_end = None
        self.cts = None  # a hil.line.ct.CtInputs, where the site has one
        self.outputs = 0
        self.on_outputs = None
        self.chip = None
        self.resets = []
        self.console = ""
        self.first_frame_us = None
        self._wires = wires
        self._board = board or pico
        text = Path(config_path).read_text()
        devices = json.loads(text)["devices"]
        relays = [device for device in devices if "pin" in device]
        self.pins = [device["pin"] for device in relays]
        self._active_low = [bool(device.get("active_low")) for device in relays]
        self._assets = assets.read()
        self._files = files or image.firmware_files(text)
        self._ports = {}
        self._counts = {}

    def start(self):
        flash = image.flash_image(self._assets[assets.MICROPYTHON], self._files)
        enables = [None, None]
        for number, _, _, enable in self._board.UARTS.values():
            enables[number] = enable
        self.chip = Chip(self._assets[assets.BOOTROM], flash, enables, self.pins)
        if self.cts is not None:
            self.cts.on_change = self._wave
            self._wave()
        for name, wire in self._wires.items():
            number = self._board.UARTS[name][0]
            self._ports[number] = _Port(self.chip, number, wire)

    def _wave(self):
        """The waves at the converter's inputs, from now on."""
        waves = enumerate(self.cts.waves)
        self.chip.feel({k: (low, high, self.cts.hz, late) for k, (low, high, late) in waves})

    def run_until(self, world, t_us):
        """Chip and world to t_us, in turns."""
        while True:
            next_us = t_us if world.next_us is None else min(t_us, world.next_us)
            events = self.chip.run(next_us) if self.chip.now_us < next_us else ()
            for event in events:
                self._happened(world, event, next_us)
            if not events or self.chip.now_us >= next_us:
                world.run_until(next_us)
                for port in self._ports.values():
                    port.rest(next_us)
                if next_us == t_us:
                    return

    def _happened(self, world, event, next_us):
        """The world stands at the event, but never beyond its own next one."""
        kind, t_us, *what = event
        if kind == "text":
            self.console += what[0]
            return
        world.run_until(max(world.now_us, min(round(t_us), next_us - 1)))
        now_us = world.now_us
        if kind == "tx":
            if self.first_frame_us is None:
                self.first_frame_us = now_us
            if what[0] in self._ports:
                self._ports[what[0]].sent(now_us, what[1])
        elif kind == "pin":
            self._switched(now_us, *what)
        else:
            self.resets.append((now_us, what[0]))

    def _switched(self, now_us, pin, level):
        """A pin that nothing drives is at its idle level, which is off: docs/wiring.md."""
        bit = self.pins.index(pin)
        is_on = level is not None and bool(level) != self._active_low[bit]
        outputs = self.outputs & ~(1 << bit) | is_on << bit
        if outputs != self.outputs:
            self.outputs = outputs
            if self.on_outputs is not None:
                self.on_outputs(now_us)

    def hang(self):
        """The core stops where it is, the pins stay; the watchdog will restart the board."""
        self.chip.do("hang")

    def power_off(self):
        self.chip.do("powerOff")

    def power_on(self):
        self.chip.do("powerOn")

    def lateness(self):
        """Metrics that only this target has: what its wires and its resets say."""
        counts = {f"pico_{name}": count for name, count in self._counts.items()}
        slept_us = counts.pop("pico_slept_us", 0)
        counts["cpu_load"] = round(1 - slept_us / max(1, self.world.now_us), 3)
        boot_s = None if self.first_frame_us is None else self.first_frame_us / 1e6
        return {"boot_s": boot_s, "resets": len(self.resets)} | counts

    def close(self):
        if self.chip is not None:
            if self.chip.is_alive:
                self._counts = self.chip.counts()
                self.view.get("T_MODE")  # the last look
            self.chip.close()
