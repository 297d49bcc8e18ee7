# SPDX-License-Identifier: MIT
"""`main.py --data DIR` as a process: what is kept is there after the next start.

The process is stepped over its stdin (hal/lockstep.py) and nothing answers on its ports, so that
minutes take a second. What is in the folder is read by CPython.
"""

import json
import struct
import subprocess
from pathlib import Path

import pytest
from alloc_site import CONFIG

from firmline.hal.files import FileStore
from firmline.services.store import TwoGenerations
from hil.targets.firmware import FIRMWARE_DIR, TargetError, find_micropython

STEP_MS = 100
BOOTS = 1
START = 1  # code of an event


class Process:
    """`seconds` of a controller with that folder; the stopped process says nothing more."""

    def __init__(self, folder, config_path):
        try:
            command = [find_micropython(), str(FIRMWARE_DIR / "main.py"), str(config_path)]
        except TargetError as error:
            pytest.skip(str(error))
        command += ["--lockstep", "--data", str(folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self._ports = len(json.loads(self._process.stdout.readline())["ports"])
        self._ms = 1000

    def run(self, seconds):
        process = self._process
        for _ in range(seconds * 1000 // STEP_MS):
            self._ms += STEP_MS
            process.stdin.write(struct.pack("<I", self._ms) + bytes(2 * self._ports))
            process.stdin.flush()
            _, _, count = struct.unpack("<IIH", process.stdout.read(10))
            process.stdout.read(count)
            for _ in range(self._ports):
                process.stdout.read(struct.unpack("<H", process.stdout.read(2))[0])

    def stop(self):
        return self._process.communicate(timeout=30)[1].decode()


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def run(folder, config_path, seconds):
    process = Process(folder, config_path)
    process.run(seconds)
    return process.stop()


def stored(folder, name, most_bytes):
    record = TwoGenerations(FileStore(str(folder)), name, 1, most_bytes)
    buffer = bytearray(most_bytes)
    return bytes(buffer[: max(0, record.read(buffer))])


def test_what_is_kept_is_there_after_the_next_start(tmp_path, config_path):
    folder = tmp_path / "data"
    for boot in (1, 2, 3):
        assert run(folder, config_path, 75) == ""
        assert struct.unpack_from("<35i", stored(folder, "state", 140))[BOOTS] == boot
    assert run(folder, config_path, 640) == ""
    first = struct.unpack_from("<HHIi", stored(folder, "events", 384))
    assert first == (4, START, 0, 0)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="a folder nobody may write to")
def test_a_folder_that_may_not_be_written_is_told_and_the_controller_goes_on(config_path):
    said = run("/sys/kernel", config_path, 75)
    assert said.count("store: OSError(") == 1, said


def test_a_folder_that_vanishes_is_told_once_and_the_controller_goes_on(tmp_path, config_path):
    folder = tmp_path / "parent" / "data"
    folder.parent.mkdir()
    process = Process(folder, config_path)
    process.run(30)
    folder.rmdir()
    folder.parent.rmdir()
    process.run(1000)
    said = process.stop()
    assert said.count("store: OSError(2") == 1, said
