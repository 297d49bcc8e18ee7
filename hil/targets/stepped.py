# SPDX-License-Identifier: MIT
"""Targets that live in the bench's virtual time: the controller is polled when something is due.

`virtual` runs the firmware in this process, `LockstepTarget` the same files in a real
MicroPython interpreter. Both are polled at the same instants with the same bytes, on whole
milliseconds, at most 1 ms after a chunk has arrived: what a board's 1 ms loop does.
"""

import contextlib
import json
import struct
import subprocess
import sys
import traceback
from pathlib import Path

from hil.line.ct import Converter
from hil.targets.firmware import (
    FIRMWARE_DIR,
    ControllerStopped,
    TargetError,
    View,
    find_micropython,
)

START_MS = 2**30 - 60_000  # so that every run goes through the wrap of the ticks at 60 s
_TICKS_MASK = 2**30 - 1
_FED = 1 << 31  # among the outputs of a round
_ENDED = "the controller stopped in the midst of the run; its message is above"


class SteppedTarget:
    """Polls the controller as events of `world`.

    wires: port name in the configuration -> hil.line Wire. `outputs`: bit mask of pins that are
    on, `on_outputs(t_us)` is called when it changes.

    power_up_us: when the controller runs first. watchdog_us, boot_us: of the board that it stands
    for when it hangs or loses its supply (docs/MEASURED.md). `fed_us`: when it last fed the
    watchdog, which starts with the first feed; None before that.
    """

    power_up_us = 0
    watchdog_us = 4_000_000
    boot_us = 1_700_000

    def __init__(self, world, wires):
        self.world = world
        self.view = View()
        self.pins = []
        self.outputs = 0
        self.on_outputs = None
        self.is_running = False
        self.fed_us = None
        self._wires = wires
        self._ports = []  # wires in the order in which the controller opened its ports
        self._received = []
        self._wake_us = -1
        self._serial = 0
        self.polls = 0
        self.resets = 0
        self.head_end = None
        self.cts = None  # a hil.line.ct.CtInputs, where the site has one
        self.stalled = False  # only the host's time can stall
        self.is_wall_clock = False

    def start(self):
        """Bring the controller up at the world's present time, or `power_up_us` later."""
        names, self.pins = self._launch()
        self._ports = [self._wires[name] for name in names]
        for index, wire in enumerate(self._ports):
            wire.on_receive = self._receiver(index)
        if self.power_up_us:
            self.world.at(self.world.now_us + self.power_up_us, self._run)
        else:
            self._run()

    def _run(self):
        self._received = [b""] * len(self._ports)
        self.is_running = True
        self.fed_us = None
        self._wake_at(self.world.now_us)

    def run_until(self, world, t_us):
        """The bench's own time: as fast as it goes."""
        world.run_until(t_us)

    def lateness(self):
        """Metrics that only some targets have."""
        return {"resets": self.resets}

    def hang(self):
        """The program stops where it is, the pins stay. The watchdog restarts the board so long
        after it was last fed; one that was never fed was never started, and does nothing."""
        self._stop()
        if self.fed_us is not None:
            due_us = max(self.world.now_us, self.fed_us + self.watchdog_us)
            self.world.at(due_us, self._reset)

    def power_off(self):
        """The controller loses its supply: no output is driven, nothing is sent."""
        self._stop()
        self._set_outputs(0, self.world.now_us)

    def power_on(self):
        self.world.at(self.world.now_us + self.boot_us, self._restart)

    def _stop(self):
        self.is_running = False
        self._serial += 1
        self._wake_us = -1

    def _reset(self):
        if not self.is_running:
            self._set_outputs(0, self.world.now_us)
            self.power_on()

    def _restart(self):
        if not self.is_running:
            self.close()
            self._launch()
            self.resets += 1
            self._run()

    def _receiver(self, index):
        def receive(t_us, data):
            if self.is_running:
                self._received[index] += data
                self._wake_at(-(-t_us // 1000) * 1000)

        return receive

    def _wake_at(self, t_us):
        if self._wake_us >= 0 and self._wake_us <= t_us:
            return
        self._wake_us = t_us
        self._serial += 1
        self.world.at(t_us, self._wake, self._serial)

    def _wake(self, serial):
        if serial != self._serial:
            return
        t_us = self.world.now_us
        received = self._received
        self._received = [b""] * len(received)
        now_ms = (t_us // 1000 + START_MS) & _TICKS_MASK
        wait_ms, sent, outputs, is_fed = self._poll(now_ms, received)
        self.polls += 1
        if is_fed:
            self.fed_us = t_us
        self._wake_us = -1
        for wire, data in zip(self._ports, sent, strict=True):
            if data:
                wire.send(data, t_us)
        self._set_outputs(outputs, t_us)
        self._wake_at(t_us + max(1, wait_ms) * 1000)

    def _set_outputs(self, outputs, t_us):
        if outputs != self.outputs:
            self.outputs = outputs
            if self.on_outputs is not None:
                self.on_outputs(t_us)


class _MemoryPort:
    """The hardware contract's serial port between the in-process controller and the bench."""

    def __init__(self):
        self.received = b""
        self.sent = b""
        self.wanted = 1

    def write(self, buffer, count):
        self.sent += buffer[:count]

    def any(self):
        return len(self.received)

    def readinto(self, buffer, count):
        chunk = self.received[:count]
        buffer[: len(chunk)] = chunk
        self.received = self.received[count:]
        return len(chunk)

    def tx_done(self):
        return True


class _MemoryOutput:
    def __init__(self):
        self.is_on = False

    def set(self, on):
        self.is_on = bool(on)

    def readback(self):
        return self.is_on


class _MemoryHardware:
    model = "virtual"
    serial = "0"

    def __init__(self, files, words, cts):
        self.ports = {}
        self.outputs = {}
        self.files = files
        self.words = words
        self._cts = cts
        self.is_fed = False  # since the target last looked

    def open_port(self, name, baud, is_even):
        self.ports[name] = _MemoryPort()
        return self.ports[name]

    def open_output(self, pin, active_low, readback_pin):
        self.outputs[pin] = _MemoryOutput()
        return self.outputs[pin]

    def open_adc(self, inputs, mains_hz):
        return Converter(self._cts)

    def open_network(self, settings):
        return None

    def ticks_us(self):
        return 0  # durations are not the chip's here, and would make runs differ

    def feed_watchdog(self):
        self.is_fed = True

    def record_cause(self, text):
        print("firmline:", text, file=sys.stderr)

    def guard_outputs(self, outputs, limit_ms):
        pass

    def set_marker(self, word):
        pass

    def kept(self, k):
        return self.words[k]

    def keep(self, k, word):
        self.words[k] = word

    def open_console(self):
        return None

    def is_service(self):
        return False


class VirtualTarget(SteppedTarget):
    """The firmware's own files, imported into this process."""

    name = "virtual"

    def __init__(self, world, wires, config_path):
        super().__init__(world, wires)
        self._config_text = Path(config_path).read_text()
        self._files = None
        self._words = [0] * 4  # outlive a reset
        self.controller = None

    def power_off(self):
        super().power_off()
        self._words[:] = [0] * 4

    def _launch(self):
        from firmline.app import Controller
        from firmline.hal.ramfiles import RamStore
        from firmline.services.config import load

        self._files = self._files or RamStore()  # outlives a restart
        self._hardware = _MemoryHardware(self._files, self._words, self.cts)
        self.controller = Controller(load(self._config_text), self._hardware)
        self.view.values = self.controller.telemetry.values
        self._memory_ports = list(self._hardware.ports.values())
        return list(self._hardware.ports), list(self._hardware.outputs)

    def _poll(self, now_ms, received):
        ports = self._memory_ports
        self._hardware.is_fed = False
        for port, data in zip(ports, received, strict=True):
            if data:
                port.received += data
        try:
            wait_ms = self.controller.poll(now_ms)
        except Exception as error:
            traceback.print_exc()
            raise ControllerStopped(_ENDED) from error
        sent = []
        for port in ports:
            sent.append(port.sent)
            port.sent = b""
        outputs = 0
        for bit, output in enumerate(self._hardware.outputs.values()):
            outputs |= output.is_on << bit
        return wait_ms, sent, outputs, self._hardware.is_fed

    def close(self):
        self.is_running = False


class LockstepTarget(SteppedTarget):
    """The same files in a MicroPython process; protocol: firmware/firmline/hal/lockstep.py."""

    name = "micropython"

    def __init__(self, world, wires, config_path):
        super().__init__(world, wires)
        self._command = [find_micropython(), "-X", "heapsize=4m"]
        self._command += [str(FIRMWARE_DIR / "main.py"), str(config_path), "--lockstep"]
        self._process = None
        self._converter = None

    def _launch(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the interpreter ended"}
        if "error" in answer:
            raise TargetError(answer["error"])
        self._converter = Converter(self.cts) if answer["window"] else None
        return answer["ports"], answer["pins"]

    def _poll(self, now_ms, received):
        message = [struct.pack("<I", now_ms)]
        for data in received:
            message += [struct.pack("<H", len(data)), data]
        if self._converter is not None:
            window = self._converter.taken()
            message += [struct.pack("<H", len(window)), window]
        pipe = self._process.stdin
        try:
            pipe.write(b"".join(message))
            pipe.flush()
        except BrokenPipeError:
            raise ControllerStopped(_ENDED) from None
        wait_ms, outputs, view_bytes = struct.unpack("<IIH", self._read(10))
        self.view.values = memoryview(self._read(view_bytes)).cast("i")
        sent = [self._read(*struct.unpack("<H", self._read(2))) for _ in received]
        return wait_ms, sent, outputs & ~_FED, bool(outputs & _FED)

    def _read(self, count):
        data = self._process.stdout.read(count)
        if len(data) != count:
            raise ControllerStopped(_ENDED)
        return data

    def close(self):
        self.is_running = False
        if self._process is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it ended before; that is said already
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)
