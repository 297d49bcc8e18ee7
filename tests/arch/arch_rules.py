# SPDX-License-Identifier: MIT
"""The rules of the firmware tree, checked on syntax trees: who may import whom, integers only,
nothing that allocates in core.

Each check takes a folder laid out like firmware/ and returns the violations as lines of text, so
that a test can plant one in a copy and see it found.
"""

import ast
from pathlib import Path

# Layer -> what it may import of the firmware; "core" means the folder, "core.units" the module.
MAY_IMPORT = {
    "core": ("core",),
    "modbus": ("modbus", "core.units"),
    "devices": ("devices", "modbus", "core"),
    "services": ("services", "devices", "modbus", "core", "hal", "boards", "version"),
    "hal": ("hal", "boards", "core.units"),  # boards are data: which pins, which levels
    "boards": ("boards", "core.units"),
    "app": ("app", "services", "devices", "modbus", "core", "hal", "boards", "version"),
    "entry": ("app", "devices", "modbus", "core", "hal", "boards", "version"),
    "package": (),
}

# Every MicroPython has these; there is no typing, dataclasses, enum or abc among them.
ON_EVERY_BOARD = frozenset(
    "array binascii collections errno gc hashlib io json math micropython os random re struct sys"
    " time".split()
)
HARDWARE = frozenset("machine rp2 esp32 network termios select socket".split())
NEVER = frozenset("asyncio uasyncio _thread threading hil host_tools".split())

# Layer -> what it may import from outside the firmware. hal and the entry files: all but NEVER.
MAY_USE = {
    "core": frozenset(("micropython", "array")),
    "modbus": frozenset(("micropython", "array")),
    "devices": frozenset(("micropython", "array")),
    "boards": frozenset(),
    "services": ON_EVERY_BOARD,
    "app": ON_EVERY_BOARD,
    "package": frozenset(),
}

INTEGER_LAYERS = ("core", "modbus")
IMPORTS_BY_NAME = ("app", "entry", "hal")  # may choose a module at run time: the board's
DECORATORS = frozenset(
    "property staticmethod classmethod micropython.native micropython.viper native viper".split()
)


def layer_of(relative):
    """The layer of a file, given its path below firmware/."""
    parts = Path(relative).parts
    if parts[0] != "firmline":
        return "entry"
    if len(parts) > 2:
        return parts[1]
    return "app" if parts[1].startswith("app") else "package"


def sources(root, pattern="*.py"):
    """(path below root, layer, syntax tree) of every Python file, or of those of a pattern."""
    root = Path(root)
    for file in sorted(root.rglob(pattern)):
        relative = file.relative_to(root).as_posix()
        yield relative, layer_of(relative), ast.parse(file.read_text(encoding="utf-8"), relative)


def violations(root, pattern="*.py"):
    """Everything in the tree that breaks a rule of this file."""
    found = []
    for relative, layer, tree in sources(root, pattern):
        for line, text in sorted(set(_file_violations(root, layer, tree))):
            found.append(f"{relative}:{line}: {text}")
    return found


def _file_violations(root, layer, tree):
    yield from import_violations(root, layer, tree)
    yield from language_violations(layer, tree)
    if layer != "entry":
        yield from import_time_violations(tree)
    if layer in INTEGER_LAYERS:
        yield from integer_violations(layer, tree)
    if layer == "core":
        yield from allocation_violations(tree)


# Imports


def _is_module(root, dotted):
    path = Path(root).joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(root, tree):
    """(line, dotted name) of each import; the name is a module's wherever there is such a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
                continue
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                is_own = node.module.split(".")[0] == "firmline" and _is_module(root, below)
                yield node.lineno, below if is_own else node.module


def import_violations(root, layer, tree):
    for line, name in imported(root, tree):
        top = name.split(".")[0]
        if name.startswith("."):
            yield line, f"relative import {name}"
        elif top in NEVER:
            yield line, f"firmware imports {name}"
        elif top == "firmline":
            inside = name.partition(".")[2]
            if layer not in MAY_IMPORT:
                yield line, f"layer {layer} has no rule"
            elif not any(_is_within(inside, allowed) for allowed in MAY_IMPORT[layer]):
                yield line, f"{layer} imports {name}"
        elif top in HARDWARE and layer not in ("hal", "entry"):
            yield line, f"{layer} imports hardware module {name}"
        elif layer in MAY_USE and top not in MAY_USE[layer]:
            yield line, f"{layer} imports {name}"


def _is_within(inside, allowed):
    if allowed == "app":
        return inside.split(".")[0].startswith("app")
    return inside == allowed or inside.startswith(allowed + ".")


# The language subset of the device


def language_violations(layer, tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)):
            yield node.lineno, "async in the firmware"
        elif isinstance(node, ast.Match):
            yield node.lineno, "match is not in MicroPython"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare except"
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for decorator in node.decorator_list:
                text = ast.unparse(decorator)
                if text not in DECORATORS and not text.endswith(".setter"):
                    yield decorator.lineno, f"decorator @{text}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("eval", "exec", "compile"):
                yield node.lineno, f"{node.func.id}() in the firmware"
            elif node.func.id == "__import__" and not _may_import_by_name(layer, node):
                yield node.lineno, "__import__() hides a dependency"


def _may_import_by_name(layer, call):
    """devices may choose among its own modules: the table of a product."""
    if layer != "devices":
        return layer in IMPORTS_BY_NAME
    return ast.unparse(call.args[0]).startswith("'firmline.devices.' + ")


# Work at import


def import_time_violations(tree):
    """A module, and a class body, holds imports, constants, definitions and import guards only."""
    yield from _body_violations(tree.body)


def _body_violations(body):
    for node in body:
        if isinstance(node, ast.Try):
            yield from _guard_violations(node)
        elif isinstance(node, ast.ClassDef):
            yield from _body_violations(node.body)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield from _value_violations(node)
        elif not (
            isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Pass))
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ):
            yield node.lineno, f"work at import: {ast.unparse(node).splitlines()[0]}"


def _guard_violations(node):
    caught = [ast.unparse(handler.type) for handler in node.handlers if handler.type]
    is_guard = (
        all(isinstance(inner, (ast.Import, ast.ImportFrom, ast.Assign)) for inner in node.body)
        and caught == ["ImportError"] * len(node.handlers)
        and not node.finalbody
    )
    if not is_guard:
        yield node.lineno, "work at import: try that is not an import guard"
    for block in [node.body, node.orelse, *[handler.body for handler in node.handlers]]:
        yield from _body_violations(block)


def _value_violations(node):
    """A constant may be built by a plain function or constructor, not by asking another module."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            yield inner.lineno, f"work at import: {ast.unparse(inner)}"


# Integers only


def integer_violations(layer, tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            yield node.lineno, f"/ in {layer}: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
            yield node.lineno, f"float in {layer}: {node.value}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("divmod", "float", "round"):
                yield node.lineno, f"{node.func.id}() in {layer}"


# What allocates: core, outside __init__ and the private helpers that only __init__ calls

_ALLOCATES = {
    ast.ListComp: "list comprehension",
    ast.SetComp: "set comprehension",
    ast.DictComp: "dict comprehension",
    ast.GeneratorExp: "generator expression",
    ast.Yield: "generator",
    ast.YieldFrom: "generator",
    ast.Lambda: "lambda",
    ast.JoinedStr: "f-string",
    ast.Raise: "raise",
    ast.Starred: "star argument",
    ast.FunctionDef: "function inside a function",
    ast.ClassDef: "class inside a function",
}
_ALLOCATING_CALLS = frozenset("enumerate zip map filter sorted reversed format str repr".split())


def allocation_violations(tree):
    functions = list(_functions(tree.body))
    at_start = _names([function for function in functions if function.name == "__init__"])
    later = _names([function for function in functions if function.name != "__init__"])
    for function in functions:
        is_private = function.name.startswith("_") and not function.name.startswith("__")
        only_at_start = is_private and function.name in at_start - later
        if function.name == "__init__" or only_at_start:
            continue
        arguments = function.args
        if arguments.vararg or arguments.kwarg:
            yield function.lineno, f"{function.name} takes * or ** arguments"
        for node in [inner for statement in function.body for inner in ast.walk(statement)]:
            yield from _allocation(function.name, node)


def _names(functions):
    """Every name and attribute that the bodies of some functions mention."""
    nodes = [node for function in functions for node in ast.walk(function)]
    return {getattr(node, "id", getattr(node, "attr", None)) for node in nodes}


def _functions(body):
    """Functions and methods of a module, not those inside functions."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, (ast.ClassDef, ast.Try, ast.ExceptHandler)):
            yield from _functions(node.body + getattr(node, "handlers", []))


def _allocation(function, node):
    if type(node) in _ALLOCATES:
        yield node.lineno, f"{function}: {_ALLOCATES[type(node)]}"
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _ALLOCATING_CALLS:
            yield node.lineno, f"{function}: {name}()"
        if any(keyword.arg is None for keyword in node.keywords):
            yield node.lineno, f"{function}: ** argument"
    elif isinstance(node, (ast.For, ast.While)):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Try):
                yield inner.lineno, f"{function}: try inside a loop"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
            yield node.lineno, f"{function}: string formatting"
