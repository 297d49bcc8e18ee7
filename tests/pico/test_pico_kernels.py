# SPDX-License-Identifier: MIT
"""The machine code of core/ledger.py and core/shares.py does what their source says.

Both are made of one text by host_tools/compile.py and run beside each other on the emulated chip.
"""

import re
from pathlib import Path

import pytest

from host_tools import compile as compiler
from tests.pico.runs import short_calls

HERE = Path(__file__).resolve().parent
BASICS = ("firmline/__init__.py", "firmline/core/__init__.py", "firmline/core/units.py")
ROUNDS = 150  # some 25 calls each

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def files(change=("", "")):
    """Both kinds of every kernel; `change` (old, new) is made in the machine code only."""
    found = {}
    for name in BASICS:
        path = compiler.FIRMWARE_DIR / name
        found[name.replace(".py", ".mpy")] = compiler.compiled(path, name)
    for name in compiler.VIPER:
        text = (compiler.FIRMWARE_DIR / name).read_text()
        code = compiler.compiled_text(short_calls(text), name, "armv6m")
        machine = compiler.with_viper(short_calls(text.replace(*change)))
        found[f"code_{Path(name).stem}.mpy"] = code
        found[f"machine_{Path(name).stem}.mpy"] = compiler.compiled_text(machine, name, "armv6m")
    return found


def verdict(boot, found, rounds):
    main = (HERE / "board" / "kernels_main.py").read_text()
    chip = boot(re.sub(r"(?m)^ROUNDS = .*", f"ROUNDS = {rounds}", main), found)
    said = ""
    while chip.now_us < 200_000_000:
        said += "".join(
            event[2] for event in chip.run(chip.now_us + 500_000) if event[0] == "text"
        )
        done = re.search(r"(?m)^(SAME|DIFFER|Traceback).*[\r\n]", said)
        if done:
            return said[done.start() :]
    return said


def test_machine_code_and_bytecode_leave_the_same_numbers(boot):
    assert verdict(boot, files(), ROUNDS).split() == ["SAME", str(ROUNDS)]


@pytest.mark.parametrize(
    "change",
    [
        ("_MIN_MARGIN_W = const(50)", "_MIN_MARGIN_W = const(51)"),
        ("wanted_w = -wanted_w // wires", "wanted_w = 0 - wanted_w // wires"),
    ],
)
def test_one_watt_of_difference_is_found(boot, change):
    assert verdict(boot, files(change), ROUNDS).startswith("DIFFER")
