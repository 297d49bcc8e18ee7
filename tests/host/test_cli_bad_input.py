# SPDX-License-Identifier: MIT
"""Whatever a user gives the bench that it cannot use: exit status 2, one line that says where,
what stands there and what would be accepted, nothing run and nothing written."""

import os
from pathlib import Path

import pytest

from tests.host.cli_runs import call, small, start, tree

SDM = 'type = "eastron_sdm630"\nbus = 0\nunit = 1\n'
FALLBACK = 'phases = "L1"\nmin_a = 6\nmax_a = 16\n\n[[device]]'


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where build/NAME would appear
    monkeypatch.setenv("COLUMNS", "80")


def refusal(capsys, *arguments):
    """The one line; the folder is afterwards as it was before."""
    before = tree(Path.cwd())
    status, out, err = call(capsys, *arguments)
    assert status == 2, (status, err)
    assert out == ""
    assert err.startswith("hil: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert tree(Path.cwd()) == before
    return err.removeprefix("hil: ").rstrip("\n")


def usage_refusal(capsys, *arguments):
    """The last line of what argparse says; what is above it is the usage."""
    before = tree(Path.cwd())
    status, out, err = call(capsys, *arguments)
    assert status == 2, (status, err)
    assert out == ""
    *usage, line = err.splitlines()
    assert usage[0].startswith("usage: python -m hil")
    assert all(text.startswith(" ") for text in usage[1:]), err
    assert tree(Path.cwd()) == before
    return line


# --- the scenario file ---

FILES = {
    "unknown key": (
        ("service_a", "servce_a"),
        "mine.toml: site.servce_a = 63: no such key (did you mean service_a? known: name, ",
    ),
    "unknown table": (
        ("[[bus]]", "[weather]\nsun = 1\n\n[[bus]]"),
        "mine.toml: weather = {'sun': 1}: no such key (known: scenario, ",
    ),
    "value that is no choice": (
        ("phases = 1\nvoltage", "phases = 4\nvoltage"),
        "mine.toml: site.phases = 4: expected one of 1, 2, 3",
    ),
    "value out of range": (
        ("duration_s = 3", "duration_s = 604801"),
        "mine.toml: scenario.duration_s = 604801: expected a number from 1 to 604800",
    ),
    "value of another type": (
        ("voltage_v = 230", 'voltage_v = "230 V"'),
        "mine.toml: site.voltage_v = '230 V': expected a whole number from 100 to 400",
    ),
    "syntax": (
        ("service_a = 63", "service_a = = 63"),
        "mine.toml: line 10, column 13: not valid TOML: ",
    ),
    "key given twice": (
        ("service_a = 63", "service_a = 63\nservice_a = 64"),
        "mine.toml: line 11, column 15: not valid TOML: Cannot overwrite a value",
    ),
    "end in the middle": (
        ('title = "A test bay"', 'title = "A test bay'),
        "mine.toml: line 3, column 20: not valid TOML: ",
    ),
    "fault on nothing": (
        (
            "[[expect]]",
            '[[fault]]\nkind = "no_response"\ntarget = "gird"\nfrom_s = 1\nto_s = 2\n\n[[expect]]',
        ),
        "mine.toml: fault[0].target = 'gird': expected one of grid, evse_a, evse_b, bus0",
    ),
    "metric that is not measured": (
        ('metric = "import_over_limit_s"', 'metric = "import_over_limit"'),
        "mine.toml: expect[0].metric = 'import_over_limit': expected ",
    ),
    # What the firmware's own validator refuses, in the words of the scenario.
    "firm limit absent": (
        ("firm_import_w = 9000\n", ""),
        "mine.toml: site.firm_import_w is missing: expected a whole number from 0 to 10000000",
    ),
    "firm limit above the ceiling": (
        ("firm_import_w = 9000", "firm_import_w = 90000"),
        "mine.toml: site.firm_import_w = 90000: expected at most 11500 W: 80 % of service_a, "
        "which is not full_rated",
    ),
    "export limit above the ceiling": (
        ("firm_export_w = 2000", "firm_export_w = 20000"),
        "mine.toml: site.firm_export_w = 20000: expected at most 11500 W: 80 % of service_a",
    ),
    "worst case above the firm limit": (
        ("worst_case_load_w = 3000", "worst_case_load_w = 9001"),
        "mine.toml: site.worst_case_load_w = 9001: expected at most firm_import_w 9000",
    ),
    "one unit twice": (
        ("unit = 12", "unit = 11"),
        "mine.toml: device[2].unit = 11: expected a unit that device[1] does not use",
    ),
    "one pin twice": (
        ("pin = 3", 'pin = 3\n\n[[device]]\nname = "trip_2"\ntype = "trip_output"\npin = 3'),
        "mine.toml: device[4].pin = 3: expected a pin that device[3] does not use",
    ),
    "one port twice": (
        ("[[bus]]", '[head_end]\nport = "uart0"\nbaud = 9600\nunit = 1\n\n[[bus]]'),
        "mine.toml: head_end.port = 'uart0': expected a port that no bus uses",
    ),
    "bus that is not there": (
        (SDM, SDM.replace("bus = 0", "bus = 1")),
        "mine.toml: device[0].bus = 1: expected an index of buses, 0 to 0",
    ),
    "no meter": (
        ('name = "grid"\n' + SDM + 'role = "pcc"\n', 'name = "t"\ntype = "trip_output"\npin = 4'),
        "mine.toml: device = (a list of 4): expected a list with one meter of role pcc",
    ),
    "hold longer than fallback": (
        ("[[bus]]", "[timing]\nhold_ms = 2000\nfallback_ms = 1000\n\n[[bus]]"),
        "mine.toml: timing.hold_ms = 2000: expected less than fallback_ms 1000",
    ),
    "one fallback too high": (
        ('plant = "car_a"', 'plant = "car_a"\nfallback_a = 17'),
        "mine.toml: device[1].fallback_a = 17: expected 0 or an integer from 6 to 16",
    ),
}


@pytest.mark.parametrize(("change", "said"), FILES.values(), ids=FILES)
def test_scenario_is_refused(capsys, tmp_path, change, said):
    small(tmp_path, change)
    # the firmware writes text with double quotes, TOML's checker with single ones
    assert refusal(capsys, "run", "mine.toml").replace('"', "'").startswith(said)


def test_fallbacks_that_do_not_fit_together_are_refused(capsys, tmp_path):
    small(
        tmp_path,
        ('plant = "car_a"', 'plant = "car_a"\nfallback_a = 14'),  # 3220 of 6000 W
        ('plant = "car_b"', 'plant = "car_b"\nfallback_a = 14'),
    )
    line = refusal(capsys, "run", "mine.toml")
    assert line.startswith("mine.toml: device[2].fallback_a = 14: expected at most 2780 W")
    assert line.endswith("firm_import_w less worst_case_load_w and the devices before it")


@pytest.mark.parametrize("command", [("run", "mine.toml"), ("run", "./mine.toml")])
def test_line_names_the_file_as_the_user_did(capsys, tmp_path, command):
    small(tmp_path, ("firm_import_w = 9000", "firm_import_w = 90000"))
    assert refusal(capsys, *command).startswith("mine.toml: site.firm_import_w")


def test_name_that_is_no_scenario_lists_those_that_are(capsys):
    line = refusal(capsys, "run", "evning")
    assert line.startswith("scenario evning: no such file; expected a path or one of bus_depot, ")
    assert "meter_cut" in line


def test_file_that_is_not_there_is_refused(capsys):
    line = refusal(capsys, "run", "gone.toml")
    assert line == "gone.toml: cannot be read: No such file or directory; expected a scenario file"


def test_folder_as_scenario_is_refused(capsys, tmp_path):
    (tmp_path / "folder").mkdir()
    line = refusal(capsys, "run", "folder")
    assert line == "folder: cannot be read: Is a directory; expected a scenario file"


def test_binary_file_as_scenario_is_refused(capsys, tmp_path):
    (tmp_path / "b.toml").write_bytes(b"[site]\nname = \xff\x00\n")
    assert refusal(capsys, "run", "b.toml") == "b.toml: line 2, column 8: expected UTF-8 text"


def test_scenario_whose_recorded_load_is_bad_names_both_files(capsys, tmp_path):
    (tmp_path / "load.csv").write_text("t_s,load_w\n0,1\n1,x\n")
    small(tmp_path, ('"constant"\nload_w = 700', '"csv"\nfile = "load.csv"'))
    line = refusal(capsys, "run", "mine.toml")
    assert line.startswith("mine.toml: plant.load[0].file = 'load.csv': load.csv: row 3, column")


# --- --load-csv ---

CSVS = {
    "empty row": (b"t_s,load_w\n0,1\n\n2,3\n", "row 3, column t_s: '': expected no empty row"),
    "empty cell": (b"t_s,load_w\n0,100\n10,\n", "row 3, column load_w: '': expected a number -1"),
    "missing cell": (b"t_s,load_w\n0,100\n10\n", "row 3, column load_w: '10': expected 2 cells"),
    "text": (b"t_s,load_w\n0,abc\n", "row 2, column load_w: 'abc': expected a number -1"),
    "decimal comma": (b"t_s,load_w\n0,1,5\n", "row 2, column load_w: '0,1,5': expected 2 cells"),
    "time backwards": (
        b"t_s,load_w\n0,1\n10,1\n5,1\n",
        "row 4, column t_s: '5': expected a time after 10 s",
    ),
    "time twice": (b"t_s,load_w\n0,1\n0,2\n", "row 3, column t_s: '0': expected a time after 0 s"),
    "late begin": (b"t_s,load_w\n5,1\n", "row 2, column t_s: '5': expected 0 in the first row"),
    "nan": (b"t_s,load_w\n0,nan\n", "row 2, column load_w: 'nan': expected a number -1"),
    "infinite": (b"t_s,load_w\n0,inf\n", "row 2, column load_w: 'inf': expected a number -1"),
    "empty file": (b"", "row 1, column t_s: '': expected a header t_s,load_w[,pv_w] or t_s,l1_w"),
    "header only": (b"t_s,load_w\n", "row 2, column t_s: '': expected at least one row after"),
    "no header": (b"0,100\n1,200\n", "row 1, column 0: '0': expected each column once, of t_s,lo"),
    "missing load": (b"t_s,pv_w\n0,1\n", "row 1, column load_w: 't_s,pv_w': expected a header t_"),
    "missing time": (b"load_w\n1\n", "row 1, column t_s: 'load_w': expected a header t_s,load_w"),
    "unknown column": (
        b"t_s,load_w,temp\n0,1,2\n",
        "row 1, column temp: 'temp': expected each column once, of t_s,load_w[,pv_w] or t_s,l1_w",
    ),
    "pv without a pv": (
        b"t_s,load_w,pv_w\n0,1,2\n",
        "row 1, column pv_w: expected no pv_w, because the scenario has no plant.pv",
    ),
    "three phases on one": (
        b"t_s,l1_w,l2_w,l3_w\n0,1,2,3\n",
        "row 1, column l1_w: expected load_w, because this site has phases = 1",
    ),
    "binary": (bytes(range(256)), "cannot be read: "),
}


@pytest.mark.parametrize(("data", "said"), CSVS.values(), ids=CSVS)
def test_load_csv_is_refused(capsys, tmp_path, data, said):
    small(tmp_path)
    (tmp_path / "load.csv").write_bytes(data)
    line = refusal(capsys, "run", "mine.toml", "--load-csv", "load.csv")
    assert line.startswith(f"load.csv: {said}")


@pytest.mark.parametrize(("name", "why"), [("gone.csv", "No such file"), (".", "Is a directory")])
def test_load_csv_that_cannot_be_read_is_refused(capsys, tmp_path, name, why):
    small(tmp_path)
    line = refusal(capsys, "run", "mine.toml", "--load-csv", name)
    assert line.startswith(f"{name}: cannot be read: {why}") and "; expected a " in line


# --- options ---


@pytest.mark.parametrize("seed", ["seven", "7.0", "", "1_000"])
def test_seed_that_is_no_number_is_refused(capsys, seed):
    line = usage_refusal(capsys, "run", "meter_cut", "--seed", seed)
    assert line.endswith(f"error: argument --seed: {seed}: expected a whole number from 0")


@pytest.mark.parametrize("seed", ["-1", "2147483648"])
def test_seed_out_of_range_is_refused(capsys, seed):
    line = refusal(capsys, "run", "meter_cut", "--seed", seed)
    assert line == f"--seed = {seed}: expected a whole number from 0 to 2147483647"


def test_unknown_target_is_refused(capsys):
    line = usage_refusal(capsys, "run", "meter_cut", "--target", "moon")
    assert "argument --target: invalid choice: 'moon'" in line
    assert all(name in line for name in ("virtual", "micropython", "board"))


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run",), ("run", "meter_cut", "--speed")])
def test_usage_errors_say_what_is_missing_or_too_much(capsys, arguments):
    assert "error: " in usage_refusal(capsys, *arguments)


@pytest.mark.parametrize("port", ["uart0", "uart0=", "=/dev/ttyUSB0", "/dev/ttyUSB0", ""])
def test_malformed_port_is_refused(capsys, port):
    line = refusal(capsys, "run", "meter_cut", "--target", "board", "--port", port)
    assert line == f"--port {port}: expected NAME=DEVICE, such as uart0=/dev/ttyUSB0"


def test_one_port_given_twice_is_refused(capsys):
    ports = ("--port", "uart0=/dev/a", "--port", "uart0=/dev/b")
    line = refusal(capsys, "run", "meter_cut", "--target", "board", *ports)
    assert line == "--port uart0=/dev/b: expected once, uart0 is /dev/a already"


def test_option_that_would_have_no_effect_is_refused(capsys):
    line = refusal(capsys, "run", "meter_cut", "--port", "uart0=/dev/ttyUSB0")
    assert line == "--port uart0=/dev/ttyUSB0: expected with --target board, not virtual"
    line = refusal(capsys, "run", "meter_cut", "--clock", "wall")
    assert line == "--clock wall: expected with --target micropython, not virtual"


# --- targets that are not there ---


def board(capsys, *ports):
    pytest.importorskip("serial")
    pytest.importorskip("termios")
    return refusal(capsys, "run", "meter_cut", "--target", "board", *ports)


def test_board_without_a_port_is_refused(capsys):
    assert board(capsys) == "target board: no serial port for uart0: --port uart0=DEVICE"


def test_board_with_a_port_that_the_scenario_does_not_have_is_refused(capsys):
    line = board(capsys, "--port", "uart0=/dev/null", "--port", "uart7=/dev/null")
    assert "uart7" in line and "the scenario has uart0" in line


def test_board_at_a_port_that_does_not_exist_is_refused(capsys):
    line = board(capsys, "--port", "uart0=/dev/ttyNONE")
    assert "uart0" in line and "/dev/ttyNONE does not exist" in line


def test_board_at_what_is_no_serial_port_is_refused(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("no port")
    assert "notes.txt" in board(capsys, "--port", "uart0=notes.txt")


def test_board_at_a_busy_port_is_refused(capsys):
    serial = pytest.importorskip("serial")
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    try:
        with serial.Serial(path, exclusive=True):
            line = board(capsys, "--port", f"uart0={path}")
    finally:
        os.close(master)
        os.close(slave)
    assert f"{path} is in use by another program" in line.replace(": is", " is")


@pytest.mark.parametrize("clock", ["lockstep", "wall"])
def test_missing_interpreter_is_refused(capsys, monkeypatch, clock):
    monkeypatch.setenv("MICROPYTHON", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nonexistent")
    options = ("--target", "micropython", "--clock", clock)
    line = refusal(capsys, "run", "meter_cut", *options)
    assert "MicroPython" in line and "MICROPYTHON=/" in line
    assert refusal(capsys, "demo") == line


# --- where the report goes ---


@pytest.fixture
def no_run(monkeypatch):
    """Whoever waits minutes for a run must not be told afterwards."""
    monkeypatch.setattr("hil.bench.Bench.run", lambda *_: pytest.fail("it ran"))


@pytest.mark.parametrize("command", [("run", "meter_cut"), ("demo",)])
@pytest.mark.parametrize("out", ["taken", "taken/below"])
def test_file_in_the_place_of_the_out_folder_is_refused(capsys, tmp_path, no_run, command, out):
    (tmp_path / "taken").write_text("mine")
    line = refusal(capsys, *command, "--out", out)
    assert line == f"--out {out}: taken is a file: expected a folder"


def test_file_in_the_place_of_the_default_folder_is_refused(capsys, tmp_path, no_run):
    (tmp_path / "build").write_text("mine")
    line = refusal(capsys, "run", "meter_cut")
    assert line == "--out build/meter_cut: build is a file: expected a folder"


def test_out_folder_that_cannot_be_written_is_refused(capsys, tmp_path, no_run):
    folder = tmp_path / "locked"
    if os.geteuid():
        folder.mkdir(mode=0o500)
    else:  # modes do not stop root
        folder = Path("/proc")
        if not folder.is_dir():
            pytest.skip("root, and no /proc: everything can be written")
    line = refusal(capsys, "run", "meter_cut", "--out", folder / "report")
    assert line.startswith(f"--out {folder / 'report'}: {folder} cannot be written to: ")


def test_earlier_report_is_as_it_was(capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text("of an earlier run")
    small(tmp_path, ("unit = 12", "unit = 11"))
    refusal(capsys, "run", "mine.toml", "--out", "out")  # compares all files


# --- as a process, as a user would start it ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "mine.toml"), "hil: mine.toml: device[2].unit = 11: expected a unit that "),
        (("run", "mine.toml", "--seed", "x"), "python -m hil run: error: argument --seed: x: "),
    ],
)
def test_process_ends_with_one_line_and_status_2(tmp_path, arguments, said):
    small(tmp_path, ("unit = 12", "unit = 11"))
    before = tree(tmp_path)
    process = start(*arguments, cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.splitlines()[-1].startswith(said), err
    assert "Traceback" not in err
    assert tree(tmp_path) == before
