# SPDX-License-Identifier: MIT
"""The machine code of what decodes, checks and chooses on a line does what its source says.

Both are made of one text by host_tools/compile.py and run beside each other on the emulated chip.
"""

import re
from pathlib import Path

import pytest

from host_tools import compile as compiler
from tests.pico.runs import short_calls

MAIN = Path(__file__).resolve().parent / "board" / "line_kernels_main.py"
BASICS = ("firmline/__init__.py", "firmline/core/__init__.py", "firmline/core/units.py")
KERNELS = (
    "firmline/devices/due.py",
    "firmline/devices/floats.py",
    "firmline/modbus/words.py",
)
ROUNDS = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def files(change=("", "")):
    """Both kinds of every kernel; `change` (old, new) is made for the machine code only."""
    found = {}
    for name in BASICS:
        path = compiler.FIRMWARE_DIR / name
        found[name.replace(".py", ".mpy")] = compiler.compiled(path, name)
    for name in KERNELS:
        text = (compiler.FIRMWARE_DIR / name).read_text()
        code = compiler.compiled_text(short_calls(text), name, "armv6m")
        machine = compiler.with_viper(short_calls(text.replace(*change)))
        found[f"code_{Path(name).stem}.mpy"] = code
        found[f"machine_{Path(name).stem}.mpy"] = compiler.compiled_text(machine, name, "armv6m")
    return found


def verdict(boot, found):
    chip = boot(re.sub(r"(?m)^ROUNDS = .*", f"ROUNDS = {ROUNDS}", MAIN.read_text()), found)
    said = ""
    while chip.now_us < 120_000_000:
        said += "".join(
            event[2] for event in chip.run(chip.now_us + 500_000) if event[0] == "text"
        )
        done = re.search(r"(?m)^(SAME|DIFFER|Traceback).*[\r\n]", said)
        if done:
            return said[done.start() :]
    return said


def test_these_are_the_kernels_of_the_line():
    found = [name for name in compiler.VIPER if not name.startswith("firmline/core/")]
    found.remove("firmline/devices/ct_kernel.py")  # compared by test_pico_ct.py
    assert sorted(found) == list(KERNELS)


def test_machine_code_and_bytecode_say_the_same(boot):
    assert verdict(boot, files()).split() == ["SAME", str(ROUNDS)]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (("shift > 43", "shift > 30"), "floats"),
        (("+ 0x40000) >> 19", "+ 0x42000) >> 19"), "floats"),
        (("crc >> 4)\n        k += 1", "crc >> 4) ^ 1\n        k += 1"), "words"),
        (("left = 0\n", "left = 1\n"), "due"),
    ],
)
def test_a_difference_is_found(boot, change, where):
    assert verdict(boot, files(change)).split()[::2] == ["DIFFER", where]
