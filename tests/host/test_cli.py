# SPDX-License-Identifier: MIT
"""`python -m hil`: what a run writes and says, its exit status, and what is left when it ends
half-way."""

import csv
import errno
import json
import os
import signal
from dataclasses import replace

import pytest

from hil import demo
from hil.report import files
from hil.scenarios.load import load
from hil.targets.firmware import TargetError, find_micropython
from hil.targets.stepped import LockstepTarget, VirtualTarget
from tests.host.cli_runs import call, small, start, tree

# The bench contract, as literals: tools outside this repository read these names.
FIVE = {"summary.json", "trace.csv", "events.jsonl", "report.html", "junit.xml"}
TOP = "scenario target seed duration_s firmware verdict metrics checks"
NUMBERS = (
    "import_over_limit_s import_longest_excursion_s import_peak_over_w import_excursions "
    "export_over_limit_s export_longest_excursion_s export_peak_over_w export_excursions "
    "current_over_limit_s current_longest_excursion_s current_peak_over_a current_excursions "
    "cycles late_cycles sim_speed headroom_used"
)
CHECK = "id requirement limit measured unit uncertainty margin verdict"
EXPECT_ONE = """[[expect]]
id = "TC-M01-09"
metric = "import_over_limit_s"
max = 0
requirement = "M01"
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def interpreter():
    try:
        return find_micropython()
    except TargetError as error:
        pytest.skip(str(error))


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


# --- a run ---


def test_run_writes_the_five_files_and_keeps_the_contract(capsys, tmp_path):
    status, out, err = call(capsys, "run", small(tmp_path), "--out", "out/deep")

    assert (status, err) == (0, "")
    assert {path.name for path in (tmp_path / "out" / "deep").iterdir()} == FIVE
    assert {path.name for path in tmp_path.iterdir()} == {"mine.toml", "out"}
    summary = summary_of(tmp_path / "out" / "deep")
    assert list(summary) == TOP.split()
    told = [summary[key] for key in ("scenario", "target", "seed", "duration_s", "verdict")]
    assert told == ["small", "virtual", 1, 3, "PASS"]
    metrics = summary["metrics"]
    for name in NUMBERS.split():
        assert isinstance(metrics[name], (int, float)), name
    for name in ("response_s", "fallback_s"):
        assert list(metrics[name]) == ["count", "p50", "p99", "max"]
    assert metrics["cycles"] > 10
    assert metrics["relay_operations"] == {"total": 0}
    assert "worst_cycle_us" in metrics
    assert [list(check) for check in summary["checks"]] == [CHECK.split()]
    assert summary["checks"][0]["id"] == "TC-M01-09"


def test_run_says_what_was_checked_and_where_the_report_is(capsys, tmp_path):
    _, out, _ = call(capsys, "run", small(tmp_path))

    lines = out.splitlines()
    assert lines[0] == "A test bay"
    assert lines[1].startswith("target virtual, seed 1, firmware ")
    row = next(line for line in lines if line.startswith("TC-M01-09"))
    assert row.split() == "TC-M01-09 M01 import_over_limit_s <= 0 s 0 s PASS".split()
    assert any(line.split()[:3] == ["tolerance", "1", "%"] for line in lines)
    assert lines[-2:] == ["PASS", "report: build/small/report.html"]
    assert (tmp_path / "build" / "small" / "report.html").is_file()
    assert max(map(len, lines)) <= 80


def test_new_report_takes_the_place_of_the_earlier_one(capsys, tmp_path):
    call(capsys, "run", small(tmp_path))
    call(capsys, "run", small(tmp_path), "--seed", "5")

    assert summary_of(tmp_path / "build" / "small")["seed"] == 5
    assert {path.name for path in (tmp_path / "build" / "small").iterdir()} == FIVE
    assert {path.name for path in (tmp_path / "build").iterdir()} == {"small"}


def test_packaged_scenario_is_found_even_where_a_folder_has_its_name(capsys, tmp_path):
    (tmp_path / "meter_cut").mkdir()
    assert call(capsys, "run", "meter_cut", "--out", "out")[0] == 0


def test_run_in_micropython(capsys, tmp_path, interpreter):
    status, out, _ = call(capsys, "run", small(tmp_path), "--target", "micropython")

    assert status == 0
    assert summary_of(tmp_path / "build" / "small")["target"] == "micropython"


def test_check_that_cannot_hold_ends_in_1(capsys, tmp_path):
    path = small(tmp_path, ("max = 0\n", "min = 1\n"))
    status, out, err = call(capsys, "run", path)

    assert (status, err) == (1, "")
    assert out.splitlines()[-2] == "FAIL"
    assert ">= 1 s  0 s       FAIL" in out
    summary = summary_of(tmp_path / "build" / "small")
    assert summary["verdict"] == "FAIL"
    assert summary["checks"][0]["margin"] == -1


def test_what_was_never_measured_fails(capsys, tmp_path):
    path = small(tmp_path, ('metric = "import_over_limit_s"', 'metric = "fallback_s.max"'))
    status, out, _ = call(capsys, "run", path)

    assert status == 1
    assert "<= 0 s  nothing   FAIL" in out


def test_run_without_checks_is_inconclusive_and_says_why(capsys, tmp_path):
    status, out, err = call(capsys, "run", small(tmp_path, (EXPECT_ONE, "")))

    assert (status, err) == (3, "")
    assert "no checks: the scenario has no [[expect]]" in out
    assert out.splitlines()[-2] == "INCONCLUSIVE: nothing was judged"
    assert summary_of(tmp_path / "build" / "small")["verdict"] == "INCONCLUSIVE"


def test_stalled_host_is_inconclusive_and_says_why(capsys, tmp_path, monkeypatch):
    go_on = VirtualTarget.run_until

    def stall(self, world, t_us):
        self.stalled = True
        go_on(self, world, t_us)

    monkeypatch.setattr(VirtualTarget, "run_until", stall)
    monkeypatch.setattr(VirtualTarget, "lateness", lambda _: {"host_late_ms": 412.0})
    status, out, _ = call(capsys, "run", small(tmp_path))

    assert status == 3
    why = "INCONCLUSIVE: this host was late by up to 412 ms; repeat it"
    assert out.splitlines()[-2] == why


def test_load_csv_replaces_the_load(capsys, tmp_path):
    (tmp_path / "load.csv").write_text("t_s,load_w\n0,500\n0.5,1500.5\n1.23,-200\n2,800\n")
    status, _, _ = call(capsys, "run", small(tmp_path), "--load-csv", "load.csv")

    assert status == 0
    with open(tmp_path / "build" / "small" / "trace.csv", newline="") as stream:
        rows = [(float(row["t_s"]), float(row["load_w"])) for row in csv.DictReader(stream)]
    assert len(rows) == 31
    for t_s, load_w in rows:
        wanted = 500 if t_s < 0.5 else 1500.5 if t_s < 1.23 else -200 if t_s < 2 else 800
        assert load_w == wanted, t_s


def test_seed_is_replaced(capsys, tmp_path):
    call(capsys, "run", small(tmp_path), "--seed", "2147483647")
    assert summary_of(tmp_path / "build" / "small")["seed"] == 2147483647


# --- help ---


@pytest.mark.parametrize(
    ("arguments", "taught"),
    [
        ((), "run demo conformance campaign PASS FAIL INCONCLUSIVE"),
        (("run",), "virtual micropython board --port --load-csv t_s,load_w evening build/NAME"),
        (("run",), "PASS FAIL INCONCLUSIVE summary.json report.html docs/scenarios.md"),
        (("demo",), "build/demo PASS INCONCLUSIVE"),
    ],
)
def test_help_teaches(capsys, arguments, taught):
    status, out, _ = call(capsys, *arguments, "--help")

    assert status == 0
    for word in taught.split():
        assert word in out, word
    for code in ("0  PASS", "1  FAIL", "2  bad input", "3  INCONCLUSIVE"):
        assert code in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")])
def test_examples_of_the_help_are_understood(capsys, arguments):
    from hil.cli import HANDLERS
    from hil.options import parser

    _, out, _ = call(capsys, *arguments)
    examples = [line.split()[3:] for line in out.splitlines() if "  python -m hil " in line]
    assert len(examples) >= 3
    for example in examples:
        assert parser(HANDLERS).parse_args(example)


# --- a run that ends half-way ---


def ends_with(monkeypatch, error, target=VirtualTarget):
    """Let the target raise `error` after a third of the run."""
    go_on = target.run_until

    def run_until(self, world, t_us):
        if t_us > 1_000_000:
            raise error
        go_on(self, world, t_us)

    monkeypatch.setattr(target, "run_until", run_until)


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (TargetError("port uart0 vanished"), 2, "hil: port uart0 vanished\n"),
        (KeyboardInterrupt(), 3, "hil: stopped; nothing was judged\n"),
        (OSError(errno.EIO, "Input/output error"), 2, "hil: Input/output error\n"),
    ],
)
def test_run_that_ends_half_way_writes_nothing(
    capsys, tmp_path, monkeypatch, earlier, error, status, said
):
    path = small(tmp_path)
    if earlier:
        call(capsys, "run", path)
    before = tree(tmp_path)
    ends_with(monkeypatch, error)

    assert call(capsys, "run", path, "--seed", "9") == (status, "", said)
    assert tree(tmp_path) == before


def test_interpreter_that_dies_leaves_no_report(capfd, tmp_path, monkeypatch, interpreter):
    go_on = LockstepTarget.run_until

    def run_until(self, world, t_us):
        if t_us > 1_000_000:
            self._process.kill()
            self._process.wait()
        go_on(self, world, t_us)

    monkeypatch.setattr(LockstepTarget, "run_until", run_until)
    path = small(tmp_path)
    before = tree(tmp_path)
    status, out, err = call(capfd, "run", path, "--target", "micropython")

    assert status == 1
    assert out == ""
    assert err.startswith("hil: ") and err.count("\n") == 1
    assert tree(tmp_path) == before


def test_full_disk_leaves_the_earlier_report_whole(capsys, tmp_path, monkeypatch):
    call(capsys, "run", small(tmp_path))
    path = small(tmp_path, ("load_w = 700", "load_w = 800"))  # another trace.csv
    before = tree(tmp_path)
    written = []

    def no_space(name, *arguments, **options):
        written.append(name)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(name))
        return open(name, *arguments, **options)

    monkeypatch.setattr(files, "open", no_space, raising=False)
    status, _, err = call(capsys, "run", path)

    assert status == 2
    assert err.startswith("hil: ") and err.endswith(": No space left on device\n")
    assert tree(tmp_path) == before


def test_ctrl_c_is_one_line_and_leaves_nothing(tmp_path, interpreter):
    process = start("demo", cwd=tmp_path)
    line = process.stdout.readline()  # said before the run, so it has begun or is about to
    while "tolerance" not in line:
        assert line, process.stderr.read()
        line = process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: bench and interpreter
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert err == "hil: stopped; nothing was judged\n"
    assert tree(tmp_path) == {}


def test_reader_that_has_gone_is_one_line(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    process = start("run", small(tmp_path), cwd=tmp_path, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert err == "hil: nobody reads the output any more\n"


# --- the demo's words ---


def test_demo_states_its_assumptions_and_tells_the_story(
    capsys, tmp_path, monkeypatch, interpreter
):
    short = replace(load(demo.SCENARIOS / "evening.toml"), duration_s=20)
    monkeypatch.setattr(demo, "load", lambda _: short)
    status, out, _ = call(capsys, "demo")

    assert status == 1  # nothing has been lost in the first 20 s
    assert "eastron_sdm630: a new value every 200 ms, answers after 20 ms;" in out
    assert "both are assumed" in out
    assert "firm import 17 kW, firm export 3 kW" in out
    assert "tolerance 1 % of the limit in force, at least 50 W and 0.25 A" in out
    parts = ("A household", "  0:00:00", "check ", "tolerance   ", "\nFAIL, at", "report: b")
    places = [out.index(part) for part in parts]
    assert max(map(len, out.splitlines())) <= 80
    assert places == sorted(places)
    assert {path.name for path in (tmp_path / "build" / "demo").iterdir()} == FIVE


class Evening:
    """As much of a RunResult as the story needs."""

    duration_s = 5400
    metrics = {
        "fallback_s": {"count": 1, "max": 4.25},
        "head_end_loss_s": {"count": 1, "max": 60.001},
    }
    events = [
        {"t_s": 1200.016, "kind": "limit", "text": "grant taken: import 25000 W"},
        {"t_s": 2400.0, "kind": "excursion", "text": "import above", "to_s": 2401.5, "peak": 9800},
        {"t_s": 2500.0, "kind": "excursion", "text": "import above", "to_s": 2500.5, "peak": 300},
        {"t_s": 2400.0, "kind": "excursion", "text": "current above", "to_s": 2401, "peak": 11.3},
        {"t_s": 3045.011, "kind": "limit", "text": "heartbeat lost: import 17000 W"},
    ]


def test_story_is_in_order_with_what_was_measured_below_each_event():
    lines = list(demo.story(load(demo.SCENARIOS / "evening.toml"), Evening))

    def below(event):
        at = next(k for k, line in enumerate(lines) if event in line)
        end = next((k for k in range(at + 1, len(lines)) if lines[k][0] != " "), len(lines))
        return [line.strip() for line in lines[at + 1 : end]]

    times = [line[:7] for line in lines if line[0] != " "]
    assert times[0] == "0:00:00" and times == sorted(times)
    assert below("0:40:00  sauna +10 kW") == [
        "import: 2 x past the limit, longest 1.500 s, peak 9.8 kW over",
        "current: 1 x past the limit, for 1.000 s, peak 11.3 A over",
    ]
    assert below("0:45:00  sauna -10 kW") == ["never past a limit"]
    assert below("0:49:50  the head-end falls silent for 300 s") == ["never past a limit"]
    assert below("0:50:45  heartbeat lost")[0] == (
        "limit in force firm 60.001 s after the last heartbeat"
    )
    assert below("1:00:00  grid_meter does not answer for 30 s")[0] == (
        "vehicles at their fallback value 4.250 s after its last answer"
    )
    assert max(map(len, lines)) <= 78
