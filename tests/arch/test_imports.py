# SPDX-License-Identifier: MIT
"""The seams of the firmware hold, and each rule is shown to bite by breaking it in a copy."""

import shutil
from pathlib import Path

import arch_rules
import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
GUARD = FIRMWARE / "firmline/core/guard.py"
GUARD_MAX_LINES = 300

# (file to plant, its source, what the message must say)
PLANTED = [
    ("core", "import machine", "core imports hardware module machine"),
    ("core", "import time", "core imports time"),
    ("core", "from math import sqrt", "core imports math"),
    ("core", "from firmline.modbus import crc", "core imports firmline.modbus"),
    ("core", "def f():\n    import firmline.services.config", "core imports firmline.services"),
    ("core", "from . import units", "relative import"),
    ("core", "try:\n    import rp2\nexcept ImportError:\n    rp2 = None", "hardware module rp2"),
    ("modbus", "from firmline.core import planted", "modbus imports firmline.core"),
    ("modbus", "from firmline.core import units, snapshot", "modbus imports firmline.core"),
    ("modbus", "import struct", "modbus imports struct"),
    ("devices", "from firmline.hal import rp2", "devices imports firmline.hal"),
    ("devices", "from firmline.services import bus", "devices imports firmline.services"),
    ("services", "from firmline import app", "services imports firmline"),
    ("services", "import firmline.app", "services imports firmline.app"),
    ("services", "import socket", "services imports hardware module socket"),
    ("services", "import asyncio", "firmware imports asyncio"),
    ("services", "import typing", "services imports typing"),
    ("services", "from hil.plant import plant", "firmware imports hil.plant"),
    ("hal", "import host_tools", "firmware imports host_tools"),
    ("hal", "import _thread", "firmware imports _thread"),
    ("hal", "from firmline.core import guard", "hal imports firmline.core"),
    ("hal", "from firmline.services import store", "hal imports firmline.services"),
    ("boards", "import sys", "boards imports sys"),
    ("boards", "from firmline.hal import rp2", "boards imports firmline.hal"),
    ("newlayer", "from firmline.core import units", "layer newlayer has no rule"),
    ("core", "print(1)", "work at import: print(1)"),
    ("core", "for k in (1, 2):\n    pass", "work at import: for"),
    ("services", "import time\nSTART = time.ticks_ms()", "work at import: time.ticks_ms()"),
    ("services", "try:\n    VALUE = 1\nexcept OSError:\n    VALUE = 2", "not an import guard"),
    ("hal", "class Port:\n    print(1)", "work at import: print(1)"),
    ("services", "async def f():\n    pass", "async in the firmware"),
    ("services", "def f(x):\n    match x:\n        case 1:\n            pass", "match is not"),
    ("services", "def f():\n    try:\n        g()\n    except:\n        pass", "bare except"),
    ("devices", "def f():\n    return __import__('machine')", "hides a dependency"),
    ("services", "@wrapped\ndef f():\n    pass", "decorator @wrapped"),
    ("core", "def f(a, b):\n    return a / b", "/ in core: a / b"),
    ("modbus", "def f(a):\n    a /= 2", "/ in modbus: a /= 2"),
    ("core", "LIMIT = 0.5", "float in core: 0.5"),
    ("modbus", "def f(a):\n    return divmod(a, 2)", "divmod() in modbus"),
    ("core", "def f(a):\n    return [x for x in a]", "f: list comprehension"),
    ("core", "def f(a):\n    return sum(x for x in a)", "f: generator expression"),
    ("core", "def f(a):\n    yield a", "f: generator"),
    ("core", "def f():\n    return lambda: 1", "f: lambda"),
    ("core", "def f(a):\n    return f'{a}'", "f: f-string"),
    ("core", "def f(a):\n    return '%d' % a", "f: string formatting"),
    ("core", "class C:\n    def m(self):\n        raise ValueError", "m: raise"),
    ("core", "def f(a):\n    for k, v in enumerate(a):\n        pass", "f: enumerate()"),
    ("core", "def f(a):\n    for k, v in zip(a, a):\n        pass", "f: zip()"),
    ("core", "def f(*a):\n    pass", "f takes * or ** arguments"),
    ("core", "def f(g, a):\n    g(*a)", "f: star argument"),
    ("core", "def f():\n    def g():\n        pass", "f: function inside a function"),
    (
        "core",
        "class C:\n    def __init__(self):\n        self._m()\n    def _m(self):\n"
        "        return [k for k in (1, 2)]\n    def n(self):\n        self._m()",
        "_m: list comprehension",
    ),
    (
        "core",
        "def f(a):\n    for k in a:\n        try:\n            g()\n        except OSError:\n"
        "            pass",
        "f: try inside a loop",
    ),
]

ALLOWED = [
    ("core", "import micropython\nfrom array import array\nfrom firmline.core import units"),
    ("core", "class C:\n    def __init__(self):\n        self.x = [0 for _ in range(3)]"),
    (
        "core",
        "class C:\n    def __init__(self):\n        self._m()\n    def _m(self):\n"
        "        return [k for k in (1, 2)]",
    ),
    ("core", "TABLE = tuple([k * k for k in range(4)])"),
    ("modbus", "from firmline.core import units\nfrom firmline.core.units import const"),
    ("modbus", "from firmline.modbus import crc"),
    ("devices", "from firmline.modbus.crc import crc16\nfrom firmline.core import snapshot"),
    ("services", "import json\nfrom firmline.devices import catalog"),
    ("services", "try:\n    import json\nexcept ImportError:\n    json = None"),
    ("hal", "import machine\nimport socket\nimport tty\nfrom firmline.core import units"),
    ("boards", "from firmline.core.units import const\nPIN = const(3)"),
]


@pytest.fixture(scope="module")
def firmware_copy(tmp_path_factory):
    tree = tmp_path_factory.mktemp("arch") / "firmware"
    shutil.copytree(FIRMWARE, tree, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("core/units", "core/snapshot", "core/guard", "modbus/crc", "hal/rp2", "app"):
        file = tree / "firmline" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tree


@pytest.fixture
def plant(firmware_copy):
    """Puts a source into a layer of a copy of the firmware; returns what is reported about it."""
    planted = []

    def put(layer, source):
        file = firmware_copy / "firmline" / layer / "planted.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source + "\n", encoding="utf-8")
        planted.append(file)
        return arch_rules.violations(firmware_copy, "planted.py")

    yield put
    for file in planted:
        file.unlink()


def test_firmware_keeps_its_rules():
    found = arch_rules.violations(FIRMWARE)
    assert not found, "\n".join(["", *found])


def test_every_layer_is_looked_at():
    layers = {layer for _, layer, _ in arch_rules.sources(FIRMWARE)}
    assert {"core", "modbus", "devices", "services", "hal", "app", "entry"} <= layers


@pytest.mark.parametrize(("layer", "source", "message"), PLANTED)
def test_planted_violation_is_found(plant, layer, source, message):
    found = plant(layer, source)
    assert any(message in line for line in found), found
    assert all(line.startswith(f"firmline/{layer}/planted.py:") for line in found)


@pytest.mark.parametrize(("layer", "source"), ALLOWED)
def test_what_the_rules_allow_is_not_reported(plant, layer, source):
    assert plant(layer, source) == []


def test_check_of_the_whole_tree_finds_the_same(plant, firmware_copy):
    found = plant("core", "import machine")
    assert found
    assert set(found) <= set(arch_rules.violations(firmware_copy))


def test_only_the_entry_files_may_touch_hardware_outside_hal(tmp_path):
    (tmp_path / "firmline").mkdir()
    source = "import machine\n\nmachine.reset()\n"
    (tmp_path / "boot.py").write_text(source, encoding="utf-8")
    (tmp_path / "firmline/app.py").write_text(source, encoding="utf-8")
    assert arch_rules.violations(tmp_path) == [
        "firmline/app.py:1: app imports hardware module machine",
        "firmline/app.py:3: work at import: machine.reset()",
    ]


def test_main_reaches_services_only_through_app(tmp_path):
    source = "from firmline.services import config\n"
    (tmp_path / "main.py").write_text(source, encoding="utf-8")
    assert arch_rules.violations(tmp_path) == ["main.py:1: entry imports firmline.services"]


def test_guard_stays_small_enough_to_read():
    lines = GUARD.read_text(encoding="utf-8").splitlines()
    assert 0 < len(lines) <= GUARD_MAX_LINES
