# SPDX-License-Identifier: MIT
"""Breaks the core on purpose, one small change at a time, and lists what no test noticed.

    python tests/props/mutate.py guard limits freshness escalation

Comparisons, `and`/`or`, `min`/`max`, + and -, constants and `not` are changed in a copy of the
firmware; the dual tests of the core run against it. Not a test itself: a mutant may be equivalent.
"""

import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_COMPARE = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
_BINARY = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


def variants(node):
    """Functions that break `node` in place, each in one way."""
    if isinstance(node, ast.Compare):
        for k, operator in enumerate(node.ops):
            for other in _COMPARE.get(type(operator), ()):
                yield f"{ast.unparse(node)} -> {other.__name__}", _set_item(node.ops, k, other())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{ast.unparse(node)} -> {type(other).__name__}", _set(node, "op", other)
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _BINARY:
        other = _BINARY[type(node.op)]()
        yield f"{ast.unparse(node)} -> {type(other).__name__}", _set(node, "op", other)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("min", "max"):
        other = "max" if node.func.id == "min" else "min"
        yield f"{ast.unparse(node)} -> {other}", _set(node.func, "id", other)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"{ast.unparse(node)} -> without not", _set(node, "op", ast.UAdd())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"{ast.unparse(node)} -> without minus", _set(node, "op", ast.UAdd())
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{node.value} -> {node.value + 1}", _set(node, "value", node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{node.value} -> {not node.value}", _set(node, "value", not node.value)


def _set(node, name, value):
    return lambda: setattr(node, name, value)


def _set_item(items, k, value):
    return lambda: items.__setitem__(k, value)


def mutants(source):
    """(line, what, changed source) of every mutant."""
    tree = ast.parse(source)
    for at, node in enumerate(ast.walk(tree)):
        for number, (what, _) in enumerate(list(variants(node))):
            broken = copy.deepcopy(tree)
            same = list(ast.walk(broken))[at]
            list(variants(same))[number][1]()
            yield getattr(node, "lineno", 0), what, ast.unparse(broken)


def survives(module, changed, tests):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "firmware", Path(folder) / "firmware")
        (Path(folder) / "firmware/firmline/core" / f"{module}.py").write_text(changed)
        shutil.copytree(ROOT / "tests/dual", Path(folder) / "dual")
        command = [
            sys.executable,
            str(ROOT / "tests/runtimes/mini.py"),
            "firmware",
            "dual",
            *tests,
        ]
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, timeout=60
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main(modules):
    # the module's own tests first decide; who survives meets all of the core's
    everything = sorted(path.stem for path in (ROOT / "tests/dual").glob("test_core_*.py"))
    alive = 0
    for module in modules:
        source = (ROOT / "firmware/firmline/core" / f"{module}.py").read_text()
        found = list(mutants(source))

        def judge(mutant, module=module):
            return survives(module, mutant[2], [f"test_core_{module}"]) and survives(
                module, mutant[2], everything
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            verdicts = list(pool.map(judge, found))
        left = [mutant for mutant, is_alive in zip(found, verdicts) if is_alive]
        alive += len(left)
        print(f"{module}: {len(found)} mutants, {len(found) - len(left)} killed, {len(left)} left")
        for line, what, _ in left:
            print(f"  line {line}: {what}")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["guard", "limits", "freshness", "escalation"]))
