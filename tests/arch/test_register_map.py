# SPDX-License-Identifier: MIT
"""What runs keeps private copies of constants of services.register_map, which is dropped after
the start: they must be the same."""

import ast

import pytest

from firmline.services import files, journal, register_map
from hil.targets.firmware import FIRMWARE_DIR
from host_tools import names

SERVICES = FIRMWARE_DIR / "firmline" / "services"
KERNELS = FIRMWARE_DIR / "firmline" / "modbus" / "words.py"


def copies(source):
    """Private name -> value of each `_NAME = const(number)` below the line that says so."""
    _, _, below = source.partition("# Of services.register_map, ")
    found = {}
    for node in ast.parse(below.partition("\n\n")[0].partition("\n")[2]).body:
        found[node.targets[0].id] = ast.literal_eval(node.value.args[0])
    return found


@pytest.mark.parametrize("module", ["registers.py", "telemetry.py", "tools.py"])
def test_each_copy_is_what_the_map_says(module):
    found = copies((SERVICES / module).read_text())

    assert len(found) > 6
    assert found == {name: getattr(register_map, name[1:]) for name in found}


def test_the_kernel_knows_the_same_kinds():
    found = copies(KERNELS.read_text())

    assert found == {name: getattr(register_map, name[1:]) for name in ("_U16", "_HIGH", "_LOW")}


def test_what_the_tools_show_begins_where_the_registers_say():
    at = register_map.BASE
    for point in register_map.POINTS:
        if point[1] == "boot_count":
            break
        at += register_map.width(point)
    assert (
        f"_TOOLS_AT = const({at - register_map.BASE})" in (SERVICES / "registers.py").read_text()
    )
    version = f"_MAP_VERSION = const({register_map.MAP_VERSION})"
    assert version in (SERVICES / "files.py").read_text()
    tools = (SERVICES / "tools.py").read_text()
    assert f"_BOOTS = const({journal.BOOTS})" in tools
    assert f"_IDENTITY_BYTES = const({files.IDENTITY_BYTES})" in tools
    assert dict(enumerate(files._MODES)) == names.MODES


def test_a_copy_that_differs_is_found():
    assert copies("# Of services.register_map, x\n_BASE = const(7)\n\nelse") == {"_BASE": 7}
    assert register_map.BASE == 40000


def test_no_index_into_the_telemetry_is_copied_elsewhere():
    for path in FIRMWARE_DIR.rglob("*.py"):
        if path.parent != SERVICES or path.stem not in ("registers", "telemetry", "tools"):
            assert "\n_T_" not in path.read_text(), path
