# SPDX-License-Identifier: MIT
"""A board on a pseudo-terminal: the desktop MicroPython with a littlefs of its own.

What is real: interpreter, raw REPL, littlefs (mounted as the root), Ctrl-C, the firmware. What is
played: a reset is the end of the process and a new one; the port goes away meanwhile, as a Pico's
does; the watchdog is kept by this process; pulling the cable closes the terminal; a power cut
kills the process in the middle of a block (tests/host/board_shim.py).
"""

import fcntl
import os
import pty
import select
import subprocess
import termios
import threading
import time
from pathlib import Path

from hil.targets.firmware import find_micropython

SHIM = Path(__file__).with_name("board_shim.py")
BLOCK = 4096
_POLL_S = 0.02
_ENUMERATE_S = 0.1  # from a reset until the port is there again


def _take_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _write(end, data):
    """As a USB port does: what nobody takes for a while is lost."""
    end_s = time.monotonic() + 0.5
    while data and time.monotonic() < end_s:
        try:
            data = data[os.write(end, data) :]
        except BlockingIOError:
            time.sleep(0.002)


class PtyBoard:
    """device: the path of its serial port, there while it is plugged in and up.

    blocks: of flash, with the content `flash`. arguments: of its main.py. command: what runs in
    place of a MicroPython.
    """

    def __init__(self, folder, blocks=352, arguments=(), flash=None, cut_at=0, command=None):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.device = str(self.folder / "tty")
        self._blocks = blocks
        self._arguments = list(arguments)
        self.watchdog_s = None  # None: it never bites
        self._command = command
        (self.folder / "flash").write_bytes(flash or b"\xff" * BLOCK * blocks)
        self.said = b""
        self.starts = 0
        self.cut_at = cut_at  # the power goes in the n-th block written after a start
        self.pull_at = b""  # the cable goes when this is sent to the board
        self.reset_at = b""  # the board is reset then
        self._sent = b""
        self.blocks_written = []  # of each start that is over
        self.is_plugged = True
        self.is_powered = True
        self._process = self._board = self._outer = None
        self._ends = False
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._ends = True
        self._thread.join(10)
        self._stop()
        self._unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def pull(self):
        """The cable."""
        with self._lock:
            self.is_plugged = False
            self._unlink()

    def power_cycle(self):
        with self._lock:
            self._stop()
            self._unlink()
            self.cut_at = 0
            self.is_powered = self.is_plugged = True
        self.wait_for_port()

    def plug_in(self):
        with self._lock:
            self.is_plugged = True
        self.wait_for_port()

    def wait_for_cut(self, timeout_s=10):
        """The one who deploys may see it before the board's keeper does."""
        end_s = time.monotonic() + timeout_s
        while self.is_powered:
            assert time.monotonic() < end_s, f"not cut at block {self.cut_at}"
            time.sleep(0.01)

    def wait_for_port(self, timeout_s=30):
        end_s = time.monotonic() + timeout_s
        while not os.path.exists(self.device):
            assert time.monotonic() < end_s, "the board did not start"
            self.pause()

    def pause(self):
        time.sleep(_POLL_S)

    def flash(self):
        return (self.folder / "flash").read_bytes()

    def repl(self, code):
        """Stops what runs, runs `code`, resets. What it printed."""
        from mpremote.transport_serial import SerialTransport

        self.wait_for_port()
        link = SerialTransport(os.path.realpath(self.device), timeout=5)
        link.enter_raw_repl(soft_reset=False)
        said = link.exec(code).decode()
        link.close()
        self.power_cycle()
        return said

    def put(self, path, data):
        """A file, and the folders above it."""
        folders = [path[:at] for at in range(1, len(path)) if path[at] == "/"]
        self.repl(
            f"import os\nfor each in {folders}:\n try: os.mkdir(each)\n except OSError: pass\n"
            f"with open({path!r}, 'wb') as file: file.write({data!r})"
        )

    def wait_for(self, text, timeout_s=10):
        """Until the board has said `text` since `said` was last emptied."""
        end_s = time.monotonic() + timeout_s
        while text not in self.said:
            if time.monotonic() > end_s:
                raise AssertionError(f"not said: {text!r} but {self.said!r}")
            time.sleep(_POLL_S)

    def _serve(self):
        while not self._ends:
            with self._lock:
                if self.is_powered and self._process is None:
                    self._start()
                if self._outer is None and self.is_plugged and self._is_enumerated():
                    self._link()
                ends = [end for end in (self._board, self._outer) if end is not None]
            try:
                ready, _, _ = select.select(ends, [], [], _POLL_S)
            except OSError:
                continue  # an end was closed meanwhile: a power cycle, a pulled cable
            with self._lock:
                for end in ready:
                    self._pump(end)
                self._look_at_watchdog()

    def _is_enumerated(self):
        if self._process is None or time.monotonic() < self._started_s + _ENUMERATE_S:
            return False
        return self._command is not None or (self.folder / "up").exists()

    def _start(self):
        self._started_s = time.monotonic()
        self.starts += 1
        for name in ("watchdog", "up", "writes"):
            (self.folder / name).unlink(missing_ok=True)
        board, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[1] &= ~termios.OPOST
        settings[3] &= ~(termios.ECHO | termios.ICANON)  # Ctrl-C interrupts, all else is data
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        command = [find_micropython(), "-X", "heapsize=2M", "-i", str(SHIM), str(self.folder)]
        command += [str(self._blocks), str(self.cut_at), *self._arguments]
        self._process = subprocess.Popen(
            self._command or command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        os.set_blocking(board, False)
        self._board = board

    def _stop(self):
        if self._process is not None:
            self.blocks_written.append(self._count())
            self._process.kill()
            self._process.wait()
            os.close(self._board)
        self._process = self._board = None

    def _count(self):
        try:
            return (self.folder / "writes").stat().st_size
        except OSError:
            return 0

    def _link(self):
        self._outer, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[0] = settings[1] = settings[3] = 0
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        os.set_blocking(self._outer, False)
        self._slave = slave  # held open: no hang-up between two users of the port
        os.symlink(os.ttyname(slave), self.device + ".new")
        os.replace(self.device + ".new", self.device)

    def _unlink(self):
        if self._outer is not None:
            os.unlink(self.device)
            os.close(self._slave)
            os.close(self._outer)
        self._outer = None

    def _pump(self, end):
        if end not in (self._board, self._outer):
            return  # closed since
        try:
            data = os.read(end, 4096)
        except BlockingIOError:
            return  # another end has this number by now, and nothing to say
        except OSError:
            data = b""
        if end == self._board:
            self.said += data
            if not data:
                self._end_process()
            elif self._outer is not None:
                _write(self._outer, data)
            return
        self._sent = self._sent[-100:] + data
        if self.pull_at and self.pull_at in self._sent:
            self.pull_at = b""
            self.pull()
        elif self.reset_at and self.reset_at in self._sent:
            self.reset_at = b""
            self._end_process()
        elif self._board is not None:
            _write(self._board, data)

    def _end_process(self):
        """It was reset, or its power went: then it stays off."""
        self._stop()
        self._unlink()
        if self.cut_at:
            self.is_powered = False

    def _look_at_watchdog(self):
        if self.watchdog_s is None or self._process is None:
            return
        try:
            fed_s = (self.folder / "watchdog").stat().st_mtime
        except OSError:
            return
        if time.time() - fed_s > self.watchdog_s:
            self._stop()
            self._unlink()
