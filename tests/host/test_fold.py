# SPDX-License-Identifier: MIT
"""Folded constants: what a board runs says and does the same as what is written."""

import ast
import re
import shutil

import pytest
import runtimes

from host_tools import fold
from host_tools.fold import FIRMWARE_DIR, constants, folded


def module_name(path, root):
    return path.relative_to(root).with_suffix("").as_posix().replace("/", ".")


def test_a_constant_of_another_module_becomes_its_number():
    source = "from firmline.core.mode import TRIPPED, next_mode\nx = TRIPPED\n"

    function = fold.public_names()["next_mode"]
    assert folded(source) == f"from firmline.core.mode import {function}\nx = 4\n"


def test_a_constant_behind_its_module_becomes_its_number_and_an_idle_import_goes():
    source = "from firmline.core import mode as modes\nx = modes.TRIPPED + 1\n"

    assert folded(source) == "x = 4 + 1\n"


def test_what_is_no_constant_stays():
    source = "from firmline.core import mode as modes\nx = modes.TEXT[modes.SAFE]\n"

    assert folded(source) == "from firmline.core import mode as modes\nx = modes.TEXT[5]\n"


def test_own_constants_go_and_what_only_looks_like_one_stays():
    found = constants()["firmline.core.units"]
    source = (FIRMWARE_DIR / "firmline/core/units.py").read_text()

    text = folded(source, "firmline.core.units")

    assert found["TICKS_MASK"] == (1 << 30) - 1
    assert "TICKS_MASK" not in text
    assert "a - b & 1073741823" in text
    assert folded("self.TRIPPED = machine.TRIPPED\n") == "self.TRIPPED = machine.TRIPPED\n"


def test_arguments_become_short_except_where_a_call_names_them():
    source = "def f(now_ms, count, a_word):\n    b = now_ms\n    return b + count * a_word\n"

    assert "count" in fold.keywords()
    assert folded(source, "firmline.x") == (
        "def f(a, count, c):\n    b = a\n    return b + count * c\n"
    )
    assert folded(source) == source, "a script may be called by name"


def test_arguments_that_an_inner_function_uses_stay():
    source = "def f(word):\n    return lambda: word\n"

    assert folded(source, "firmline.x") == source


def test_private_names_are_short_and_shared_where_they_cannot_meet():
    short = fold.short_names()

    assert len(short) > 400
    assert len(set(short.values())) < 200
    assert "_open_port" not in short, "what builds is found by its name"
    poll, cycle = short["_poll_all"], short["_cycle_ms"]
    assert folded("x._cycle_ms = y._poll_all\n") == f"x.{cycle} = y.{poll}\n"


def test_no_class_and_no_module_has_two_names_that_became_one():
    short = fold.short_names()
    for tree in fold.trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names = fold.private(ast.walk(node)) & set(short)
                assert len({short[name] for name in names}) == len(names), node.name


def test_a_script_keeps_its_own_functions():
    source = "class A:\n\n    def _poll_all(self):\n        return self._poll_all\n"

    assert folded(source) == source


def test_a_constant_made_of_constants_is_known():
    assert constants()["firmline.services.config_fields"]["MAX_W"] == 10000000
    assert fold._value(fold.ast.parse("A * -2", mode="eval").body, {"A": 21}) == -42
    assert fold._value(fold.ast.parse("B", mode="eval").body, {"A": 21}) is None
    assert fold._value(fold.ast.parse("1.5", mode="eval").body, {}) is None


def test_a_public_name_gets_a_short_one_of_its_own():
    names = fold.public_names()

    assert len(names) > 100
    assert len(set(names.values())) == len(names)
    assert "command_w" in names and "firm_import_w" not in names, "a field of the configuration"
    text = "class A:\n\n    def may_feed(self):\n        return self.command_w\n"
    short = text.replace("may_feed", names["may_feed"]).replace("command_w", names["command_w"])
    assert folded(text) == short


def test_no_public_name_that_becomes_short_is_asked_for_where_nothing_is_folded():
    launcher = FIRMWARE_DIR.parent / "host_tools" / "launcher"
    files = [FIRMWARE_DIR / "main.py", FIRMWARE_DIR / "boot.py", *launcher.glob("*.py")]
    nodes = [node for file in files for node in fold.ast.walk(fold.ast.parse(file.read_text()))]
    asked = {node.attr for node in nodes if isinstance(node, fold.ast.Attribute)}

    assert len(files) > 2 and "is_restarting" in asked
    assert not asked & set(fold.public_names())


def test_no_public_name_that_becomes_short_is_one_of_micropython():
    files = list((FIRMWARE_DIR.parent / "typings").rglob("*.pyi"))
    if not files:
        pytest.skip("no stubs of the boards: make stubs")
    text = "".join(file.read_text(encoding="utf-8", errors="ignore") for file in files)
    known = set(re.findall(r"(?m)^\s*(?:def |class )?(\w+) ?[(:=]", text))

    assert {"reset_cause", "ticks_us", "duty_u16", "tick_hz"} <= known
    assert not known & set(fold.public_names())


@pytest.mark.slow
def test_every_firmware_test_passes_on_the_folded_firmware(tmp_path):
    """In MicroPython; the tests themselves are folded too, as their constants are gone."""
    shutil.copytree(FIRMWARE_DIR, tmp_path / "firmware")
    shutil.copytree(runtimes.DUAL, tmp_path / "dual", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "firmware").rglob("*.py"):
        path.write_text(folded(path.read_text(), module_name(path, tmp_path / "firmware")))
    for path in (tmp_path / "dual").rglob("*.py"):
        text = path.read_text()
        if "dir(" in text or "getattr(" in text or "setattr(link" in text:
            path.unlink()  # it asks for constants, or sets attributes, by name
        elif "(Console)" in text:
            path.unlink()  # a script keeps its private names, also those that it overrides
        else:
            path.write_text(folded(text))
    try:
        row = runtimes.run("unix64", tmp_path / "dual", tmp_path / "firmware")
    except runtimes.Missing as missing:
        pytest.skip(str(missing))

    assert row.is_ok, row.output[-3000:]
    assert row.ran > 450
