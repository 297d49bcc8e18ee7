# SPDX-License-Identifier: MIT
"""What the documents promise exists: tests, files, checks of the bench, hazards, pins, links.

Each check takes text and returns what is wrong as lines, so that a planted mistake can be seen
found. Run as a program it writes the checks of the scenarios into docs/requirements.md anew.
"""

import ast
import importlib
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FIRMWARE = ROOT / "firmware"
BOARDS = [
    importlib.import_module(f"firmline.boards.{file.stem}")
    for file in sorted((FIRMWARE / "firmline/boards").glob("*.py"))
    if file.stem != "__init__"
]
TRACED = ("requirements.md", "safety.md")
CODE_ROOTS = (FIRMWARE / "firmline", FIRMWARE, ROOT)
PAGES = sorted(DOCS.glob("*.md")) + sorted(ROOT.glob("*.md"))
# scenarios.md and adding-a-meter.md name files that their reader is going to write.
NAMING_SOURCES = [f for f in PAGES if f.stem not in ("scenarios", "adding-a-meter")]
STATES = ("works", "partly", "not yet")

# path.py::test_name or test_name; not the file test_name.py
CITATION = re.compile(r"(?:([\w./-]+\.py)::)?\b(test_\w+)\b(?!\.\w)")
CODE_PATH = re.compile(r"`([\w./-]+\.(?:py|toml))(?:::\w+)?`")
COMMAND_PATH = re.compile(r"[ `]((?:tests|hil|host_tools|firmware)/[\w/-]+\.py)\b")
LINK = re.compile(r"\]\(([^)\s]*)\)")
HAZARDS = re.compile(r"Hazards?\s+((?:H-\d\d(?:\.\.|,\s*|\s+and\s+)?)+)")
BEGIN = "<!-- begin: made by tests/arch/test_docs_trace.py -->"
END = "<!-- end -->"


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


# What there is


@cache
def names_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@cache
def every_test():
    files = [f for f in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in f.parts]
    return frozenset().union(*(names_in(file) for file in files))


@cache
def bench_checks():
    """[(requirement, scenario, id, metric)] of every check in the packaged scenarios."""
    found = []
    for file in (ROOT / "hil/scenarios").glob("*.toml"):
        for expect in tomllib.loads(file.read_text(encoding="utf-8")).get("expect", ()):
            found.append((expect["requirement"], file.stem, expect["id"], expect["metric"]))
    return sorted(found)


def numbers(text):
    """{"H-01", ...} of a citation such as `H-01, H-03` or `H-01..H-05`."""
    found = set(re.findall(r"H-\d\d", text))
    for first, last in re.findall(r"H-(\d\d)\.\.H-(\d\d)", text):
        found |= {f"H-{n:02d}" for n in range(int(first), int(last) + 1)}
    return found


def hazards_in_code():
    """{"core/guard.py": {"H-01", ...}}: every citation in the firmware."""
    found = {}
    for file in sorted(FIRMWARE.rglob("*.py")):
        cited = set()
        for match in HAZARDS.finditer(file.read_text(encoding="utf-8")):
            cited |= numbers(match[1])
        if cited:
            name = file.relative_to(FIRMWARE).as_posix().removeprefix("firmline/")
            found[name] = cited
    return found


# What is wrong with a text


def missing_tests(text):
    wrong = []
    for path, name in CITATION.findall(text):
        if not path:
            if name not in every_test():
                wrong.append(f"{name}: no such test")
            continue
        file = ROOT / path if path.startswith("tests/") else ROOT / "tests" / path
        if not file.is_file():
            wrong.append(f"{path}::{name}: no such file")
        elif name not in names_in(file):
            wrong.append(f"{path}::{name}: no such test in it")
    return wrong


def misplaced_tests(text):
    """A test without a path has to be in the file named before it in the same cell or item."""
    wrong = []
    for line in re.split(r"\n\n|\n- |\||\n#", text):
        path = None
        for own_path, name in CITATION.findall(line):
            path = own_path or path
            file = ROOT / "tests" / (path or "").removeprefix("tests/")
            if path and file.is_file() and name not in names_in(file):
                wrong.append(f"{name}: not in {path}, which is named before it")
    return wrong


def missing_files(text):
    wrong = []
    for path in CODE_PATH.findall(text) + COMMAND_PATH.findall(text):
        roots = CODE_ROOTS + (ROOT / "tests",)
        if not any((root / path).is_file() for root in roots):
            wrong.append(f"{path}: no such file")
    return wrong


def table_rows(text, pattern):
    """{id: cells} of the table rows whose first cell is an id; an id twice is an error."""
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and re.fullmatch(pattern, cells[0]) and len(cells) > 3:
            assert cells[0] not in rows, f"{cells[0]} twice"
            rows[cells[0]] = cells
    return rows


def wrong_requirements(text):
    rows = table_rows(text, r"M\d\d")
    wrong = [f"M{n:02d}: no row" for n in range(1, 31) if f"M{n:02d}" not in rows]
    for name, cells in rows.items():
        state, tests = cells[2], cells[-1]
        if state not in STATES:
            wrong.append(f"{name}: state {state!r}")
        elif state != "not yet" and not CITATION.search(tests):
            wrong.append(f"{name}: {state}, with no test")
    return wrong


def wrong_rules(text):
    rows = table_rows(text, r"R\d+")
    wrong = [f"R{n}: no row" for n in range(1, 12) if f"R{n}" not in rows]
    return wrong + [f"{name}: no test" for name, c in rows.items() if not CITATION.search(c[3])]


def checks_table(checks):
    """The bench's checks as the table of requirements.md, a row for each scenario."""
    rows = {}
    for requirement, scenario, name, metric in checks:
        rows.setdefault((requirement, scenario), []).append(f"{name} ({metric})")
    head = "| requirement | scenario | checks |\n|---|---|---|\n"
    return head + "".join(f"| {m} | `{s}` | {', '.join(c)} |\n" for (m, s), c in rows.items())


def with_checks(text, checks):
    """`text` with a fresh table between its markers."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n\n" + checks_table(checks) + "\n" + END + rest.split(END)[1]


def hazard_sections(text):
    parts = re.split(r"^## (H-\d\d)\b", text, flags=re.MULTILINE)
    return {name: body.split("\n## ")[0] for name, body in zip(parts[1::2], parts[2::2])}


def wrong_hazards(text, in_code):
    """The document and the citations in the code name the same hazards, both ways."""
    sections = hazard_sections(text)
    wrong = []
    for file, cited in in_code.items():
        for name in sorted(cited - set(sections)):
            wrong.append(f"{file} cites {name}, which the document does not have")
    for name, body in sections.items():
        if f"| {name} |" not in text:
            wrong.append(f"{name}: not in the table")
        if not CITATION.search(body):
            wrong.append(f"{name}: no test")
        said = re.search(r"^- (Not named|Named) in the code: (.*(?:\n  .*)*)", body, re.MULTILINE)
        citing = {file for file, cited in in_code.items() if name in cited}
        if said is None:
            wrong.append(f"{name}: does not say where the code names it")
        elif said[1] == "Named" and set(CODE_PATH.findall(said[2])) != citing:
            wrong.append(f"{name}: the code names it in {sorted(citing)}")
        elif said[1] == "Not named" and citing:
            wrong.append(f"{name}: but the code names it in {sorted(citing)}")
    return wrong


def broken_links(text, folder):
    wrong = []
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if ":" in path or link.startswith("#") and not anchor:
            continue
        target = folder / path if path else None
        if target is not None and not target.exists():
            wrong.append(f"{link}: no such file")
        elif anchor:
            body = text if target is None else target.read_text(encoding="utf-8")
            if anchor not in anchors(body):
                wrong.append(f"{link}: no such heading")
    return wrong


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def missing_pins(text, board):
    rows = [f"| {name} | {' | '.join(map(str, pins))} |" for name, pins in board.UARTS.items()]
    rows.append(f"| {', '.join(map(str, board.OUTPUT_PINS))} |")
    for key in ("INPUT_PINS", "PWM_PINS", "ADC_PINS"):
        pins = getattr(board, key)
        rows += [f"| {', '.join(map(str, pins))} |"] if pins else []
    rows.append(f"| {board.SERVICE_PIN} |")
    return [f"{board.NAME}: {row}" for row in rows if row not in text]


def hardware_uses(source):
    """Attributes that a module asks of `hardware` and `self._hardware`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if owner in ("hardware", "_hardware"):
                found.add(node.attr)
    return found


# Tests


@pytest.mark.parametrize("name", TRACED)
def test_every_test_that_a_document_names_exists(name):
    assert len(CITATION.findall(page(name))) > 50
    assert not missing_tests(page(name))
    assert not misplaced_tests(page(name))


@pytest.mark.parametrize(
    "text",
    [
        "`test_that_nobody_wrote`",
        "`dual/test_core_limits.py::test_that_nobody_wrote`",
        "`tests/dual/test_core_limits.py::test_lost_until_the_first_input`",
        "`dual/test_of_nothing.py::test_firm_from_the_start`",
    ],
)
def test_a_test_that_does_not_exist_is_found(text):
    assert missing_tests(text)


def test_a_test_of_another_file_is_found():
    good = (
        "`dual/test_core_limits.py::test_firm_from_the_start`, `test_directions_are_independent`"
    )
    assert not missing_tests(good) + misplaced_tests(good)
    assert misplaced_tests(good.replace("test_directions_are_independent", "test_sdm630_values"))


@pytest.mark.parametrize("file", NAMING_SOURCES, ids=lambda file: file.name)
def test_every_source_that_a_document_names_exists(file):
    assert not missing_files(file.read_text(encoding="utf-8"))


def test_a_source_that_does_not_exist_is_found():
    assert not missing_files("`core/guard.py` `hil/bench.py` `tests/conftest.py` `main.py`")
    assert missing_files("`python -m pytest tests/dual/test_gard.py`")
    assert missing_files("`core/gard.py`") and missing_files("`hil/scenarios/none.toml`")


def test_every_requirement_has_a_row_a_state_and_a_test_if_it_works():
    assert not wrong_requirements(page("requirements.md"))


@pytest.mark.parametrize(
    "old, new",
    [
        ("| M17 |", "| M99 |"),
        ("| Limited Power | works |", "| Limited Power | done |"),
        ("| Islanding | not yet |", "| Islanding | works |"),
    ],
)
def test_a_wrong_row_is_found(old, new):
    text = page("requirements.md")
    assert old in text
    assert wrong_requirements(text.replace(old, new))


def test_every_control_rule_has_a_row_and_a_test():
    text = page("requirements.md")
    assert not wrong_rules(text)
    assert wrong_rules(text.replace("| R10 |", "| R12 |"))
    assert wrong_rules(text.replace("test_", ""))


def test_every_check_of_the_bench_is_listed():
    text = page("requirements.md")
    assert text == with_checks(text, bench_checks()), "python tests/arch/test_docs_trace.py"
    assert len(bench_checks()) > 20
    assert text != with_checks(text, bench_checks() + [("M99", "none", "TC-M99-01", "none")])
    assert text != with_checks(text, bench_checks()[1:])


def test_hazards_of_the_code_and_of_the_document_agree():
    assert not wrong_hazards(page("safety.md"), hazards_in_code())


def test_hazards_are_read_from_lists_and_ranges():
    cited = hazards_in_code()
    assert cited["core/limits.py"] >= {"H-01"}
    assert cited["core/guard.py"] >= {"H-01", "H-02", "H-03", "H-04", "H-05"}
    assert numbers("H-03, H-05") == {"H-03", "H-05"}
    assert numbers("H-01..H-04") == {"H-01", "H-02", "H-03", "H-04"}


@pytest.mark.parametrize(
    "old, new",
    [
        ("## H-06 ", "## H-66 "),
        ("| H-06 |", "| H-66 |"),
        ("- Named in the code: `core/supervisor.py`", "- Named in the code: `core/mode.py`"),
        ("- Named in the code: `core/supervisor.py`", "- Not named in the code: why"),
        ("- Not named in the code", "- Named nowhere"),
    ],
)
def test_a_hazard_that_disagrees_is_found(old, new):
    text = page("safety.md")
    assert old in text
    assert wrong_hazards(text.replace(old, new), hazards_in_code())


def test_a_hazard_that_only_the_code_knows_is_found():
    in_code = hazards_in_code() | {"core/new.py": {"H-77"}}
    assert wrong_hazards(page("safety.md"), in_code)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_every_link_leads_somewhere(file):
    assert not broken_links(file.read_text(encoding="utf-8"), file.parent)


def test_a_link_to_nowhere_is_found():
    assert not broken_links("[a](safety.md#what-is-assumed) [b](https://example.org/x)", DOCS)
    assert broken_links("[a](nowhere.md)", DOCS)
    assert broken_links("![a](nowhere.png)", DOCS)
    assert broken_links("[a](safety.md#no-such-heading)", DOCS)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.NAME)
def test_pin_tables_are_those_of_the_firmware(board):
    text = page("wiring.md")
    assert not missing_pins(text, board)
    for row in missing_pins("", board):
        assert missing_pins(text.replace(row.split(": ")[1], "| ? |"), board)


def test_everything_the_controller_asks_of_the_hardware_is_in_the_contract():
    text = page("porting.md")
    files = "assembly boot config_source files safe_mode tools".split()
    sources = [FIRMWARE / f"firmline/services/{name}.py" for name in files]
    sources.append(FIRMWARE / "firmline/app.py")
    uses = set().union(*(hardware_uses(source.read_text("utf-8")) for source in sources))
    assert {"open_port", "feed_watchdog", "read_config", "model", "open_console"} <= uses
    assert not [name for name in sorted(uses) if not re.search(rf"`{name}[`(]", text)]
    assert hardware_uses("hardware.a + self._hardware.b()") == {"a", "b"}


if __name__ == "__main__":
    (DOCS / "requirements.md").write_text(
        with_checks(page("requirements.md"), bench_checks()), encoding="utf-8"
    )
