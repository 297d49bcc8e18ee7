# SPDX-License-Identifier: MIT
"""The power fails at every erase and every program of every save, on MicroPython's littlefs.

    micropython power_cut_runs.py FIRMWARE DUAL RUN

Prints one JSON line of counts. A wrong result is an AssertionError. RUN is one of RUNS below.
The flash is that of an RP2040 board but smaller: blocks of 4096 bytes, pages of 256.
"""

import binascii
import json
import os
import sys

from flash_model import BLOCK_BYTES, CLEAN, FIRST, PAGE_BYTES, SECOND, Flash

HOWS = (CLEAN, FIRST, SECOND)
BLOCKS = 24
FOLDER = "/f/data"
BOOTS, TRIPS, IMPORT = 1, 3, 9  # places among the counters
# what is saved, with the largest payload of each kind
KINDS = (("config", 6000), ("record", 1500), ("state", 140), ("events", 384))


def mount(flash):
    """As a restart does. The mount must succeed whatever the cut has left."""
    try:
        os.umount("/f")
    except OSError:
        pass
    os.mount(os.VfsLfs2(flash, progsize=PAGE_BYTES), "/f")


def fresh():
    flash = Flash(BLOCKS)
    os.VfsLfs2.mkfs(flash, progsize=PAGE_BYTES)
    mount(flash)
    return flash


def record(name, most_bytes):
    from firmline.hal.files import FileStore
    from firmline.services.store import TwoGenerations

    found = TwoGenerations(FileStore(FOLDER), name, 1, most_bytes)
    found.find()
    return found


def payload(number, count):
    """`count` bytes that no other number has."""
    part = b"%08d" % number
    return (part * (count // 8 + 1))[:count]


def save(name, count, number):
    """True if the save says that it is done."""
    try:
        record(name, count).write(payload(number, count), count)
    except OSError:
        return False
    return True


def number_of(name, count):
    """Which payload is in force: -1 for none. It must be one of them, whole."""
    buffer = bytearray(count)
    n = record(name, count).read(buffer)
    if n < 0:
        return -1
    number = int(bytes(buffer[:8]))
    assert n == count and bytes(buffer) == payload(number, count), (name, n, bytes(buffer[:16]))
    return number


class Tally:
    def __init__(self):
        self.cuts = 0
        self.old = 0
        self.new = 0

    def note(self, found, old, new):
        assert found == old or found == new, (found, old, new)
        self.cuts += 1
        if found == new:
            self.new += 1
        else:
            self.old += 1

    def print(self):
        print(json.dumps({"cuts": self.cuts, "old": self.old, "new": self.new}))


def cut_everywhere(flash, name, count, number, tally, then=None):
    """Save payload `number` with a cut at each of its operations, from the contents as they are.
    `then(number in force)` goes on from each cut."""
    before = bytes(flash.data)
    old = number_of(name, count)
    flash.reset(before)
    mount(flash)
    assert save(name, count, number)
    operations = flash.operations
    after = bytes(flash.data)
    for how in HOWS:
        for at in range(1, operations + 1):
            flash.reset(before, at, how)
            mount(flash)
            assert not save(name, count, number), "it was cut and says that it is done"
            flash.reset()
            mount(flash)
            found = number_of(name, count)
            tally.note(found, old, number)
            if then:
                then(found)
    flash.reset(after)
    mount(flash)


def run_single():
    """Each kind: the first write, the second, and so many overwrites that the directory of
    littlefs has been compacted in between. After each cut the next save works."""
    for name, count in KINDS:
        tally = Tally()

        def go_on(found, name=name, count=count):
            assert save(name, count, 999999)
            assert number_of(name, count) == 999999

        flash = fresh()
        for number in range(1, 13):
            cut_everywhere(flash, name, count, number, tally, go_on)
        print(name, end=" ")
        tally.print()


def run_double():
    """Two cuts in a row: of the save, and of the save after the restart."""
    for name, count in KINDS:
        tally = Tally()
        flash = fresh()
        for number in range(1, 5):
            second = Tally()

            def again(found, flash=flash, number=number, name=name, count=count, second=second):
                cut_everywhere(flash, name, count, 100 + number, second)

            cut_everywhere(flash, name, count, number, tally, again)
            tally.cuts += second.cuts
            tally.old += second.old
            tally.new += second.new
        print(name, end=" ")
        tally.print()


ORDER = ("state", "events", "state", "record", "state", "config", "state", "state", "events")


def run_story():
    """A long series of saves of all kinds on one file system, each cut everywhere: the kind that
    was being saved is at its last number or at the new one, every other at its last."""
    flash = fresh()
    tally = Tally()
    last = {}
    for number in range(1, 61):
        saved = ORDER[number % len(ORDER)]

        def check_others(found, saved=saved):
            for name, count in KINDS:
                if name != saved:
                    assert number_of(name, count) == last.get(name, -1), name

        cut_everywhere(flash, saved, dict(KINDS)[saved], number, tally, check_others)
        last[saved] = number
    tally.print()


class RawFiles:
    """The contract of hal/files.py with nothing that protects: a name is a place in the flash,
    which is erased and then programmed page by page. The first page is its length."""

    def __init__(self, flash, most_bytes):
        self._flash = flash
        self._blocks = most_bytes // BLOCK_BYTES + 2
        self._names = []

    def _start(self, name):
        if name not in self._names:
            self._names.append(name)
        return self._names.index(name) * self._blocks

    def crc32(self, name, offset, crc):
        text = bytearray(self.size(name) - offset)
        self.read_at(name, offset, text, len(text))
        return binascii.crc32(text, crc)

    def size(self, name):
        head = bytearray(4)
        self._flash.readblocks(self._start(name), head)
        size = int.from_bytes(head, "little")
        return size if size < self._blocks * BLOCK_BYTES else -1

    def read_at(self, name, offset, buffer, n):
        part = bytearray(n)
        self._flash.readblocks(self._start(name), part, PAGE_BYTES + offset)
        buffer[:n] = part
        return n

    def save(self, name, buffer, n, head=b""):
        start = self._start(name)
        text = bytes(head) + bytes(buffer[:n])
        pages = [len(text).to_bytes(4, "little")]
        pages += [text[at : at + PAGE_BYTES] for at in range(0, len(text), PAGE_BYTES)]
        for block in range(self._blocks):
            self._check(self._flash.ioctl(6, start + block))
        for k in range(len(pages)):
            self._check(self._flash.writeblocks(start, pages[k], k * PAGE_BYTES))

    def _check(self, status):
        if status:
            raise OSError(5)


def run_raw():
    """Two generations alone, without a file system that would keep the old one."""
    from firmline.services.store import TwoGenerations

    for name, count in KINDS:
        tally = Tally()
        flash = Flash(8)
        files = RawFiles(flash, 20 + count)

        def there(files=files, name=name, count=count):
            found = TwoGenerations(files, name, 1, count)
            buffer = bytearray(count)
            n = found.read(buffer)
            number = int(bytes(buffer[:8])) if n >= 0 else -1
            assert n < 0 or bytes(buffer) == payload(number, count)
            return found, number

        for number in range(1, 5):
            before = bytes(flash.data)
            old = there()[1]
            flash.reset()
            there()[0].write(payload(number, count), count)
            after = bytes(flash.data)
            operations = flash.operations
            for how in HOWS:
                for at in range(1, operations + 1):
                    flash.reset(before, at, how)
                    try:
                        there()[0].write(payload(number, count), count)
                        raise AssertionError("cut, and says that it is done")
                    except OSError:
                        pass
                    flash.reset()
                    tally.note(there()[1], old, number)
            flash.reset(after)
        print(name, end=" ")
        tally.print()


def run_files():
    """Whole files alone, without generations: the old or the new one."""
    from firmline.hal.files import FileStore

    for name, count in KINDS:
        tally = Tally()
        flash = fresh()

        def there(name=name, count=count):
            buffer = bytearray(count + 1)
            n = FileStore(FOLDER).load(name, buffer)
            if n < 0:
                return -1
            number = int(bytes(buffer[:8]))
            assert bytes(buffer[:n]) == payload(number, count)
            return number

        for number in range(1, 9):
            before = bytes(flash.data)
            old = there()
            flash.reset()
            mount(flash)
            FileStore(FOLDER).save(name, payload(number, count), count)
            operations = flash.operations
            after = bytes(flash.data)
            for how in HOWS:
                for at in range(1, operations + 1):
                    flash.reset(before, at, how)
                    mount(flash)
                    try:
                        FileStore(FOLDER).save(name, payload(number, count), count)
                        raise AssertionError("cut, and says that it is done")
                    except OSError:
                        pass
                    flash.reset()
                    mount(flash)
                    tally.note(there(), old, number)
            flash.reset(after)
            mount(flash)
        print(name, end=" ")
        tally.print()


def open_journal(bench):
    from firmline.hal.files import FileStore
    from firmline.services import journal_start

    files = FileStore(FOLDER)
    return journal_start.open_journal(bench.controller, files, [None, 5], False, lambda text: None)


def run_journal():
    """The journal itself: counters never go back behind a save that was done, nor do events."""
    from alloc_site import Bench

    flash = fresh()
    bench = Bench()
    tally = Tally()
    for boot in range(1, 7):
        before = bytes(flash.data)
        kept = open_journal(bench)
        assert kept.counts[BOOTS] == boot
        kept.counts[TRIPS] += 1
        kept.counts[IMPORT] += 5
        flash.reset()
        kept.flush()
        assert kept.failures == 0
        operations = flash.operations
        after = bytes(flash.data)
        for how in HOWS:
            for at in range(1, operations + 1):
                flash.reset(before, at, how)
                mount(flash)
                cut = open_journal(bench)
                cut.counts[TRIPS] += 1
                cut.counts[IMPORT] += 5
                cut.flush()
                assert cut.failures
                flash.reset()
                mount(flash)
                again = open_journal(bench)
                trips = again.counts[TRIPS]
                tally.note(trips, boot - 1, boot)
                assert again.counts[IMPORT] == 5 * trips
                assert again.counts[BOOTS] == trips + 1
                assert len(again.stored()) >= 12 or boot == 1
        flash.reset(after)
        mount(flash)
    tally.print()


def wear_of(flash, names, saves):
    """Erases and programs of so many saves, the named kinds in turn."""
    for name in names:
        save(name, dict(KINDS)[name], 0)
    flash.reset()
    flash.erases_of = [0] * flash.blocks
    worst = 0
    for number in range(1, saves + 1):
        name = names[number % len(names)]
        erases = flash.erases
        assert save(name, dict(KINDS)[name], number)
        worst = max(worst, flash.erases - erases)
    return {
        "saves": saves,
        "erases": flash.erases,
        "programs": flash.programs,
        "most_erases_of_a_save": worst,
        "hottest_block": max(flash.erases_of),
    }


def run_wear(saves=400):
    """Each kind alone, and "both": state and events in turn beside a configuration and a record,
    as on a board. 352 blocks, as an RP2040 board with 2 MB has."""
    figures = {}
    for name in ("config", "record", "state", "events", "both"):
        flash = Flash(352)
        os.VfsLfs2.mkfs(flash, progsize=PAGE_BYTES)
        mount(flash)
        names = (name,)
        if name == "both":
            names = ("state", "events")
            for number in (1, 2):
                assert save("config", 6000, number) and save("record", 1500, number)
        figures[name] = wear_of(flash, names, saves)
    print(json.dumps(figures))


def run_lost():
    """The file system is gone in three ways: the controller holds its limits all the same."""
    from alloc_site import Bench, FakeHardware

    from firmline.hal.files import FileStore

    class Hardware(FakeHardware):
        def __init__(self, files):
            FakeHardware.__init__(self)
            self.files = files
            self.causes = []

        def record_cause(self, text):
            self.causes.append(text)

    def enforces(files, fails):
        bench = Bench(None, Hardware(files))
        bench.run(10000)
        bench.controller.events.now_s += 3600
        bench.run(15000)
        bench.devices.load_w = [7000, 1000, 1000]
        bench.run(30000)
        controller = bench.controller
        assert controller.cycle.mode == 1, controller.cycle.mode
        assert bench.devices.total_w() <= 25000 and bench.devices.phase_w(0) <= 11500
        assert (controller.journal.failures > 0) == fails, controller.journal.failures
        assert (len(bench.hardware.causes) == 1) == fails, bench.hardware.causes
        return bench.devices.offer_ma[11]

    flash = fresh()
    made_anew = enforces(FileStore(FOLDER), False)
    flash.reset(None, 1)
    off = enforces(FileStore(FOLDER), True)  # every erase and program fails
    os.umount("/f")
    gone = enforces(FileStore(FOLDER), True)
    mount(fresh())
    for name in ("state.0", "state.1", "events.0", "events.1"):
        FileStore(FOLDER).save(name, b"\xff" * 300, 300)
    damaged = enforces(FileStore(FOLDER), False)
    print(json.dumps({"offers_ma": [made_anew, off, gone, damaged]}))


RUNS = {
    "single": run_single,
    "double": run_double,
    "story": run_story,
    "raw": run_raw,
    "files": run_files,
    "journal": run_journal,
    "wear": run_wear,
    "lost": run_lost,
}

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    sys.path.insert(0, sys.argv[1])
    RUNS[sys.argv[3]]()
