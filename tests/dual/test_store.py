# SPDX-License-Identifier: MIT
"""Two generations of a record: what counts, what is refused, what is written over."""

from firmline.hal.ramfiles import RamStore
from firmline.services.store import TwoGenerations

HEAD_BYTES = 20


def record(files, schema=1, most_bytes=64, steps=None):
    return TwoGenerations(files, "state", schema, most_bytes, steps)


def stored(files, schema=1, most_bytes=64, steps=None):
    """(payload, record) as a start would find it; payload None: there is none."""
    found = record(files, schema, most_bytes, steps)
    buffer = bytearray(most_bytes)
    n = found.read(buffer)
    return (bytes(buffer[:n]) if n >= 0 else None), found


def write(files, *payloads):
    target = record(files)
    target.find()
    for payload in payloads:
        target.write(payload, len(payload))
    return target


def whole(files, path):
    data = bytearray(files.size(path))
    files.load(path, data)
    return data


def spoil(files, path, at, change=1):
    data = whole(files, path)
    data[at] ^= change
    files.save(path, data, len(data))


def set_generation(files, path, generation):
    """As if so many had been written: the file is made anew by the code under test."""
    target = record(files)
    target._top = generation - 1
    target._top_slot = 1 - int(path[-1])
    target.write(b"n%d" % (generation & 0xFF), len(b"n%d" % (generation & 0xFF)))


class Failing(RamStore):
    """save: "refuse" raises, "spoil" stores another byte, "lose" stores nothing in silence."""

    fault = ""

    def save(self, name, buffer, n, head=b""):
        if self.fault == "refuse":
            raise OSError(28)
        if self.fault == "spoil":
            buffer = bytearray(buffer)
            buffer[0] ^= 1
        if self.fault != "lose":
            RamStore.save(self, name, buffer, n, head)


def raises_os_error(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        return True
    return False


def test_nothing_stored_is_no_payload():
    payload, found = stored(RamStore())
    assert payload is None
    assert (found.generation, found.length, found.refused) == (0, 0, 0)
    assert found.read_at(0, bytearray(4), 4) == -1


def test_the_first_write_is_generation_one_and_is_read_back():
    files = RamStore()
    written = write(files, b"first")
    assert (written.generation, written.schema, written.length) == (1, 1, 5)
    payload, found = stored(files)
    assert payload == b"first"
    assert (found.generation, found.schema, found.length, found.refused) == (1, 1, 5, 0)


def test_the_file_is_laid_out_as_described():
    files = RamStore()
    write(files, b"123456789")
    data = whole(files, "state.0")
    assert bytes(data[:16]) == b"FLM1\x01\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00"
    assert bytes(data[16:20]) == b"\x2a\x63\xe6\xbe"  # CRC-32 of 802.3, by another program
    assert bytes(data[20:]) == b"123456789"


def test_writes_take_turns_and_the_newest_counts():
    files = RamStore()
    write(files, b"one", b"two", b"three")
    payload, found = stored(files)
    assert (payload, found.generation) == (b"three", 3)
    assert bytes(whole(files, "state.1")[HEAD_BYTES:]) == b"two", "kept until the next write"
    write(files, b"four")
    assert stored(files)[0] == b"four"
    assert bytes(whole(files, "state.0")[HEAD_BYTES:]) == b"three"


def test_an_empty_payload_is_a_payload():
    files = RamStore()
    write(files, b"")
    assert stored(files)[0] == b""


def test_every_single_wrong_bit_is_refused_and_the_older_counts():
    for at in range(HEAD_BYTES + 3):
        for bit in range(8):
            files = RamStore()
            write(files, b"old", b"new")
            spoil(files, "state.1", at, 1 << bit)
            payload, found = stored(files)
            assert payload == b"old", (at, bit)
            assert (found.generation, found.refused) == (1, 1)


def test_every_shorter_or_longer_file_is_refused():
    for count in range(HEAD_BYTES + 3):
        files = RamStore()
        write(files, b"old", b"new")
        files.save("state.1", whole(files, "state.1"), count)
        assert stored(files)[0] == b"old", count
    files.save("state.1", whole(files, "state.0") + b"x", HEAD_BYTES + 4)
    assert stored(files)[0] == b"old"


def test_both_files_spoiled_are_no_payload_and_the_next_write_works():
    files = RamStore()
    write(files, b"old", b"new")
    spoil(files, "state.0", 22)
    spoil(files, "state.1", 22)
    payload, found = stored(files)
    assert payload is None and found.refused == 2
    found.write(b"again", 5)
    assert stored(files)[0] == b"again"


def test_a_write_after_a_refused_file_replaces_that_one():
    files = RamStore()
    write(files, b"old", b"new")
    spoil(files, "state.1", 22)
    write(files, b"next")
    assert stored(files)[0] == b"next"
    assert bytes(whole(files, "state.0")[HEAD_BYTES:]) == b"old"


def test_a_failed_write_leaves_what_was_in_force():
    for fault in ("refuse", "spoil", "lose"):
        files = Failing()
        target = write(files, b"old", b"now")
        files.fault = fault
        assert raises_os_error(target.write, b"later", 5), fault
        assert (target.generation, target.length) == (2, 3)
        assert stored(files)[0] == b"now", fault
        files.fault = ""
        target.write(b"at last", 7)
        assert stored(files)[0] == b"at last"


def test_a_payload_longer_than_agreed_is_neither_written_nor_read():
    files = RamStore()
    target = record(files, 1, 4)
    target.find()
    target.write(b"four", 4)
    assert raises_os_error(target.write, b"fives", 5)
    assert stored(files, 1, 3)[0] is None
    assert stored(files, 1, 4)[0] == b"four"


def test_the_generation_wraps_and_the_newest_still_counts():
    top = (1 << 32) - 1
    files = RamStore()
    set_generation(files, "state.0", top)
    assert stored(files)[1].generation == top
    write(files, b"wrapped")
    payload, found = stored(files)
    assert (payload, found.generation) == (b"wrapped", 1), "0 means none"
    write(files, b"after")
    assert (stored(files)[0], stored(files)[1].generation) == (b"after", 2)


def test_generations_either_side_of_the_sign_bit_are_in_order():
    files = RamStore()
    set_generation(files, "state.0", (1 << 31) - 1)
    write(files, b"b", b"c", b"d")
    assert (stored(files)[0], stored(files)[1].generation) == (b"d", (1 << 31) + 2)


def test_a_part_can_be_read_without_a_buffer_for_all():
    files = RamStore()
    target = write(files, b"0123456789")
    buffer = bytearray(4)
    assert target.read_at(8, buffer, 4) == 2 and bytes(buffer[:2]) == b"89"
    assert target.read_at(10, buffer, 4) == 0
    assert target.read_at(11, buffer, 4) == 0


def one_more_byte(buffer, n):
    buffer[n] = ord("2")
    return n + 1


def double(buffer, n):
    if n < 2:
        return -1
    for k in range(n):
        buffer[n + k] = buffer[k]
    return 2 * n


def test_an_older_schema_is_brought_up_step_by_step_and_its_file_stays():
    files = RamStore()
    write(files, b"a")
    steps = {1: one_more_byte, 2: double}
    payload, found = stored(files, 3, 64, steps)
    assert payload == b"a2a2"
    assert (found.schema, found.length) == (1, 1), "as it is stored"
    assert bytes(whole(files, "state.0")[HEAD_BYTES:]) == b"a"
    found.write(payload, len(payload))
    assert (found.schema, found.generation) == (3, 2)
    assert bytes(whole(files, "state.0")[HEAD_BYTES:]) == b"a", "until the next but one"
    assert stored(files, 3, 64, steps)[0] == b"a2a2"


def test_an_older_schema_without_a_way_is_refused():
    files = RamStore()
    write(files, b"a")
    payload, found = stored(files, 3, 64, {2: double})
    assert payload is None and found.refused == 1


def test_a_step_that_makes_no_sense_of_its_payload_leaves_the_older_generation():
    files = RamStore()
    target = record(files, 2)
    target.find()
    target.write(b"good", 4)
    target.write(b"x", 1)
    payload, found = stored(files, 3, 64, {2: double})
    assert (payload, found.generation) == (b"goodgood", 1)


def test_an_unknown_newer_schema_is_refused_and_the_older_generation_counts():
    files = RamStore()
    write(files, b"mine")
    newer = record(files, 2, 64, {1: one_more_byte})
    newer.find()
    newer.write(b"of tomorrow", 11)
    payload, found = stored(files)
    assert (payload, found.generation, found.refused) == (b"mine", 1, 1)


def test_what_is_written_after_a_newer_schema_was_refused_is_newer_than_it():
    files = RamStore()
    newer = record(files, 2)
    newer.find()
    for text in (b"1", b"2", b"3"):
        newer.write(text, 1)
    payload, older = stored(files)
    assert payload is None and older.refused == 2
    older.write(b"mine", 4)
    assert (stored(files)[0], stored(files)[1].generation) == (b"mine", 4)
    payload, found = stored(files, 2, 64, {1: one_more_byte})
    assert payload == b"mine2", "the version that knows both takes the newest"
    assert bytes(whole(files, "state.0")[HEAD_BYTES:]) == b"3", "the newest of the others is kept"


def test_a_payload_its_reader_refuses_gives_way_to_the_older():
    files = RamStore()
    write(files, b"good", b"nonsense")
    payload, found = stored(files)
    assert payload == b"nonsense"
    buffer = bytearray(64)
    assert found.read_older(buffer) == 4 and bytes(buffer[:4]) == b"good"
    found.write(b"next", 4)
    payload, found = stored(files)
    assert (payload, found.generation) == (b"next", 3)
    assert bytes(whole(files, "state.0")[HEAD_BYTES:]) == b"good"


def test_there_may_be_no_older():
    files = RamStore()
    write(files, b"nonsense")
    _, found = stored(files)
    assert found.read_older(bytearray(64)) == -1
    _, none = stored(RamStore())
    assert none.read_older(bytearray(64)) == -1
