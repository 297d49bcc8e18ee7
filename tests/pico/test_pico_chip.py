# SPDX-License-Identifier: MIT
"""The emulated chip behaves as a board does, where the firmware depends on it."""

import pytest

SEND_AND_LISTEN = """
import machine, time
enable = machine.Pin(2, machine.Pin.OUT, value=1)
uart = machine.UART(0, 19200, tx=machine.Pin(0), rx=machine.Pin(1), txbuf=256, rxbuf=512)
start = time.ticks_us()
uart.write(b"12345678")
while not uart.txdone():
    pass
took = time.ticks_diff(time.ticks_us(), start)
enable.value(0)
got = b""
while time.ticks_ms() < 2500:
    got += uart.read(uart.any()) if uart.any() else b""
    machine.idle()
print("took", took, "got", got)
"""


def events_until(chip, t_us):
    events = []
    while chip.now_us < t_us:
        events += chip.run(t_us)
    return events


def console(events):
    return "".join(event[2] for event in events if event[0] == "text")


def test_a_sent_frame_is_reported_once_and_takes_its_time_on_the_wire(boot):
    chip = boot(SEND_AND_LISTEN)

    events = events_until(chip, 2_600_000)

    frames = [event for event in events if event[0] == "tx"]
    assert [frame[2:] for frame in frames] == [[0, b"12345678"]]
    took_us = int(console(events).split("took ")[1].split()[0])
    assert took_us == pytest.approx(8 * 10 * 1e6 / 19200, abs=60)


def test_received_bytes_come_in_order_and_none_is_lost(boot):
    chip = boot(SEND_AND_LISTEN)
    chip.run(500_000)
    data = bytes(range(65, 91))
    chip.receive(0, [1_000_000 + 521 * k for k in range(len(data))], data)

    events = events_until(chip, 2_600_000)

    assert repr(data) in console(events)
    assert chip.counts()["overruns"] == 0


def test_bytes_that_arrive_while_the_driver_is_enabled_are_lost_and_counted(boot):
    chip = boot("import machine\nmachine.UART(0, 19200)\nmachine.Pin(2, 1, value=1)\n")
    chip.run(500_000)
    chip.receive(0, [500_100, 500_700], b"no")

    events_until(chip, 600_000)

    assert chip.counts()["deaf"] == 2


def test_a_starved_watchdog_resets_at_its_time_and_releases_the_outputs(boot):
    main = """
import machine
machine.Pin(8, machine.Pin.OUT, value=1)
machine.WDT(timeout=500)
while True:
    machine.idle()
"""
    chip = boot(main, watch=(8,))

    events = events_until(chip, 900_000)

    on, off, reset, *_ = [event for event in events if event[0] in ("pin", "reset")]
    assert on[2:] == [8, 1]
    assert off[2:] == [8, None]
    assert reset[2] == "watchdog"
    assert reset[1] - on[1] == pytest.approx(500_000, abs=2000)


def test_files_survive_a_reset(boot):
    main = """
import machine, os, time
if "mark" in os.listdir():
    while time.ticks_ms() < 2500:
        machine.idle()
    print("cause", machine.reset_cause(), open("mark").read())
else:
    with open("mark", "w") as file:
        file.write("kept")
    machine.reset()
"""
    chip = boot(main)

    events = events_until(chip, 3_600_000)

    assert "cause 3 kept" in console(events)
    assert chip.counts()["flash_writes"] > 0


def test_a_run_without_an_event_ends_where_it_was_asked_to_and_not_short_of_it(boot):
    """Times have fractions; one who asked until it was there asked for ever."""
    chip = boot("import time\nwhile True:\n    time.sleep_ms(1000)\n")
    events_until(chip, 2_500_000)

    for _ in range(300):
        asked_us = chip.now_us + 4000 / 7
        if not chip.run(asked_us):
            assert chip.now_us >= asked_us


def test_an_idle_core_sleeps(boot):
    chip = boot("import time\nwhile True:\n    time.sleep_ms(10)\n")
    events_until(chip, 2_500_000)
    before_us = chip.counts()["slept_us"]

    events_until(chip, 3_500_000)

    assert chip.counts()["slept_us"] - before_us > 950_000
