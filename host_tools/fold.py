# SPDX-License-Identifier: MIT
"""Folds the firmware's integer constants into the code that uses them, before it is compiled.

MicroPython does it for private ones (`_X = const(1)`) of the same module. A public one costs a
board about 40 bytes of RAM (its name, a slot in its module and in each importer) and a look-up at
each use. Here `from firmline.core.mode import TRIPPED` and `modes.TRIPPED` become the number, and
the definition goes. Arguments, private names, and attributes and methods with a "_" in their name
become short. Everything else stays as written. A script that runs on a board beside the compiled
firmware, as those of tests/pico do, has to be folded too.
"""

import ast
from functools import cache
from keyword import iskeyword
from pathlib import Path

import firmline

FIRMWARE_DIR = Path(__file__).resolve().parents[1] / "firmware"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Public names that stay: MicroPython's own objects have them too, or boot.py or main.py, which are
# put on a board as they are written, ask for them (tests compare)
NOT_OURS = ("is_set", "reset_cause", "ticks_ms", "ticks_us", "timeout_ms", "is_restarting")
PACKAGE = FIRMWARE_DIR / "firmline"
if not PACKAGE.is_dir():  # installed, without a checkout
    PACKAGE = Path(firmline.__file__).parent


@cache
def constants():
    """{dotted module: {name: integer}} of every `NAME = const(...)` of the firmware."""
    trees = {}
    for path in sorted(FIRMWARE_DIR.rglob("*.py")):
        dotted = path.relative_to(FIRMWARE_DIR).with_suffix("").as_posix().replace("/", ".")
        trees[dotted.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    found = {dotted: {} for dotted in trees}
    before = -1
    while before != sum(map(len, found.values())):  # a constant may be made of another module's
        before = sum(map(len, found.values()))
        for dotted, tree in trees.items():
            known = _Names(tree, found).numbers
            for node in tree.body:
                if _is_definition(node):
                    value = _value(node.value.args[0], {**known, **found[dotted]})
                    if value is not None:
                        found[dotted][node.targets[0].id] = value
    return found


def _is_definition(node):
    return (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "const"
    )


def _value(expression, known):
    """The integer that an expression of integers and known constants is, else None."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and node.id not in known:
            return None
        if isinstance(node, (ast.Call, ast.Attribute)):
            return None
    value = eval(compile(ast.Expression(expression), "const", "eval"), {}, dict(known))
    return value if type(value) is int else None


class _Names:
    """What the imports of a module give: constants by name, and modules by the name they have."""

    def __init__(self, tree, table):
        self.numbers = {}
        self.modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    own = alias.asname or alias.name
                    if alias.name in table.get(node.module, ()):
                        self.numbers[own] = table[node.module][alias.name]
                    elif f"{node.module}.{alias.name}" in table:
                        self.modules[own] = table[f"{node.module}.{alias.name}"]


class _Fold(ast.NodeTransformer):
    def __init__(self, tree, dotted):
        table = constants()
        names = _Names(tree, table)
        self._table = table
        self._modules = names.modules
        self._own = table.get(dotted, {})
        self._numbers = {**names.numbers, **self._own}
        nodes = ast.walk(tree)
        self._is_ours = dotted != ""
        self._functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        self._globals = _module_level(tree) if self._is_ours else set()
        self._public = _public_functions(tree) & set(public_names()) - _own_names(tree)

    def visit_ClassDef(self, node):
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                part.name = public_names().get(part.name, part.name)
            if isinstance(part, ast.Assign):
                for target in part.targets:
                    if isinstance(target, ast.Name):
                        target.id = public_names().get(target.id, target.id)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node):
        if self._is_ours:
            node.name = short_names().get(node.name, node.name)
        if node.name in self._public:
            node.name = public_names()[node.name]
        return self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in self._globals or (self._is_ours and node.id in self._functions):
            node.id = short_names().get(node.id, node.id)
        if node.id in self._public:
            node.id = public_names()[node.id]
        if isinstance(node.ctx, ast.Load) and node.id in self._numbers:
            return ast.copy_location(ast.Constant(self._numbers[node.id]), node)
        return node

    def visit_Attribute(self, node):
        if self._is_ours or node.attr not in self._functions:  # a script's own stay
            node.attr = short_names().get(node.attr, node.attr)
        node.attr = public_names().get(node.attr, node.attr)
        if isinstance(node.value, ast.Name) and node.attr in self._modules.get(node.value.id, ()):
            return ast.copy_location(ast.Constant(self._modules[node.value.id][node.attr]), node)
        return self.generic_visit(node)

    def visit_Assign(self, node):
        if _is_definition(node) and node.targets[0].id in self._own:
            return None
        return self.generic_visit(node)

    def visit_ImportFrom(self, node):
        known = self._table.get(node.module, {})
        node.names = [alias for alias in node.names if alias.name not in known]
        for alias in node.names:
            if alias.name in public_names() and (node.module or "").startswith("firmline"):
                if alias.name not in self._public:
                    alias.asname = alias.asname or alias.name
                alias.name = public_names()[alias.name]
        return node if node.names else None


@cache
def trees():
    """{dotted module: its syntax tree} of the package; boot.py and main.py stay as written."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def private(nodes):
    """The private names of attributes and functions among these."""
    found = set()
    for node in nodes:
        found |= {getattr(node, "attr", ""), getattr(node, "name", "")}
    return {name for name in found - {None} if name[:1] == "_" and name[:2] != "__"}


def _module_level(tree):
    """The private variables of a module; not constants, nor what a function shadows."""
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            own |= set(node.names)
        if isinstance(node, ast.Assign):
            names = {
                name.id for target in node.targets for name in ast.walk(target) if _is_name(name)
            }
            if node not in tree.body or _is_definition(node):
                own |= names
            else:
                found |= {name for name in names if name[:1] == "_" and name[:2] != "__"}
    return found - own


def _public_functions(tree):
    """The functions of a module, and what it takes from others by name."""
    found = {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("firmline"):
            found |= {alias.name for alias in node.names if alias.asname is None}
    return found


def _own_names(tree):
    """Arguments and variables."""
    nodes = list(ast.walk(tree))
    found = {node.arg for node in nodes if isinstance(node, (ast.arg, ast.keyword))}
    return found | {n.id for n in nodes if _is_name(n) and isinstance(n.ctx, ast.Store)}


def _is_name(node):
    return isinstance(node, ast.Name)


@cache
def public_names():
    """{name: short name} of the attributes, methods and functions of the firmware that have a "_"
    in their name, each with a short one of its own. Not those that a text names (getattr, a field
    of the configuration), what memory.strip goes by, functions whose name is also a variable's,
    and NOT_OURS."""
    nodes = [node for tree in trees().values() for node in ast.walk(tree)]
    found = {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_made(node)}
    for owner in [node for node in nodes if isinstance(node, ast.ClassDef)]:
        for part in owner.body:
            found |= {getattr(part, "name", "")}
            found |= {getattr(target, "id", "") for target in getattr(part, "targets", ())}
    for tree in trees().values():
        found |= {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}
    variables = set().union(*map(_own_names, trees().values()))
    for tree in trees().values():
        found -= _public_functions(tree) & variables
    found -= {node.value for node in nodes if isinstance(node, ast.Constant)} | set(NOT_OURS)
    taken = {getattr(node, field, "") for node in nodes for field in ("attr", "id", "name", "arg")}
    free = (a + b for a in LETTERS for b in LETTERS)
    free = (name for name in free if name not in taken and not iskeyword(name))
    names = {name for name in found if "_" in name.strip("_") and name[0] not in "_"}
    return {name: next(free) for name in sorted(names) if not name.startswith("open_")}


def _is_made(node):
    """A function, or an attribute that gets a value: not one of MicroPython's own."""
    is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    return is_set or isinstance(node, ast.FunctionDef)


class Census:
    """The private names of the firmware, and where they meet.

    families: {frozenset of classes that inherit from each other: names}. outside: {dotted module:
    names that stand in none of its classes}. made: all that the firmware itself gives a value.
    kept: what a text or a class body names. shown: every attribute.
    """

    def __init__(self):
        self.families, self.outside = {}, {}
        self.made, self.kept, self.shown = set(), set(), set()
        for dotted, tree in trees().items():
            nodes = list(ast.walk(tree))
            self.kept |= {node.value for node in nodes if isinstance(node, ast.Constant)}
            self.shown |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            self.made |= private(node for node in nodes if _is_made(node))
            inside = set()
            for node in nodes:
                if isinstance(node, ast.ClassDef):
                    self._keep_assigned(node)
                    inside |= set(ast.walk(node))
                    self._add_class(node)
            variables = _module_level(tree)
            self.made |= variables
            outside = private(node for node in nodes if node not in inside)
            self.outside[dotted] = outside | variables

    def _keep_assigned(self, holder):
        """What a class body gives a value by its bare name."""
        for node in holder.body:
            if isinstance(node, ast.Assign):
                self.kept |= {name.id for name in node.targets if isinstance(name, ast.Name)}

    def _add_class(self, node):
        family = {node.name, *(getattr(base, "id", "") for base in node.bases)} - {""}
        names = private(ast.walk(node))
        for one in [one for one in self.families if one & family]:
            family |= one
            names |= self.families.pop(one)
        self.families[frozenset(family)] = names


@cache
def census():
    return Census()


@cache
def short_names():
    """{"_name": short name} of the private attributes and functions, the same in all modules. Two
    names share a short one unless one class (with its bases) or one module has both: a board keeps
    each name once. What a text or a class body names stays, and `_open_`, by which memory.strip
    goes."""
    found = census()
    outside = set().union(*found.outside.values())
    groups = [*found.families.values(), *found.outside.values()]
    names = {name for name in found.made - found.kept if not name.startswith("_open_")}
    free = ["_" + a + b for a in LETTERS for b in ["", *LETTERS]]
    free = [choice for choice in free if choice not in found.shown | found.kept]
    short = {}
    for name in sorted(names, key=lambda name: (name not in outside, name)):
        near = set()
        for one in groups:
            if name in one or name in outside:
                near |= {short[other] for other in one if other in short}
        short[name] = next(choice for choice in free if choice not in near)
    return short


@cache
def keywords():
    """Every name that some call of the firmware passes an argument by."""
    return {
        node.arg
        for path in FIRMWARE_DIR.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword)
    }


def shorten_arguments(function):
    """Each argument's name is kept by a board, at 20 bytes: they become a, b, c, the same in every
    function. Not where a call may name them, or an inner function may use them."""
    inside = list(ast.walk(function))[1:]
    if any(isinstance(n, (ast.FunctionDef, ast.Lambda, ast.Global, ast.Nonlocal)) for n in inside):
        return
    taken = {node.id for node in inside if isinstance(node, ast.Name)}
    taken |= {node.arg for node in inside if isinstance(node, ast.arg)}
    free = (name for name in "abcdefghijklmnopqrstuvwxyz" if name not in taken)
    short = {}
    for argument in function.args.args:
        if argument.arg not in keywords() and argument.arg != "self":
            short[argument.arg] = argument.arg = next(free)
    for node in inside:
        if isinstance(node, ast.Name):
            node.id = short.get(node.id, node.id)


def folded(text, dotted=""):
    """`text`, the source of the module `dotted` (or a script), with the constants folded and, in
    a module, the arguments shortened."""
    tree = ast.parse(text)
    tree = _Fold(tree, dotted).visit(tree)
    if dotted:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                shorten_arguments(node)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    _drop_imports(tree, used)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _drop_imports(tree, used):
    """`const`, and modules of the firmware, that nobody asks for any more."""
    for node in list(tree.body):
        if isinstance(node, ast.ImportFrom):
            node.names = [alias for alias in node.names if not _is_idle(node, alias, used)]
            if not node.names:
                tree.body.remove(node)


def _is_idle(node, alias, used):
    is_module = f"{node.module}.{alias.name}" in constants()
    return (alias.asname or alias.name) not in used and (is_module or alias.name == "const")
