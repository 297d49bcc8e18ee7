# SPDX-License-Identifier: MIT
"""Puts Firmline on a board that runs MicroPython, over its USB cable.

At every instant the board starts either the old firmware or the new one: the new files go into
the folder that is not in use (/a or /b), every one is read back by its hash, then one small file
names that folder, for one start. Only when the new firmware has come up is it named for good;
when it does not, or the cable or the power goes before, the next start runs the old one. Then:
deploy again, it goes on where it was.

While it runs, what is on the board is stopped: outputs are in their safe state.
"""

import contextlib
import re
import time
from pathlib import Path

from firmline.hal import choose
from host_tools import config_check, layout, options, output, release, unfold
from host_tools.board import LinkLost, open_when_there
from host_tools.errors import DONE, BadInput, ToolError
from host_tools.ports import the_one_board
from host_tools.progress import counted

_BUSY_S = 2  # a board that has just been restarted is there again within
_ASK_S = 1
_STAY_S = 1
_PORT_S = 15  # a port that goes away with a restart comes back within
_ARCHITECTURES = {2: "x64", 4: "armv6m", 5: "armv6m", 6: "armv6m", 7: "armv6m", 8: "armv6m"}
_ARCHITECTURES[10] = "xtensawin"
_MPY = 6
_AFTER = {
    False: "The board restarts by itself, into the firmware it had, within 10 s; then: firmline "
    "deploy",
    True: "The new firmware was tried and not confirmed: the next start runs the one before it; "
    "firmline deploy again confirms it",
}

RUNNING, WAITING, BROKEN, FELL_BACK = range(4)
_WORDS = {
    RUNNING: "runs",
    WAITING: "waits for a configuration that it can use",
    BROKEN: "it ended",
    FELL_BACK: "it restarted",
}
_RESULTS = {RUNNING: "runs", WAITING: "waits"}
# What a firmware says that has come up: at its start, or when asked (services/tools.py)
_UP = re.compile(r"firmline: running|Firmline \S+: (safe )?mode")
_SAID = re.compile(r"^(?:firmline: |Firmline \S+: (?=safe mode))(.*)$", re.MULTILINE)
_BY_US = "stopped: Ctrl-C"
_USUAL = ("running", "restart", _BY_US, "output")


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "deploy",
        "put Firmline on a board that runs MicroPython",
        __doc__,
        "  firmline deploy\n"
        "  firmline deploy --archive firmline-0.1.0.zip --usb /dev/ttyACM0\n"
        "  firmline deploy --config site.json",
    )
    parser.add_argument(
        "--usb",
        "--port",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="its serial port; without DEVICE the one board there is (the default)",
    )
    parser.add_argument(
        "--archive",
        type=Path,
        metavar="FILE",
        help="a release archive (default: the checkout this runs in, compiled for the board)",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a configuration to put there as config.json"
    )
    parser.add_argument(
        "--wait",
        type=options.seconds(1, 120),
        default=6.0,
        metavar="S",
        help="how long the new firmware has to come up (default %(default)g)",
    )
    parser.add_argument(
        "--replace", action="store_true", help="also where another program is on the board"
    )
    options.add_json(parser)


def run(arguments):
    with output.telling(arguments) as out:
        config = None
        if arguments.config:
            config = config_check.read_text(arguments.config)
            config_check.check(arguments.config, config)
        archive = release.read(arguments.archive) if arguments.archive else None
        device = arguments.usb or the_one_board()
        archive = archive or release.build()  # takes seconds: only where there is a board
        facts = {"device": device, "version": archive.version, "commit": archive.commit}
        out.facts |= facts
        Deployment(device, archive, config, arguments, out).run()
    return DONE


class Deployment:
    """One run of the command, on the board at `device`. config: text, or None."""

    def __init__(self, device, archive, config, arguments, out):
        self.device = device
        self.archive = archive
        self.config = config
        self.config_path = arguments.config
        self._out = out
        self.wait_s = arguments.wait
        self.may_replace = arguments.replace
        self._board = None
        self._is_on_trial = False

    def run(self):
        try:
            failure = self._run()
        except LinkLost as error:
            if self._board is None:
                raise
            raise ToolError(f"{error}. {_AFTER[self._is_on_trial]}") from None
        except ToolError:
            if self._board is not None:
                self._board.restart()
            raise
        finally:
            if self._board is not None:
                self._board.close()
        if failure:
            raise ToolError(failure)

    def _run(self):
        """All of it; "", or why the new firmware was taken back."""
        board, said = self._connect()
        self._board = board
        files = self._files_for(self._identify())
        was_running = _was_running(said, board.call("ended")[1][0])
        self._cause = board.call("text", layout.CAUSE)[0][0]  # of earlier, as a rule
        config = None if self.config is None else self.config.encode()
        plan = layout.plan(layout.read(board), files, config, self.may_replace)
        if not plan.work and plan.config is None:
            board.restart()
            self._keep_names()
            text = f"nothing to send: the board has firmline {self.archive.version}; restarted"
            self._out.say(text, result="nothing to send")
            return ""
        if not plan.is_current:
            sent = {"sent_files": len(plan.send), "copied_files": len(plan.copy)}
            self._out.say(f"sending {plan.summary()}", files=len(plan.files), **sent)
        layout.carry_out(board, plan)
        self._is_on_trial = not plan.is_current
        return self._try_out(plan, was_running)

    def _connect(self):
        """The open board, stopped, and what it said."""
        try:
            board = open_when_there(self.device, _BUSY_S)
            return board, board.interrupt()
        except LinkLost as error:
            raise BadInput(str(error)) from None

    def _identify(self):
        name, version, machine, mpy, _, self._serial = self._board.call("who")[0]
        text = ".".join(map(str, version))
        facts = {"interpreter": name, "interpreter_version": text, "machine": machine}
        self._out.say(f"{self.device}: {name} {text} on {machine}", **facts)
        if name != "micropython":
            raise self._refusal(f"the board runs {name}, not MicroPython: firmline flash")
        if tuple(version) < release.OLDEST_MICROPYTHON:
            raise self._refusal(
                f"MicroPython {text} on the board: Firmline needs {release.OLDEST} or newer: "
                "firmline flash"
            )
        if mpy & 0xFF != _MPY:
            raise self._refusal(f"MicroPython {text} loads .mpy version {mpy & 0xFF}, not {_MPY}")
        self._check_config(machine)
        return mpy

    def _check_config(self, machine):
        """The configuration against the ports, pins and radio of the board, as it takes itself
        for one at its start (hal/choose.py)."""
        if self.config is None:
            return
        name = self._board.call("text", layout.BOARD)[0][0].strip()
        known = config_check.board_names()
        if name and name not in known:
            expected = ", ".join(known)
            raise self._refusal(f"its board.txt says {name!r}: expected one of {expected}")
        likely = choose.detected(machine)
        if name and likely and config_check.chip_of(name) != config_check.chip_of(likely):
            raise self._refusal(f"its board.txt says {name!r}: that has another chip than it")
        name = name or likely
        self._out.facts["board"] = name
        config_check.check(self.config_path, self.config, name)

    def _refusal(self, reason):
        return BadInput(f"{self.device}: {reason}")

    def _files_for(self, mpy):
        """Those for the chip; machine code among them must be of its sub-version."""
        number = mpy >> 10 & 0xF
        architecture = _ARCHITECTURES.get(number)
        if architecture not in self.archive.files:
            chip = architecture or f"of .mpy architecture {number}"
            has = " and ".join(self.archive.files)
            raise self._refusal(f"the chip is {chip}: there is a firmware for {has}")
        files = self.archive.files[architecture]
        native = {d[2] & 3 for p, d in files.items() if p.endswith(".mpy") and d[2] >> 2}
        if native - {mpy >> 8 & 3}:
            raise self._refusal("its MicroPython loads another version of machine code")
        return files

    def _try_out(self, plan, was_running):
        """The new firmware runs, for one start. Keep it or go back: then why."""
        state, why = self._look(plan.target)
        if state == RUNNING or (state == WAITING and not was_running):
            layout.confirm(self._board, plan)
            self._board.restart()
            self._keep_names()
            text = f"firmline {self.archive.version} is on the board, and {_WORDS[state]}"
            self._out.say(text, result=_RESULTS[state], why=why)
            if state == WAITING and why:
                self._out.say(f"it says: {why}")
            if state == WAITING:
                self._out.say("next: firmline commission")
            return ""
        layout.go_back(self._board, plan)
        self._board.restart()
        before = "what was there before is back" if plan.fallback or plan.is_current else ""
        before = before or "there was no firmware before it"
        why = unfold.readable(why, self.archive.names) or _WORDS[state]
        self._out.facts |= {"result": "taken back", "why": why}
        return f"the new firmware did not come up: {why}: {before}"

    def _look(self, target):
        """How the new firmware does: (state, why). Stops it."""
        said = self._listen(self._board.restart())
        board = self._again()
        said += board.interrupt()
        path = board.call("who")[0][4]
        (why,), (end,) = board.call("ended")
        (cause,) = board.call("text", layout.CAUSE)[0]
        if cause != self._cause:
            why = cause  # with the place, where the firmware itself could say it
        if path != f"/{target}":
            return FELL_BACK, why or _spoken(said)
        if _was_running(said, end):
            return RUNNING, ""
        if end in ("returned", "safe mode") or end.startswith("SystemExit"):
            return WAITING, _spoken(said)
        return BROKEN, why or _spoken(said) or end

    def _keep_names(self):
        """For whoever reads this board's error texts from this computer later."""
        unfold.keep(self._serial, self.archive.version, self.archive.names)

    def _again(self):
        """The board, its port opened again if it was away."""
        if not self._board.is_open:
            self._board = open_when_there(self.device, _PORT_S)
        return self._board

    def _listen(self, said):
        """What the board says after a restart, until it runs and stays for a second, or the time
        is over. The port may come and go meanwhile, and what is said before it is there is lost.
        """
        asked_s = time.monotonic()
        with counted("waiting for the new firmware", 100) as advance:
            end_s = asked_s + self.wait_s
            while time.monotonic() < end_s and not _UP.search(said):
                try:
                    board = self._again()
                    if time.monotonic() > asked_s + _ASK_S:
                        asked_s = time.monotonic()
                        board.ask()
                    said += board.listen(0.1)
                    advance(10 / self.wait_s)
                except LinkLost:
                    self._board.close()
        if _UP.search(said):
            with contextlib.suppress(LinkLost):
                return said + self._again().listen(_STAY_S)
            self._board.close()
        return said


def _was_running(said, end):
    """The controller says so when it is stopped; the launcher knows what ended it."""
    return f"firmline: {_BY_US}" in said or end.startswith("KeyboardInterrupt")


def _spoken(said):
    """What Firmline itself said, without the ordinary: one line."""
    lines = [line.strip() for line in _SAID.findall(said)]
    unusual = [line for line in lines if not line.startswith(_USUAL)]
    return "; ".join(list(dict.fromkeys(unusual))[-3:])
