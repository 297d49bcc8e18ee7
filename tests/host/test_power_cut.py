# SPDX-License-Identifier: MIT
"""A power cut at any instant of any save leaves the old or the new, never neither (M20, H-13).

The saves run in a real MicroPython on its own littlefs, over a flash in memory that can lose its
power at every erase and every program (flash_model.py, power_cut_runs.py). How many cuts were
tried is printed and kept in the JUnit report. The wear budget is computed from what the same
flash counts and from the constants of the code.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
import runtimes

from firmline.services import journal

SCRIPT = Path(__file__).with_name("power_cut_runs.py")
RUN_S = 300
CYCLES_OF_A_SECTOR = 100_000  # what the makers of such flash chips promise
BLOCKS = 352  # 1,408 kB: the file system of a board with 2 MB
DAY_S = 86_400


def run(name):
    """Lines of one run of the script, the last word of each read as JSON."""
    try:
        interpreter = runtimes.find_micropython()
    except runtimes.Missing as missing:
        pytest.skip(str(missing))
    command = [interpreter, "-X", "heapsize=16m", SCRIPT, runtimes.FIRMWARE, runtimes.DUAL, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.timeout(RUN_S + 20)
@pytest.mark.parametrize(
    ("name", "at_least"),
    [("single", 800), ("double", 6000), ("story", 800), ("raw", 500), ("files", 500)],
)
def test_a_cut_at_every_operation_leaves_the_old_or_the_new(name, at_least, record_property):
    lines = run(name)
    tallies = [json.loads(re.search(r"{.*}", line).group()) for line in lines]
    cuts = sum(tally["cuts"] for tally in tallies)
    print(f"{name}: {cuts} cuts: {'; '.join(lines)}")
    record_property(f"power_cuts.{name}", cuts)
    assert cuts >= at_least
    assert all(tally["old"] + tally["new"] == tally["cuts"] for tally in tallies)


def test_counters_and_events_never_go_back_behind_a_finished_save(record_property):
    tally = json.loads(run("journal")[0])
    print(f"journal: {tally['cuts']} cuts")
    record_property("power_cuts.journal", tally["cuts"])
    assert tally["cuts"] >= 100
    assert tally["old"] and tally["new"], "the state is saved first: cuts before and after it"


def test_without_its_file_system_the_controller_holds_its_limits():
    offers = json.loads(run("lost")[0])["offers_ma"]
    assert len(offers) == 4, "made anew, worn out, not there, damaged"
    assert all(offer >= 6000 for offer in offers), "and it does control"


@pytest.fixture(scope="module")
def wear():
    return json.loads(run("wear")[0])


def years(erases_a_day, blocks):
    return CYCLES_OF_A_SECTOR * blocks / erases_a_day / 365


def test_the_wear_budget_holds_for_decades(wear, record_property):
    """The most the journal can save in a day, every day: docs/persistence.md has these figures."""
    saves_a_day = DAY_S / journal._SAVE_S + DAY_S / journal._EVENTS_GAP_S
    both = wear["both"]
    erases_a_day = saves_a_day * both["erases"] / both["saves"]
    hottest_a_day = saves_a_day * both["hottest_block"] / both["saves"]
    levelled, worst = years(erases_a_day, BLOCKS), years(hottest_a_day, 1)
    print(f"{saves_a_day:.0f} saves, {erases_a_day:.0f} erases a day: {levelled:.0f} years,")
    print(f"{worst:.1f} years if nothing were levelled")
    record_property("wear.years", round(levelled))
    assert saves_a_day == 192
    assert levelled >= 100
    assert worst >= 5


def test_one_save_stops_the_program_for_few_erases(wear):
    """400 ms at worst for each erase (W25Q16JV), and the watchdog of a board waits for 4 s."""
    assert max(wear[kind]["most_erases_of_a_save"] for kind in ("state", "events", "both")) <= 2
    assert max(figures["most_erases_of_a_save"] for figures in wear.values()) <= 5


def test_the_page_on_persistence_gives_the_figures_that_are_measured(wear):
    page = (Path(runtimes.ROOT) / "docs/persistence.md").read_text(encoding="utf-8")
    for kind, figures in wear.items():
        row = re.search(rf"^\| {kind} \| [\d.]+ \|.*$", page, re.M).group()
        given = [float(cell) for cell in re.findall(r"\| ([\d.]+) (?=\|)", row)]
        saves = figures["saves"]
        measured = [figures["erases"] / saves, figures["programs"] / saves]
        assert given[:2] == pytest.approx(measured, rel=0.1, abs=0.05), kind
        assert given[2] == figures["most_erases_of_a_save"], kind
