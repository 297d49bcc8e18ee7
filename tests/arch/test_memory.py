# SPDX-License-Identifier: MIT
"""What services.memory takes out of a board's memory after the start is not asked for later."""

import ast

from firmline.services import memory
from hil.targets.firmware import FIRMWARE_DIR

DESKTOP = ("firmline.hal.unix", "firmline.hal.lockstep", "firmline.hal.desktop")


def late_uses(tree, names):
    """Those of `names` that something asks for which is neither a constructor nor opens."""
    found = set()

    def look(node, is_start):
        for part in ast.iter_child_nodes(node):
            name = getattr(part, "name", "") or ""
            opens = name == "__init__" or name.lstrip("_").startswith("open_") or name in names
            if not is_start:
                asked = getattr(part, "attr", "") or getattr(part, "id", "")
                found.update({asked} & set(names))
            look(part, is_start or (isinstance(part, ast.FunctionDef) and opens))

    look(tree, False)
    return found


def test_what_is_stripped_is_only_asked_for_at_the_start():
    seen = 0
    for path in sorted((FIRMWARE_DIR / "firmline").rglob("*.py")):
        dotted = ".".join(path.relative_to(FIRMWARE_DIR).with_suffix("").parts)
        if dotted in memory._START_ONLY + DESKTOP:
            continue
        seen += 1
        assert not late_uses(ast.parse(path.read_text()), memory._OPENS), dotted
    assert seen > 40


def test_a_late_use_is_found():
    text = "class A:\n def __init__(s):\n  watch()\n def poll(s):\n  s.b.watch()\n"
    assert late_uses(ast.parse(text), ("watch",)) == {"watch"}
    assert not late_uses(ast.parse(text.replace("poll", "open_it")), ("watch",))


def test_every_name_is_of_a_function_of_the_firmware():
    made = set()
    for path in (FIRMWARE_DIR / "firmline").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert set(memory._OPENS) <= made
