# SPDX-License-Identifier: MIT
"""Targets that live in the host's time: a controller process over pseudo-terminals, or a board.

The world is driven by the host's clock. A host is late now and then, and what a late bench saw
proves nothing: `stalled` says so, and the bench then reports INCONCLUSIVE whatever the checks
say. Nothing here is repeatable to the byte; that is what the stepped targets are for.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from hil.line.line import MasterLine
from hil.targets.firmware import FIRMWARE_DIR, TargetError, View, find_micropython
from hil.targets.requests import Requests

_LOOK_US = 10_000  # the loop comes round at least this often, so it knows how late it is
_LATE_US = 50_000
_STALLED_US = 250_000
_START_S = 10
_STOP_S = 2
_UNPACED_BAUD = 1_000_000_000
_SAID = "firmline: "


class StatusView(View):
    """What the emulated head-end has read of the controller's telemetry; None where it has not."""

    def __init__(self, target):
        super().__init__()
        self._target = target
        self._names = None  # telemetry index -> name in the status

    def get(self, name, offset=0):
        """As View.get. Before the first status read 0, None for a time that nobody measured; for
        what the status does not hold, the commands of the resources, always None."""
        from firmline.services import register_map

        if self._names is None:
            self._names = {
                source: point
                for model, point, kind, source, _ in register_map.POINTS
                if model == register_map.FIRMLINE_MODEL
                and kind in (register_map.U16, register_map.I32)
            }
        head_end = self._target.head_end
        status = {} if head_end is None else head_end.status
        point = self._names.get(getattr(register_map, name) + offset, "")
        is_absent = not point or "{}" in point or name == "T_WORST_CYCLE_US"
        return status.get(point, None if is_absent else 0)


class _Port:
    """One connection: the controller's bytes as whole requests onto the wire, replies back."""

    def __init__(self, name, wire, descriptor):
        self.name = name
        self.lost_bytes = 0  # that the controller did not take in time
        self._wire = wire
        self._descriptor = descriptor
        self._is_server = isinstance(wire, MasterLine)
        self._requests = Requests(wire)
        wire.on_receive = self._give

    def fileno(self):
        return self._descriptor

    def _give(self, t_us, data):
        try:
            self.lost_bytes += len(data) - os.write(self._descriptor, data)
        except BlockingIOError:
            self.lost_bytes += len(data)
        except OSError as error:
            raise self._vanished(error) from None

    def take(self, t_us):
        """Move what has come onto the wire; only when there is something to read."""
        try:
            data = os.read(self._descriptor, 4096)
        except OSError as error:
            raise self._vanished(error) from None
        if not data:
            raise self._vanished("end of file")
        if self._is_server:
            self._wire.send(data, t_us)
            return
        self._requests.add(t_us, data)

    def rest(self, t_us):
        self._requests.rest(t_us)

    def _vanished(self, why):
        return TargetError(f"port {self.name} vanished: {why}")


class HostClockTarget:
    """Base of the targets in wall-clock time; see SteppedTarget for what the bench may use.

    max_late_us, late_count (more than 50 ms): how late the loop came round. The world stands at
    0 until `start` has seen the controller alive.
    """

    is_wall_clock = True

    def __init__(self, world, wires, config_path):
        self.world = world
        self.view = StatusView(self)
        self.head_end = None  # the bench's own, for the view
        self.outputs = 0
        self.on_outputs = None
        self.max_late_us = 0
        self.late_count = 0
        self._wires = wires
        self._config_path = Path(config_path)
        self._devices = json.loads(self._config_path.read_text())["devices"]
        self.pins = [device["pin"] for device in self._devices if "pin" in device]
        self._ports = []
        self._sources = []  # what select watches: each has fileno() and take(t_us)
        self._ready = []
        self._origin_ns = None
        self._due_us = 0
        self._cleanup = contextlib.ExitStack()

    @property
    def stalled(self):
        return self.max_late_us > _STALLED_US

    def lateness(self):
        """Metrics of the host's clock, for the result of the run."""
        return {"host_late_ms": self.max_late_us / 1000, "host_late_count": self.late_count}

    def start(self):
        try:
            descriptors = self._open()
        except BaseException:
            self.close()
            raise
        for name, descriptor in descriptors.items():
            self._ports.append(_Port(name, self._wires[name], descriptor))
        self._sources += self._ports
        self._origin_ns = time.monotonic_ns() - self.world.now_us * 1000
        self._due_us = self.world.now_us

    def _elapsed_us(self):
        return (time.monotonic_ns() - self._origin_ns) // 1000

    def run_until(self, world, t_us):
        """Let the host's time pass until the world stands at t_us."""
        while True:
            elapsed_us = self._elapsed_us()
            self._note_lateness(elapsed_us - self._due_us)
            now_us = min(elapsed_us, t_us)
            world.run_until(now_us)
            if now_us == t_us:
                self._due_us = elapsed_us
                return
            for source in self._ready:
                source.take(now_us)
            for port in self._ports:
                port.rest(now_us)
            next_us = t_us if world.next_us is None else world.next_us
            self._due_us = min(t_us, now_us + _LOOK_US, next_us)
            self._wait()

    def _note_lateness(self, late_us):
        if late_us > self.max_late_us:
            self.max_late_us = late_us
        if late_us > _LATE_US:
            self.late_count += 1

    def _wait(self):
        """Until the next event is due or a byte has come."""
        left_us = max(0, self._due_us - self._elapsed_us())
        self._ready = select.select(self._sources, (), (), left_us / 1e6)[0]

    def close(self):
        """Stop the controller and give the ports back. May be called again."""
        for wire in self._wires.values():
            wire.on_receive = None
        self._sources = []
        self._ready = []
        self._cleanup.close()


class _Console:
    """What the controller's process prints, line by line; see hal/unix.py."""

    def __init__(self, stream, on_line):
        self.last_line = "no message"
        self._descriptor = stream.fileno()
        self._on_line = on_line
        self._text = b""

    def fileno(self):
        return self._descriptor

    def take(self, t_us):
        text = os.read(self._descriptor, 4096)
        *lines, self._text = (self._text + text).split(b"\n")
        for line in lines:
            line = line.decode(errors="replace").removeprefix(_SAID)
            if line and not self._on_line(line, t_us):
                self.last_line = line
        if not text:
            raise TargetError(f"the controller ended: {self.last_line}")


class WallTarget(HostClockTarget):
    """The firmware in a MicroPython process over ptys, as on a desktop; see hal/unix.py."""

    name = "micropython-wall"

    def _open(self):
        command = [find_micropython(), "-X", "heapsize=4m"]
        command += [str(FIRMWARE_DIR / "main.py"), str(self._config_path)]
        descriptors = {}
        for name in self._wires:
            descriptors[name], path = self._open_pty()
            command += ["--port", f"{name}={path}"]
        # A session of its own: Ctrl-C reaches the bench alone, and a bench that is killed takes
        # the process along, because its first port is then its controlling terminal. The hang-up
        # of that must not be ignored, as it is below nohup.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        self._cleanup.callback(_stop, process)
        console = _Console(process.stdout, self._understand)
        self._await_start(console)
        self._sources.append(console)
        return descriptors

    def _open_pty(self):
        """(master, path). The slave stays open here, so the master has no end of file."""
        try:
            import pty
            import tty
        except ImportError:
            raise TargetError("target micropython: this system has no pseudo-terminals") from None
        master, slave = pty.openpty()
        self._cleanup.callback(os.close, master)
        self._cleanup.callback(os.close, slave)
        tty.setraw(slave)
        os.set_blocking(master, False)
        return master, os.ttyname(slave)

    def _await_start(self, console):
        self._is_up = False
        give_up_s = time.monotonic() + _START_S
        while not self._is_up:
            left_s = max(0, give_up_s - time.monotonic())
            if not select.select((console,), (), (), left_s)[0]:
                raise TargetError(f"the controller did not start within {_START_S} s")
            console.take(self.world.now_us)

    def _understand(self, line, t_us):
        """Act on a line of the controller; False when it is none of those that are known."""
        words = line.split()
        if words == ["running"]:
            self._is_up = True
            return True
        if len(words) != 3 or words[0] != "output":
            return False
        bit = 1 << self.pins.index(int(words[1]))
        self.outputs = self.outputs | bit if words[2] == "on" else self.outputs & ~bit
        if self.on_outputs is not None:
            self.on_outputs(t_us)
        return True


def _stop(process):
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


class BoardTarget(HostClockTarget):
    """A board that runs already, on real serial ports; ports: name in the configuration -> device.

    The real wire paces the bytes, so the emulated one does not: a reply reaches the board later
    than it counts as arrived, by the time that its frame takes.
    """

    name = "board"

    def __init__(self, world, wires, config_path, ports=()):
        super().__init__(world, wires, config_path)
        self._paths = dict(ports)
        missing = [name for name in wires if name not in self._paths]
        if missing:
            wanted = " ".join(f"--port {name}=DEVICE" for name in missing)
            raise TargetError(f"target board: no serial port for {', '.join(missing)}: {wanted}")
        unknown = [name for name in self._paths if name not in wires]
        if unknown:
            accepted = f"the scenario has {', '.join(wires)}"
            raise TargetError(f"target board: --port {unknown[0]} is not used: {accepted}")
        for device in self._devices:
            if device["type"] == "relay_output":
                raise TargetError(
                    f"target board: the bench cannot see the pin of {device['name']}: "
                    "take a scenario without relay_output"
                )

    def _open(self):
        return {name: self._open_serial(name, wire) for name, wire in self._wires.items()}

    def _open_serial(self, name, wire):
        if os.name != "posix":
            raise TargetError("target board: it needs a POSIX system")
        try:
            import serial
        except ImportError:
            raise TargetError("target board: pyserial is missing: pip install pyserial") from None
        path = self._paths[name]
        if not os.path.exists(path):
            raise TargetError(f"port {name}: {path} does not exist")
        try:
            port = serial.Serial(path, wire.baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise TargetError(f"port {name}: {path}: {_in_words(error)}") from None
        self._cleanup.callback(port.close)
        wire.baud = _UNPACED_BAUD
        return port.fileno()


def _in_words(error):
    text = str(error)
    if "exclusively lock" in text or "busy" in text.lower():
        return "is in use by another program"
    if "ermission" in text:
        return "no permission to open it"
    return " ".join(text.split())
