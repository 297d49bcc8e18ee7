# SPDX-License-Identifier: MIT
"""What memory.strip takes out of a board's classes is not called once the controller runs."""

import ast
from pathlib import Path

from firmline.services import memory

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
DESKTOP = ("firmline.hal.unix", "firmline.hal.lockstep", "firmline.hal.desktop")


def is_built_once(name):
    return name == "__init__" or name.lstrip("_").startswith("open_")


def late_calls(source):
    """(function, method) of each call of open_... by a function that itself stays."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and not is_built_once(node.name):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and is_built_once(inner.attr):
                    found.append((node.name, inner.attr))
    return found


def test_what_only_builds_an_object_is_not_called_later():
    late = {}
    for path in sorted((FIRMWARE / "firmline").rglob("*.py")):
        name = ".".join(path.relative_to(FIRMWARE).with_suffix("").parts)
        if any(name == start or name.startswith(start + ".") for start in memory._BUILT_ONCE):
            late[name] = late_calls(path.read_text(encoding="utf-8"))
    assert len(late) > 20
    assert not {name: calls for name, calls in late.items() if calls}


def test_a_late_call_is_found():
    source = "class A:\n    def save(self):\n        self._open_new()\n"
    assert late_calls(source) == [("save", "_open_new")]
    assert not late_calls(source.replace("save", "_open_all"))


def late_uses(tree, names):
    """Those of `names` that something asks for which is neither a constructor nor opens."""
    found = set()

    def look(node, is_start):
        for part in ast.iter_child_nodes(node):
            name = getattr(part, "name", "") or ""
            opens = is_built_once(name) or name in names
            if not is_start:
                asked = getattr(part, "attr", "") or getattr(part, "id", "")
                found.update({asked} & set(names))
            look(part, is_start or (isinstance(part, ast.FunctionDef) and opens))

    look(tree, False)
    return found


def test_what_is_stripped_is_only_asked_for_at_the_start():
    seen = 0
    for path in sorted((FIRMWARE / "firmline").rglob("*.py")):
        dotted = ".".join(path.relative_to(FIRMWARE).with_suffix("").parts)
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
    for path in (FIRMWARE / "firmline").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert set(memory._OPENS) <= made
