# SPDX-License-Identifier: MIT
"""What outlives a restart, when it is saved, and the lock-out after too many trips.

The controller is the real one (alloc_site); its disk is a RamStore that outlives it.
"""

import struct
import sys

from alloc_site import METER, Bench, FakeHardware
from test_alloc_controller import make_machine_code

from firmline.hal.ramfiles import RamStore
from firmline.services import eventlog
from firmline.services.store import TwoGenerations

try:
    import micropython
except ImportError:
    micropython = None

NORMAL, TRIPPED = 1, 4
UPTIME_MIN, BOOTS, FALLBACKS, TRIPS, IS_LOCKED, UNLOCKS, LAST_TRIPS = 0, 1, 2, 3, 4, 5, 6
IMPORT, EXPORT, RELAYS = 9, 14, 19
COUNT, COUNTED, LONGEST_S, PEAK_W, ENERGY_WH = range(5)
STATE_BYTES = 140
SAVING = ("firmline.services.journal_save", "firmline.services.store")


class SkipTest(Exception):
    pass


class Disk(RamStore):
    """Counts, and refuses while it is full."""

    def __init__(self):
        RamStore.__init__(self)
        self.saves = []
        self.is_full = False

    def save(self, name, buffer, n, head=b""):
        if self.is_full:
            raise OSError(28)
        self.saves.append(name)
        RamStore.save(self, name, buffer, n, head)

    def count(self, name):
        return len([saved for saved in self.saves if saved.startswith(name)])


class KeepingHardware(FakeHardware):
    def __init__(self, files, is_jumper_fitted=False):
        FakeHardware.__init__(self)
        self.files = files
        self.is_jumper_fitted = is_jumper_fitted
        self.causes = []

    def is_service(self):
        return self.is_jumper_fitted

    def record_cause(self, text):
        self.causes.append(text)


def start(files, is_jumper_fitted=False, **changes):
    """A controller with that disk, 3 s after its start."""
    bench = Bench(changes, KeepingHardware(files, is_jumper_fitted))
    bench.run(3000)
    return bench


def go(bench, seconds):
    bench.run(bench.ms + 1000 * seconds)


def skip(bench, seconds):
    """Most of a long time passes for the journal alone, which knows the uptime in seconds."""
    bench.controller.events.now_s += seconds - 2
    go(bench, 2)


def counts_of(files):
    """The stored counters, None if there are none."""
    record = TwoGenerations(files, "state", 1, STATE_BYTES)
    buffer = bytearray(STATE_BYTES)
    if record.read(buffer) != STATE_BYTES:
        return None
    return list(struct.unpack("<35i", buffer))


def events_of(files):
    """The stored events: (boot, code, time, value)."""
    record = TwoGenerations(files, "events", 1, 384)
    buffer = bytearray(384)
    n = record.read(buffer)
    return [struct.unpack("<HHIi", buffer[at : at + 12]) for at in range(0, max(n, 0), 12)]


def store_counts(files, **given):
    counts = [0] * 35
    for name in given:
        counts[globals()[name]] = given[name]
    record = TwoGenerations(files, "state", 1, STATE_BYTES)
    record.find()
    record.write(struct.pack("<35i", *counts), STATE_BYTES)


def trip(bench):
    """20 kW of nobody's load on one conductor until the controller gives up."""
    bench.devices.load_w[0] = 30000
    for _ in range(120):
        go(bench, 1)
        if bench.controller.cycle.mode == TRIPPED:
            return
    raise AssertionError("no trip")


def codes(log):
    return [code for _, _, code, _ in log]


def test_without_files_the_controller_runs_as_before():
    bench = Bench()
    bench.run(3000)
    assert bench.controller.journal is None
    assert bench.controller.cycle.mode == NORMAL


def test_a_boot_counts_once_it_has_lasted_a_minute():
    files = Disk()
    bench = start(files)
    skip(bench, 55)
    assert counts_of(files) is None and files.saves == []
    go(bench, 4)
    assert counts_of(files)[BOOTS] == 1
    bench = start(files)
    go(bench, 30)
    assert counts_of(files)[BOOTS] == 1
    bench = start(files)
    go(bench, 60)
    assert counts_of(files)[BOOTS] == 2


def test_uptime_is_saved_every_hour_and_goes_on():
    files = Disk()
    bench = start(files)
    skip(bench, 70)
    skip(bench, 3590)
    assert files.count("state") == 1, "not yet"
    skip(bench, 20)
    assert files.count("state") == 2
    assert counts_of(files)[UPTIME_MIN] == 61
    bench = start(files)
    skip(bench, 120)
    assert counts_of(files)[UPTIME_MIN] == 61 + 2


def test_a_change_is_saved_after_a_quarter_of_an_hour():
    files = Disk()
    bench = start(files)
    skip(bench, 70)
    bench.devices.is_silent[METER] = True
    go(bench, 10)
    bench.devices.is_silent[METER] = False
    skip(bench, 870)
    assert files.count("state") == 1 and counts_of(files)[FALLBACKS] == 0
    go(bench, 20)
    assert files.count("state") == 2 and counts_of(files)[FALLBACKS] == 1


def test_the_operations_of_a_relay_are_counted_by_its_pin():
    files = Disk()
    bench = start(files)
    go(bench, 10)
    for load_w in (12000, 1000, 12000):
        bench.devices.load_w[0] = load_w
        go(bench, 15)
    bench.controller.journal.flush()
    operations = bench.relay.changes - 1  # it was set to off at the start
    assert operations >= 3
    assert counts_of(files)[RELAYS] == (5 + 1) << 24 | operations, "pin 5"
    bench = start(files)
    bench.controller.journal.flush()
    assert counts_of(files)[RELAYS] == (5 + 1) << 24 | (operations + bench.relay.changes - 1)
    assert counts_of(files)[RELAYS + 1] == 0, "the same place again"


def test_an_excursion_is_counted_with_its_length_peak_and_energy():
    files = Disk()
    bench = start(files, response_s=60, firm_import_w=9000, worst_case_load_w=8000)
    go(bench, 20)
    bench.devices.is_silent = {11: True, 12: True, 21: True}  # nothing can help
    bench.devices.load_w[1] = 11400  # conductor 2 stays inside 11,500
    bench.devices.sun_w = 0
    go(bench, 20)
    bench.devices.load_w[1] = 1000
    go(bench, 30)
    counts = bench.controller.journal.counts
    assert counts[IMPORT + COUNT] == 1 and counts[IMPORT + COUNTED] == 1
    assert 18 <= counts[IMPORT + LONGEST_S] <= 27, counts[IMPORT + LONGEST_S]
    assert 4000 <= counts[IMPORT + PEAK_W] <= 15000, counts[IMPORT + PEAK_W]
    assert 20 <= counts[IMPORT + ENERGY_WH] <= 90, counts[IMPORT + ENERGY_WH]
    assert counts[EXPORT + COUNT] == 0
    events = [(code, value) for _, _, code, value in bench.controller.events]
    assert (eventlog.E_EXCURSION, counts[IMPORT + LONGEST_S]) in events
    assert (eventlog.E_EXCURSION_W, counts[IMPORT + PEAK_W]) in events
    assert (eventlog.E_EXCURSION_WH, counts[IMPORT + ENERGY_WH]) in events
    assert (eventlog.E_EXCURSION_LIMIT, 0) in events


def test_a_trip_is_saved_within_ten_seconds_with_its_events():
    files = Disk()
    bench = start(files)
    trip(bench)
    go(bench, 10)
    counts = counts_of(files)
    assert (counts[TRIPS], counts[IS_LOCKED], counts[BOOTS]) == (1, 0, 1)
    assert (1, eventlog.E_MODE, TRIPPED) in [(e[0], e[1], e[3]) for e in events_of(files)]
    saves = len(files.saves)
    skip(bench, 600)
    assert counts_of(files)[TRIPS] == 1
    assert len(files.saves) <= saves + 2, "it stays tripped and is counted once"


def damage(files, name):
    data = bytearray(files._files[name])
    data[30] ^= 1
    files._files[name] = bytes(data)


def test_a_lock_out_outlives_either_of_its_two_files():
    for name in ("state.0", "state.1"):
        files = Disk()
        store_counts(files, TRIPS=3, LAST_TRIPS=1)
        bench = start(files)
        trip(bench)
        go(bench, 10)
        damage(files, name)
        assert start(files).controller.cycle.mode == TRIPPED, name


def test_what_is_urgent_is_in_both_files_before_a_restart_that_was_asked_for():
    files = Disk()
    bench = start(files)
    bench.controller.journal.hurry()
    bench.controller.journal.flush()
    assert files.count("state") == 2
    bench.controller.journal.flush()
    assert files.count("state") == 3


def test_a_save_after_a_trip_that_failed_is_tried_again_in_ten_seconds():
    files = Disk()
    bench = start(files)
    files.is_full = True
    trip(bench)
    go(bench, 12)
    assert bench.controller.journal.failures and files.saves == []
    files.is_full = False
    go(bench, 20)
    assert files.count("state") == 2 and counts_of(files)[TRIPS] == 1
    assert (1, eventlog.E_MODE, TRIPPED) in [(e[0], e[1], e[3]) for e in events_of(files)]
    saves = len(files.saves)
    skip(bench, 600)
    assert len(files.saves) <= saves + 1


def test_after_a_trip_a_restart_resumes():
    files = Disk()
    bench = start(files)
    trip(bench)
    go(bench, 10)
    bench = start(files)
    assert bench.controller.cycle.mode == NORMAL and bench.trip.is_on


def test_the_fourth_trip_in_30_days_stays_until_an_installer_has_been_there():
    files = Disk()
    for number in range(1, 5):
        bench = start(files)
        assert bench.controller.cycle.mode == NORMAL, number
        trip(bench)
        go(bench, 10)
        assert counts_of(files)[TRIPS] == number
        assert counts_of(files)[IS_LOCKED] == (number == 4)
    for _ in range(2):
        bench = start(files)
        go(bench, 90)
        assert bench.controller.cycle.mode == TRIPPED
        assert not bench.trip.is_on and not bench.relay.is_on
        assert bench.devices.offer_ma == {11: 0, 12: 0}
        assert eventlog.E_LOCKED in codes(bench.controller.events)
        assert counts_of(files)[TRIPS] == 4, "a lock-out is not another trip"
    bench = start(files, is_jumper_fitted=True)
    go(bench, 10)
    assert bench.controller.cycle.mode == NORMAL and bench.trip.is_on
    assert (counts_of(files)[IS_LOCKED], counts_of(files)[UNLOCKS]) == (0, 1)
    bench = start(files)
    assert bench.controller.cycle.mode == NORMAL
    trip(bench)
    go(bench, 10)
    assert counts_of(files)[IS_LOCKED] == 0, "the installer's visit starts the count again"


def test_the_jumper_alone_changes_nothing_without_a_lock_out():
    files = Disk()
    store_counts(files, TRIPS=2, LAST_TRIPS=5)
    bench = start(files, is_jumper_fitted=True)
    bench.controller.journal.flush()
    assert (counts_of(files)[UNLOCKS], counts_of(files)[LAST_TRIPS]) == (0, 5)


def locked_after_trip(uptime_min, first_trip_min):
    files = Disk()
    counts = {"UPTIME_MIN": uptime_min, "TRIPS": 3, "LAST_TRIPS": first_trip_min + 1}
    store_counts(files, **counts)
    bench = start(files)
    trip(bench)
    go(bench, 10)
    return counts_of(files)[IS_LOCKED]


def test_thirty_days_are_counted_in_uptime():
    assert locked_after_trip(43200, 0)
    assert not locked_after_trip(43201, 0)


def test_events_are_saved_ten_minutes_after_the_first():
    files = Disk()
    bench = start(files)
    skip(bench, 590)
    assert files.count("events") == 0
    go(bench, 20)
    stored = events_of(files)
    assert stored[0] == (1, eventlog.E_START, 0, 0)
    assert (1, eventlog.E_MODE, NORMAL) in [(e[0], e[1], e[3]) for e in stored]
    assert eventlog.E_LIMIT_CHANGED not in [e[1] for e in stored]


def test_many_events_are_saved_sooner_but_not_more_often_than_every_15_minutes():
    files = Disk()
    bench = start(files)
    for _ in range(40):
        bench.controller.events.add(eventlog.E_DEVICE_LOST, 1)
    go(bench, 5)
    assert files.count("events") == 1
    for _ in range(40):
        bench.controller.events.add(eventlog.E_DEVICE_BACK, 1)
    skip(bench, 885)
    assert files.count("events") == 1
    go(bench, 15)
    assert files.count("events") == 2


def test_the_events_of_earlier_boots_stay_until_newer_ones_take_their_place():
    files = Disk()
    for boot in range(3):
        bench = start(files)
        bench.controller.events.add(eventlog.E_DEVICE_LOST, boot)
        skip(bench, 620)
    stored = events_of(files)
    assert [e[0] for e in stored if e[1] == eventlog.E_START] == [1, 2, 3]
    assert [e[3] for e in stored if e[1] == eventlog.E_DEVICE_LOST and e[3] < 3] == [0, 1, 2]
    assert [e[0] for e in stored] == sorted([e[0] for e in stored])
    for value in range(100, 150):
        bench.controller.events.add(eventlog.E_DEVICE_LOST, value)
    skip(bench, 910)
    stored = events_of(files)
    assert len(stored) == 32
    assert [e[3] for e in stored if e[3] >= 100] == list(range(118, 150))


def test_the_stored_events_of_earlier_boots_can_be_read():
    files = Disk()
    skip(start(files), 620)
    bench = start(files)
    stored = bench.controller.journal.stored()
    assert len(stored) == files.size("events.0") - 20
    assert struct.unpack("<HHIi", stored[:12]) == (1, eventlog.E_START, 0, 0)
    skip(bench, 620)
    assert len(events_of(files)) * 12 > len(stored) > 0
    assert bench.controller.journal.stored() == stored  # without those of this boot
    assert start(Disk()).controller.journal.stored() == b""


def test_a_full_disk_is_told_once_and_tried_again():
    files = Disk()
    files.is_full = True
    bench = start(files)
    for _ in range(30):
        skip(bench, 70)
    journal = bench.controller.journal
    assert bench.controller.cycle.mode == NORMAL
    assert 4 <= journal.failures <= 10
    assert codes(bench.controller.events).count(eventlog.E_STORE) == 1
    assert len(bench.hardware.causes) == 1 and "28" in bench.hardware.causes[0]
    files.is_full = False
    skip(bench, 900)
    assert counts_of(files)[BOOTS] == 1
    assert eventlog.E_START in [e[1] for e in events_of(files)]


def test_a_save_that_cannot_be_loaded_is_counted_and_tried_again():
    files = Disk()
    bench = start(files)
    controller = bench.controller
    controller.journal._drop()
    services = sys.modules["firmline.services"]
    path = services.__path__
    services.__path__ = "nowhere" if isinstance(path, str) else ["nowhere"]
    try:
        skip(bench, 70)
        cycles = controller.supervisor.cycles
        go(bench, 2)
    finally:
        services.__path__ = path
    assert controller.supervisor.cycles > cycles and controller.cycle.mode == NORMAL
    assert controller.journal.failures == 1 and files.saves == []
    assert codes(controller.events).count(eventlog.E_STORE) == 1
    skip(bench, 880)
    assert files.saves == []
    skip(bench, 30)
    assert counts_of(files)[BOOTS] == 1 and events_of(files)
    assert controller.journal.failures == 1


def test_a_full_heap_is_a_failed_save():
    files = Disk()
    bench = start(files)
    size = files.size

    def fail(name):
        raise MemoryError

    files.size = fail
    skip(bench, 70)
    files.size = size
    assert bench.controller.journal.failures == 1 and files.saves == []
    skip(bench, 910)
    assert counts_of(files)[BOOTS] == 1


def test_a_full_heap_while_a_save_fails_stops_nothing():
    """A real one, and a cause that cannot be recorded either."""
    if not hasattr(micropython, "heap_lock"):
        raise SkipTest("no heap_lock here")
    bench = start(Disk())
    journal = bench.controller.journal
    load, save = journal._load, journal._save_state
    load()
    micropython.heap_lock()
    try:
        journal._try(save)
    finally:
        micropython.heap_unlock()
    assert journal.failures == 1
    assert codes(bench.controller.events).count(eventlog.E_STORE) == 1


def test_a_cause_that_cannot_be_recorded_is_only_told_as_an_event():
    for fault in (MemoryError(), ValueError("no UTF-8")):
        files = Disk()
        files.is_full = True
        bench = start(files)

        def record_cause(text):
            raise fault  # noqa: B023 - called before the next one

        bench.controller.journal._record_cause = record_cause
        skip(bench, 70)
        assert bench.controller.journal.failures >= 1
        assert codes(bench.controller.events).count(eventlog.E_STORE) == 1


def test_a_run_is_well_only_after_the_first_save():
    """A fault in it would else restart the board every minute for ever."""
    files = Disk()
    bench = start(files)
    go(bench, 86)
    assert files.count("state") == 1 and bench.hardware.word is None, "not yet"
    go(bench, 2)
    assert bench.hardware.word == 0x0B5A0000
    files = Disk()
    bench = start(files)

    def save(name, buffer, n, head=b""):
        raise RuntimeError

    files.save = save
    try:
        go(bench, 88)
    except RuntimeError:
        assert bench.hardware.word is None
        return
    raise AssertionError("no fault")


def test_what_only_saves_is_here_only_for_a_save():
    files = Disk()
    bench = start(files)
    bench.controller.journal._drop()
    skip(bench, 50)
    assert not [name for name in SAVING if name in sys.modules]
    loaded = []
    taken = files.save

    def save(name, buffer, n, head=b""):
        loaded.extend(name for name in SAVING if name in sys.modules)
        taken(name, buffer, n, head)

    files.save = save
    skip(bench, 10)
    assert sorted(set(loaded)) == sorted(SAVING)
    assert not [name for name in SAVING if name in sys.modules]


def test_damaged_files_are_told_and_the_site_is_controlled():
    files = Disk()
    for name in ("state.0", "state.1", "events.0", "events.1"):
        files.save(name, b"nonsense", 8)
    bench = start(files)
    assert bench.controller.cycle.mode == NORMAL
    assert (eventlog.E_STORE, 4) in [(c, v) for _, _, c, v in bench.controller.events]
    skip(bench, 700)
    assert counts_of(files)[BOOTS] == 1 and events_of(files)


def test_nothing_is_saved_while_an_exceedance_is_fought_or_the_line_is_busy():
    """Forced after 8 s all the same: tests of a trip above."""
    files = Disk()
    bench = start(files)
    journal = bench.controller.journal
    bus = bench.controller.buses[0]
    wrong = []
    taken = files.save

    def save(name, buffer, n, head=b""):
        wrong.append((bus.is_busy(), bus.rest_ms(bench.now_ms) < 50))
        taken(name, buffer, n, head)

    files.save = save
    for _ in range(20):
        skip(bench, 70)
    assert len(wrong) >= 2 and (True, True) not in wrong and (True, False) not in wrong
    assert (False, True) not in wrong, "this line does rest"
    assert journal.failures == 0


class Line:
    """A line that is never quiet, as the journal sees it."""

    is_between = False

    def is_busy(self):
        return not self.is_between

    def rest_ms(self, now_ms):
        return 0


def test_a_line_that_never_rests_does_not_starve_the_store():
    files = Disk()
    bench = start(files)
    line = Line()
    journal = bench.controller.journal
    journal._buses = [line]
    skip(bench, 56)
    assert files.saves == []
    due_ms = bench.ms
    while not files.saves:
        go(bench, 1)
    assert 8000 <= bench.ms - due_ms <= 11000
    line.is_between = True
    files.saves.clear()
    journal._is_urgent = True
    due_ms = bench.ms
    while not files.saves:
        bench.run(bench.ms + 100)
    assert 4000 <= bench.ms - due_ms <= 6000, "between two transactions is enough after 4 s"


def test_a_poll_that_does_not_save_allocates_nothing():
    if not hasattr(micropython, "mem_total"):
        raise SkipTest("no mem_total here")
    make_machine_code()  # as on a board: the loops of the core need no heap then
    files = Disk()
    bench = start(files)
    skip(bench, 400)
    controller = bench.controller
    saves = len(files.saves)
    grown = 0
    for k in range(2000):
        bench.devices.load_w[0] = 1000 if k % 400 < 300 else 14000
        before = micropython.mem_total()
        wait_ms = controller.poll(bench.now_ms)
        grown += micropython.mem_total() - before
        bench.answer()
        bench.after(wait_ms)
    assert len(files.saves) == saves
    assert controller.journal.counts[IMPORT] + controller.journal.counts[EXPORT] > 0
    assert grown == 0, grown
