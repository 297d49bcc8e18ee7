# SPDX-License-Identifier: MIT
"""What memory.strip takes out of a board's classes is not called once the controller runs."""

import ast
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


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
    from firmline.services.memory import _BUILT_ONCE

    late = {}
    for path in sorted((FIRMWARE / "firmline").rglob("*.py")):
        name = ".".join(path.relative_to(FIRMWARE).with_suffix("").parts)
        if any(name == start or name.startswith(start + ".") for start in _BUILT_ONCE):
            late[name] = late_calls(path.read_text(encoding="utf-8"))
    assert len(late) > 20
    assert not {name: calls for name, calls in late.items() if calls}


def test_a_late_call_is_found():
    source = "class A:\n    def save(self):\n        self._open_new()\n"
    assert late_calls(source) == [("save", "_open_new")]
    assert not late_calls(source.replace("save", "_open_all"))
