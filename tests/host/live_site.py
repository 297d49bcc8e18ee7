# SPDX-License-Identifier: MIT
"""A board with a site around it, for the tools to talk to: the real firmware in a MicroPython
process behind a cable that can be pulled, a bench that plays its meter and chargers.

`python -m tests.host.live_site [FOLDER]` runs one until Ctrl-C, for trying the tools by hand.
"""

import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
import tty
from dataclasses import replace
from pathlib import Path

from hil import build
from hil.scenarios.load import build_config
from hil.targets.firmware import FIRMWARE_DIR, find_micropython
from hil.targets.wall import BoardTarget
from hil.world import World
from tests.host.wall_runs import NullModem, head_end

LOAD_W = 4000
RESTARTED = 75  # exit status of a controller that wants to be started again


def configuration(**site):
    """The scenario's configuration as a dict, with fields of `site` replaced."""
    config = json.loads(json.dumps(build_config(_scenario())))
    config["site"].update(site)
    return config


def _scenario():
    """Two cars at two chargers, one meter, one household; the head-end is for the tools."""
    return replace(head_end(1), head_end_script=None, expect=())


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
        self._lock = threading.Lock()
        self._is_over = False
        self.plug()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def plug(self):
        with self._lock:
            near, slave = pty.openpty()
            tty.setraw(slave)
            self._near, self._near_slave = near, slave
            os.symlink(os.ttyname(slave), self.path)

    def pull(self):
        """As a USB cable: the device file goes, whoever has it open gets an error."""
        with self._lock:
            os.unlink(self.path)
            os.close(self._near)
            os.close(self._near_slave)
            self._near = None

    def _pump(self):
        while not self._is_over:
            with self._lock:
                ends = [self._far] if self._near is None else [self._far, self._near]
                for end in select.select(ends, (), (), 0)[0]:
                    data = os.read(end, 4096)
                    if len(ends) == 2:
                        os.write(ends[1 - ends.index(end)], data)
            time.sleep(0.001)

    def close(self):
        self._is_over = True
        self._thread.join()
        if self._near is not None:
            self.pull()
        os.close(self._far)
        os.close(self._slave)


class LiveSite:
    """Everything runs when this returns; close() ends it. folder: for the configuration file and
    the cable. `rtu` is the connection option of a tool."""

    def __init__(self, folder, config=None, arguments=()):
        self.folder = Path(folder)
        scenario = _scenario()
        self.config_path = self.folder / "config.json"
        self.config_path.write_text(json.dumps(config or configuration()))
        self._arguments = list(arguments)
        self.modem = NullModem()
        self.cable = Cable(self.folder / "ttyBOARD")
        self.rtu = f"{self.cable.path}:19200"
        self._world = World()
        self.plant = build.build_plant(scenario)
        wires, self.devices = build.build_wires(self._world, scenario, self.plant)
        self.line = wires["uart0"]
        self._target = BoardTarget(
            self._world, {"uart0": self.line}, self.config_path, {"uart0": self.modem.near}
        )
        self._process = None
        self._is_over = False
        self.start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def start(self):
        command = [find_micropython(), "-X", "heapsize=4m", str(FIRMWARE_DIR / "main.py")]
        command += [str(self.config_path), "--port", f"uart0={self.modem.far}"]
        command += ["--port", f"uart1={self.cable.far}", *self._arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "firmline: running\n"

    def _run(self):
        self._target.start()
        while not self._is_over:
            self._target.run_until(self._world, self._world.now_us + 50_000)
        self._target.close()

    def _keep(self):
        """A board starts again after a restart; so does this process."""
        while not self._is_over:
            process = self._process
            if process.poll() == RESTARTED and not self._is_over:
                process.stdout.close()
                self.start()
            time.sleep(0.02)

    def hang(self):
        """The controller stops answering, as if it had no power."""
        self._process.kill()
        self._process.wait()

    def close(self):
        self._is_over = True
        self._thread.join(5)
        self._keeper.join(5)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self.cable.close()
        self.modem.close()


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/live")
    folder.mkdir(parents=True, exist_ok=True)
    site = LiveSite(folder)
    print(f"firmline status --rtu {site.rtu}", flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        site.close()


if __name__ == "__main__":
    main()
