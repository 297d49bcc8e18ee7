# SPDX-License-Identifier: MIT
"""A board with a site around it, for the tools to talk to: the real firmware in a MicroPython
process behind a cable that can be pulled, a bench that plays its meter and chargers.

`python -m tests.host.live_site [FOLDER [ARGUMENT ...]]` runs one until Ctrl-C, for trying the
tools by hand; ARGUMENTs go to main.py. Signal 10 (USR1) switches its kettle on or off, and signal
12 (USR2) pulls the USB cable or puts it back.
"""

import contextlib
import itertools
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
import tty
from collections import deque
from dataclasses import replace
from pathlib import Path

from hil import build
from hil.line.faults import Fault
from hil.scenarios.load import build_config
from hil.scenarios.model import Element
from hil.targets.firmware import FIRMWARE_DIR, find_micropython
from hil.targets.wall import BoardTarget
from hil.world import World
from tests.host.wall_runs import NullModem, head_end, held_tcp_port

LOAD_W = 4000
KETTLE_W = 2000


def configuration(**site):
    """The scenario's configuration as a dict, with fields of `site` replaced."""
    config = json.loads(json.dumps(build_config(_scenario())))
    config["site"].update(site)
    return config


def _scenario(cars=True):
    """Two cars at two chargers, one meter, one household, and a kettle that nobody controls; the
    head-end is for the tools."""
    scenario = head_end(86400)
    kettle = Element("kettle", "L1", None, {"load_w": KETTLE_W})
    away = {} if cars else {"arrive_s": 80_000}
    evs = [replace(ev, parameters=ev.parameters | away) for ev in scenario.plant.ev]
    plant = replace(scenario.plant, relay_load=(kettle,), ev=tuple(evs))
    return replace(scenario, head_end_script=None, expect=(), plant=plant)


class Cable:
    """A serial line whose near end can be pulled and put back, always under the same name.

    far: path for the controller, always there. path: for the tool, there while it is plugged.
    """

    def __init__(self, path):
        self.path = str(path)
        self._far, slave = pty.openpty()
        tty.setraw(slave)
        self._slave = slave  # kept open, so that the far end never hangs up
        self.far = os.ttyname(slave)
        self._near = None
        self._left = None  # bytes toward the tool until the cable is pulled
        self._lock = threading.RLock()
        self._is_over = False
        self.plug()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def plug(self):
        with self._lock:
            self._left = None
            if self._near is not None:
                return
            near, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(near, False)  # what nobody reads is lost, as on a wire
            self._near, self._near_slave = near, slave
            os.symlink(os.ttyname(slave), self.path)

    def pull(self):
        """As a USB cable: the device file goes, whoever has it open gets an error."""
        with self._lock:
            if self._near is None:
                return
            os.unlink(self.path)
            os.close(self._near)
            os.close(self._near_slave)
            self._near = None

    def pull_after(self, count):
        """Once `count` more bytes have gone to the tool."""
        with self._lock:
            self._left = count

    def _pump(self):
        while not self._is_over:
            with self._lock:
                self._move()
            time.sleep(0.001)

    def _move(self):
        """What has come at either end, to the other one."""
        if self._far in select.select([self._far], (), (), 0)[0]:
            data = os.read(self._far, 4096)
            if self._near is not None:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._near, data[: self._left])
                if self._left is not None:
                    self._left -= len(data)
                    if self._left <= 0:
                        self._left = None
                        self.pull()
        if self._near is not None and self._near in select.select([self._near], (), (), 0)[0]:
            os.write(self._far, os.read(self._near, 4096))

    def close(self):
        self._is_over = True
        self._thread.join()
        self.pull()
        os.close(self._far)
        os.close(self._slave)


class LiveSite:
    """Everything runs when this returns; close() ends it. folder: for the configuration file,
    what the controller keeps, and the cables. `usb`, `rtu` and `tcp` are connection options of a
    tool; arguments: more ones for main.py; cars: False leaves the chargers idle. said: the first
    line of the controller, `firmline: running` if it is not in safe mode."""

    def __init__(self, folder, config=None, arguments=(), cars=True):
        self.folder = Path(folder)
        scenario = _scenario(cars)
        self.config_path = self.folder / "config.json"
        config = config or configuration()
        self._held = held_tcp_port()
        config["head_end"]["tcp_port"] = tcp_port = self._held.getsockname()[1]
        self.tcp = ["--tcp", f"127.0.0.1:{tcp_port}"]
        self.config_path.write_text(json.dumps(config))
        self._arguments = list(arguments)
        self.modem = NullModem()
        self.usb_cable = Cable(self.folder / "ttyACM0")
        self.rtu_cable = Cable(self.folder / "ttyUSB0")
        self.usb = ["--usb", self.usb_cable.path]
        self.rtu = ["--rtu", self.rtu_cable.path + ":19200"]
        self._world = World()
        self.plant = build.build_plant(scenario)
        wires, self.devices = build.build_wires(self._world, scenario, self.plant)
        self.line = wires["uart0"]
        self._target = BoardTarget(
            self._world, {"uart0": self.line}, self.config_path, {"uart0": self.modem.near}
        )
        self._wishes = deque()  # what the thread of the world is to do
        self._process = None
        self._is_over = False
        self.start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def start(self):
        """Power on. Restarts that a tool asks for stay inside the process."""
        command = [find_micropython(), "-X", "heapsize=4m", str(FIRMWARE_DIR / "main.py")]
        command += [str(self.config_path), "--port", f"uart0={self.modem.far}"]
        command += ["--port", f"uart1={self.rtu_cable.far}", "--console"]
        command += ["--data", str(self.folder / "data"), *self._arguments]
        with open(self.usb_cable.far, "r+b", buffering=0) as console:
            self._process = subprocess.Popen(
                command,
                stdin=console,
                stdout=console,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self.said = self._process.stderr.readline()
        assert self.said.startswith("firmline: ")

    def _run(self):
        self._target.start()
        while not self._is_over:
            while self._wishes:
                self._wishes.popleft()(self._world.now_us)
            self._target.run_until(self._world, self._world.now_us + 50_000)
        self._target.close()

    def switch_kettle(self, on):
        def switch(t_us):
            self.plant.advance(t_us)
            self.plant.element("kettle").switch(t_us, on)

        self._wishes.append(switch)

    def add_fault(self, kind, target, **parameters):
        """From now on; of hil/line/faults.py."""
        self._wishes.append(
            lambda t_us: self.line.add_fault(Fault(kind, target, t_us, None, parameters))
        )

    def stop(self):
        """Power off: the controller answers nothing any more."""
        self._process.kill()
        self._process.wait()
        self._process.stderr.close()

    def close(self):
        self._is_over = True
        self._thread.join(5)
        self.stop()
        self._held.close()
        self.usb_cable.close()
        self.rtu_cable.close()
        self.modem.close()


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/live")
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    site = LiveSite(folder, arguments=sys.argv[2:])
    is_on = itertools.cycle((True, False))
    moves = itertools.cycle((site.usb_cable.pull, site.usb_cable.plug))
    signal.signal(signal.SIGUSR1, lambda *_: site.switch_kettle(next(is_on)))
    signal.signal(signal.SIGUSR2, lambda *_: next(moves)())
    print(f"firmline status {' '.join(site.usb)}", flush=True)
    print(f"firmline status {' '.join(site.rtu)}", flush=True)
    print(f"firmline status {' '.join(site.tcp)}", flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        site.close()


if __name__ == "__main__":
    main()
