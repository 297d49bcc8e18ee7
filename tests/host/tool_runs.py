# SPDX-License-Identifier: MIT
"""Running the command `firmline` in tests: in this process, or as one of its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

pytest.importorskip("termios")
pytest.importorskip("pymodbus")
pytest.importorskip("serial")

from host_tools import cli
from tests.host.live_site import LiveSite, configuration
from tests.host.wall_runs import ROOT

PATIENCE_S = "10"  # for one answer, on a machine that is busy with something else


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    def line(self):
        """The one line on stderr, which is all that a user's mistake may print."""
        assert self.err.count("\n") == 1 and "Traceback" not in self.err, self.err
        return self.err.strip()


def firmline(*arguments):
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            status = end.code
    return Ran(status, out.getvalue(), err.getvalue())


def start_firmline(*arguments):
    """Start a command as a process."""
    path = os.pathsep.join((str(ROOT / "firmware"), str(ROOT)))
    return subprocess.Popen(
        [sys.executable, "-m", "host_tools", *(str(argument) for argument in arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    )


def await_line(process, stream, text, timeout_s=30):
    """Lines of a process's stream up to the one with `text`; it is killed when that does not
    come."""
    guard = threading.Timer(timeout_s, process.kill)
    guard.start()
    seen = []
    try:
        for line in stream:
            seen.append(line)
            if text in line:
                return seen
    finally:
        guard.cancel()
    raise AssertionError(f"ended without {text!r}: {seen}")


@contextlib.contextmanager
def live_site(folder, **options):
    """A site whose meter is read already."""
    site = LiveSite(folder, **options)
    try:
        give_up_s = time.monotonic() + 20
        while not firmline("status", *site.usb, "--json").json["pcc"]["is_usable"]:
            assert time.monotonic() < give_up_s, "the meter is not read"
        yield site
    finally:
        site.close()


def quick_configuration(**site):
    """A head-end that is missed soon, so that nobody waits for it."""
    config = configuration(**site)
    config["head_end"]["timeout_s"] = 2
    return config


def written(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
    return path


def in_force(site):
    return firmline("config", "show", *site.usb, "--json", "--timeout", PATIENCE_S).json
