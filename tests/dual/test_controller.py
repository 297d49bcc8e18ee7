# SPDX-License-Identifier: MIT
"""The controller as a whole, on fake wires: what reaches the devices when something goes wrong."""

from alloc_site import BATTERY, EVSE_A, EVSE_B, METER, PV, Bench

START, NORMAL, HOLD, FALLBACK, TRIPPED, SAFE = range(6)
FIRM, DYNAMIC = 0, 1
ALARM_A = 50 * 230  # 80 % of 63 A


def running(ms=14000, edit=None, **changes):
    """A bench in normal running: both vehicles charge, the head-end is alive."""
    bench = Bench(changes, edit=edit)
    while bench.ms < ms:
        if bench.ms % 5000 < 100:
            bench.heartbeat()
        bench.run(bench.ms + 100)
    assert bench.controller.cycle.mode == NORMAL
    return bench


def go(bench, ms):
    bench.run(bench.ms + ms)


def test_it_starts_with_everything_off_and_ends_start_with_the_first_sample():
    bench = Bench()
    assert not bench.relay.is_on and not bench.trip.is_on
    bench.devices.is_silent[METER] = True
    go(bench, 5000)
    assert bench.controller.cycle.mode == START
    assert not bench.relay.is_on
    assert bench.trip.is_on, "healthy: it only waits"
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}
    bench.devices.is_silent[METER] = False
    go(bench, 1500)
    assert bench.controller.cycle.mode == NORMAL


def test_in_normal_running_the_offers_fit_and_are_used():
    bench = running()
    assert bench.devices.offer_ma[EVSE_A] > 6000 and bench.devices.offer_ma[EVSE_B] > 6000
    assert bench.devices.total_w() <= 25000
    assert bench.hardware.feeds == bench.controller.supervisor.cycles


def test_a_lost_meter_takes_every_device_to_its_fallback():
    bench = running()
    bench.devices.is_silent[METER] = True
    go(bench, 1700)
    assert bench.controller.cycle.mode == HOLD, "not yet"
    assert bench.devices.offer_ma[EVSE_A] > 6000
    go(bench, 1300)
    assert bench.controller.cycle.mode == FALLBACK
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}
    assert bench.devices.battery_w() == 0
    assert bench.devices.pv_w() >= -2000
    assert not bench.relay.is_on
    assert bench.hardware.feeds == bench.controller.supervisor.cycles, "it still runs"


def test_a_meter_that_returns_ends_fallback_without_a_jump():
    bench = running()
    bench.devices.is_silent[METER] = True
    go(bench, 4000)
    bench.devices.is_silent[METER] = False
    go(bench, 2000)
    assert bench.controller.cycle.mode == NORMAL
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}
    go(bench, 10000)
    assert bench.devices.offer_ma[EVSE_A] > 6000


def test_a_silent_evse_that_still_draws_is_paid_for_by_the_others():
    bench = running()
    bench.devices.is_silent[EVSE_A] = True
    drawn_w = bench.devices.ev_w(EVSE_A)
    assert drawn_w > 8000
    go(bench, 6000)
    assert bench.devices.ev_w(EVSE_A) == drawn_w, "nobody can tell it to stop"
    for k in range(3):
        bench.devices.load_w[k] = 5000
    for _ in range(60):
        go(bench, 1000)
    assert bench.devices.total_w() <= 25000
    assert bench.controller.cycle.mode == NORMAL


def test_an_evse_that_returns_gets_the_command_of_today():
    bench = running()
    old_ma = bench.devices.offer_ma[EVSE_A]
    bench.devices.is_silent[EVSE_A] = True
    go(bench, 10000)
    assert bench.devices.offer_ma[EVSE_A] == old_ma, "nothing got through"
    for k in range(3):
        bench.devices.load_w[k] = 6500
    bench.devices.is_silent[EVSE_A] = False
    while not bench.controller.links[0].is_online:
        go(bench, 10)
        assert bench.devices.offer_ma[EVSE_A] in (0, old_ma)
    go(bench, 6000)
    link = bench.controller.links[0]
    assert link.settled() and link.acked_w == bench.controller.resources.command_w[0]
    assert bench.devices.offer_ma[EVSE_A] < old_ma
    assert bench.devices.total_w() <= 25000


def test_a_battery_that_returns_is_not_taken_back_to_its_old_command():
    bench = running()
    for k in range(3):
        bench.devices.load_w[k] = 5500
    go(bench, 5000)
    assert bench.devices.battery_w() < -1000
    bench.devices.is_silent[BATTERY] = True
    go(bench, 5000)
    for k in range(3):
        bench.devices.load_w[k] = 0
    bench.devices.sun_w = 0
    go(bench, 10000)
    bench.devices.is_silent[BATTERY] = False
    go(bench, 8000)
    assert bench.devices.total_w() >= -5000
    link = bench.controller.links[2]
    assert link.settled() and link.acked_w == bench.controller.resources.command_w[2]


def test_export_beyond_the_limit_cuts_the_pv():
    bench = running()
    bench.devices.sun_w = 9000
    bench.devices.is_plugged[EVSE_A] = bench.devices.is_plugged[EVSE_B] = False
    for k in range(3):
        bench.devices.load_w[k] = 0
    bench.emergency(-1, 1000, 60)
    go(bench, 9000)
    assert bench.devices.total_w() >= -1000
    assert bench.controller.cycle.mode == NORMAL


def test_an_emergency_limit_reaches_the_vehicles_within_a_second():
    bench = running()
    go(bench, 100)
    bench.emergency(5000, -1, 60)
    go(bench, 1000)
    assert bench.controller.cycle.limits.high_w[0] == 5000
    assert bench.devices.total_w() <= 5000


def test_a_head_end_that_falls_silent_ends_a_looser_limit():
    bench = running()
    bench.heartbeat()
    go(bench, 100)
    bench.dynamic(31000, -1, 3600)
    go(bench, 14800)
    assert bench.controller.cycle.limits.high_w[0] == 31000, "not yet"
    go(bench, 300)
    assert bench.controller.cycle.limits.high_w[0] == 25000
    assert bench.controller.cycle.limits.binding[0] == FIRM


def test_a_head_end_that_falls_silent_leaves_a_stricter_limit_to_its_own_expiry():
    bench = running()
    bench.heartbeat()
    go(bench, 100)
    bench.dynamic(9000, -1, 60)
    go(bench, 59900)
    assert bench.controller.cycle.limits.high_w[0] == 9000, "not yet"
    assert bench.controller.cycle.limits.binding[0] == DYNAMIC
    go(bench, 300)
    assert bench.controller.cycle.limits.high_w[0] == 25000


def test_what_cannot_be_shed_trips_after_90_percent_of_the_time_and_stays_tripped():
    bench = running()
    bench.devices.load_w[0] = ALARM_A + 20000
    go(bench, 8700)
    assert bench.trip.is_on, "not yet"
    go(bench, 600)
    assert not bench.trip.is_on
    assert bench.controller.cycle.mode == TRIPPED
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}
    bench.devices.load_w[0] = 0
    go(bench, 60000)
    assert not bench.trip.is_on and not bench.relay.is_on
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}


def test_a_reading_beyond_all_sense_is_an_exceedance_and_nothing_worse():
    bench = running()
    bench.devices.is_absurd = True
    go(bench, 2000)
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}
    assert bench.controller.meter.total_w == 536870910
    bench.devices.is_absurd = False
    go(bench, 2000)
    assert bench.controller.cycle.mode == NORMAL


def test_a_failure_opens_every_output_and_commands_nothing():
    bench = running()
    bench.controller.fail()
    assert not bench.relay.is_on and not bench.trip.is_on
    assert list(bench.controller.resources.command_w) == [0, 0, 0, 0, 0]
    go(bench, 3000)
    assert bench.controller.cycle.mode == SAFE
    assert not bench.relay.is_on and not bench.trip.is_on
    assert bench.devices.offer_ma == {EVSE_A: 0, EVSE_B: 0}


def test_pv_that_falls_silent_is_no_relief_and_nothing_is_over_for_long():
    bench = running()
    for k in range(3):
        bench.devices.load_w[k] = 6000
    go(bench, 10000)
    bench.devices.is_silent[PV] = True
    bench.devices.sun_w = 0
    go(bench, 6000)
    assert bench.devices.total_w() <= 25000


def test_a_device_that_refuses_every_write_is_paid_for_by_the_others():
    bench = running()
    refused_w = bench.devices.ev_w(EVSE_A)
    bench.devices.refuses[EVSE_A] = True
    for k in range(3):
        bench.devices.load_w[k] = 4500
    for _ in range(120):
        go(bench, 1000)
        assert bench.controller.cycle.mode == NORMAL
    assert bench.devices.ev_w(EVSE_A) == refused_w
    assert bench.devices.total_w() <= 25000


def test_a_reply_that_waited_through_a_stall_is_not_a_fresh_sample():
    bench = running()
    meter = bench.controller.meter
    begun_ms = meter.sampled_ms
    while not bench.line.any() or meter.sampled_ms != begun_ms:
        begun_ms = meter.sampled_ms
        bench.controller.poll(bench.now_ms)
        bench.answer()
        if not bench.line.any():
            bench.after(1)
    for k in range(3):
        bench.devices.load_w[k] = 9000  # what the waiting reply does not know yet
    bench.ms += 3000  # the program stood still
    bench.now_ms = (bench.now_ms + 3000) & 0x3FFFFFFF
    bench.controller.poll(bench.now_ms)
    assert bench.controller.cycle.mode == FALLBACK
    go(bench, 1000)
    assert bench.controller.cycle.mode == NORMAL


def test_a_run_of_90_s_is_well_and_ends_the_crash_loop_counter():
    bench = running(89900)
    assert bench.hardware.word is None, "not yet"
    go(bench, 200)
    assert bench.hardware.word == 0x0B5A0000
    bench.hardware.word = None
    go(bench, 5000)
    assert bench.hardware.word is None, "once"


def test_the_trip_output_is_guarded_for_a_second_or_two_ticks():
    bench = Bench()
    assert bench.hardware.guarded[0] == [bench.trip]
    assert bench.hardware.guarded[1] == 1000


def test_why_it_started_is_the_first_event():
    bench = Bench()
    assert [event[2:] for event in bench.controller.events][0] == (1, 0)


def quiet():
    """A bench at a moment at which nothing is due for some milliseconds."""
    bench = running()
    while True:
        wait_ms = bench.controller.poll(bench.now_ms)
        if wait_ms > 5 and not bench.line.any():
            return bench, wait_ms
        bench.answer()
        bench.after(wait_ms)


def test_a_poll_before_its_time_does_nothing_and_says_how_long_still():
    bench, wait_ms = quiet()
    controller = bench.controller
    bench.after(1)
    cycles, feeds = controller.supervisor.cycles, bench.hardware.feeds
    controller.supervisor.may_feed()
    controller._serve = None  # would raise
    for left_ms in range(wait_ms - 1, 0, -1):
        assert controller.poll(bench.now_ms) == left_ms
        bench.after(1)
    assert (controller.supervisor.cycles, bench.hardware.feeds) == (cycles, feeds)


def test_nothing_but_idle_polls_never_feeds_the_watchdog():
    bench, wait_ms = quiet()
    feeds = bench.hardware.feeds
    for _ in range(1000):
        bench.controller.poll(bench.now_ms)
    assert bench.hardware.feeds == feeds


def test_idle_polls_end_after_a_tick_at_most():
    bench = running()
    for _ in range(2000):
        wait_ms = bench.controller.poll(bench.now_ms)
        assert 1 <= wait_ms <= 100
        bench.answer()
        bench.after(wait_ms)


def test_a_byte_of_the_head_end_ends_an_idle_time():
    bench, wait_ms = quiet()
    beats = bench.controller.head_end.heartbeats
    bench.after(1)
    assert bench.controller.poll(bench.now_ms) == wait_ms - 1
    bench.heartbeat()
    bench.controller.poll(bench.now_ms)
    assert bench.controller.head_end.heartbeats == beats + 1


def test_a_reply_is_left_in_the_port_until_it_is_worth_a_poll():
    bench = running()
    while not bench.line.sent_n:
        bench.after(bench.controller.poll(bench.now_ms))
    reply = bench.devices.reply_to(bench.line.take())
    assert bench.line.wanted == 5
    bench.controller.poll(bench.now_ms)
    bench.line.arrive(reply[:4])
    bench.controller.poll(bench.now_ms)
    assert bench.line.any() == 4
    bench.line.arrive(reply)
    bench.controller.poll(bench.now_ms)
    assert bench.line.any() == 0


def fast(load_w):
    """A bench on which the meter is asked as fast as it answers, and is alone on the line."""
    bench = running(20000)
    bench.controller.meter._timers[7] = 1  # the period of its first block
    for link in bench.controller.links:
        if link is not None:
            link.job = lambda now_ms: 0
            link.wait_ms = lambda now_ms: 1000
    for k in range(3):
        bench.devices.load_w[k] = load_w
    go(bench, 100)
    return bench


def asking_fast(load_w):
    """How often a request was out when the cycle had used a sample."""
    bench = fast(load_w)
    meter = bench.controller.meter
    first = 0
    cycles = bench.controller.supervisor.cycles
    seen = meter.samples
    for _ in range(200):
        wait_ms = bench.controller.poll(bench.now_ms)
        if bench.controller.supervisor.cycles != cycles:
            cycles = bench.controller.supervisor.cycles
            if meter.samples != seen:
                seen = meter.samples
                first += bench.line.sent_n > 0
        bench.answer()
        bench.after(wait_ms)
    return first


def test_a_fast_meter_is_asked_before_the_cycle_while_nothing_presses():
    assert asking_fast(1000) >= 15


def test_the_cycle_goes_first_when_the_sample_is_beyond_a_limit():
    assert asking_fast(12000) <= 2  # the reads of the voltages


def test_the_cycle_waits_two_ms_at_most_for_a_line_that_does_not_fall_silent():
    bench = fast(1000)
    meter, supervisor = bench.controller.meter, bench.controller.supervisor
    seen = meter.samples
    while meter.samples == seen:
        bench.answer()
        bench.after(1)
        cycles = supervisor.cycles
        bench.controller.poll(bench.now_ms)
    for _ in range(2):
        bench.line.arrive(b"\xff")
        bench.now_ms = (bench.now_ms + 1) & 0x3FFFFFFF
        bench.controller.poll(bench.now_ms)
        assert supervisor.cycles == cycles, "not yet"
    bench.line.arrive(b"\xff")
    bench.now_ms = (bench.now_ms + 1) & 0x3FFFFFFF
    bench.controller.poll(bench.now_ms)
    assert supervisor.cycles == cycles + 1


def relay_index(bench):
    """Where the relay is among the resources: it has no link."""
    return bench.controller.links.index(None)


def events(bench, code):
    return [value for _, _, found, value in bench.controller.events if found == code]


E_DEVICE_LOST = 7


def test_a_relay_that_stays_on_is_not_counted_on_after_half_a_second():
    bench = running()
    index = relay_index(bench)
    resources = bench.controller.resources
    assert resources.is_online[index] and bench.relay.is_on
    bench.devices.is_silent[METER] = True  # everything goes to its fallback: the relay off
    bench.relay.stuck = True
    go(bench, 2000)
    while bench.relay.is_on:
        go(bench, 100)
    go(bench, 500)
    assert resources.is_online[index], "not yet"
    go(bench, 300)
    assert not resources.is_online[index]
    assert resources.power_w[index] == 0, "no credit for what it was told"
    assert events(bench, E_DEVICE_LOST)[-1] == index


def test_a_relay_at_fault_is_not_trusted_again_when_it_happens_to_agree():
    bench = running()
    index = relay_index(bench)
    bench.relay.stuck = False
    go(bench, 1000)
    assert not bench.controller.resources.is_online[index]
    bench.relay.stuck = None
    go(bench, 5000)
    assert not bench.controller.resources.is_online[index]


def test_a_contact_that_is_late_by_less_than_half_a_second_is_no_fault():
    bench = running()
    bench.relay.stuck = False
    go(bench, 400)
    bench.relay.stuck = None
    go(bench, 1000)
    assert bench.controller.resources.is_online[relay_index(bench)]
    assert events(bench, E_DEVICE_LOST) == []


def test_a_trip_output_that_does_not_follow_is_an_event_once():
    bench = running()
    bench.trip.stuck = False
    go(bench, 3000)
    assert events(bench, E_DEVICE_LOST) == [bench.controller.resources.count]


def flight_ms(latency_ms):
    """How long a cut of the vehicle stays in flight, to 100 ms."""

    def edit(config):
        config["devices"][0]["latency_ms"] = latency_ms

    bench = running(edit=edit)
    in_flight = bench.controller.resources.in_flight
    assert not in_flight[0]
    bench.emergency(5000, -1, 60)
    while not in_flight[0]:
        go(bench, 10)
    since_ms = bench.ms
    while in_flight[0]:
        go(bench, 10)
    return bench.ms - since_ms


def test_a_meter_with_a_longer_latency_keeps_a_command_in_flight_for_so_much_longer():
    short_ms = flight_ms(300)
    assert 1800 <= short_ms < 2300, short_ms
    assert abs(flight_ms(2000) - short_ms - 1700) <= 300


def on_two_buses(config):
    config["buses"].append({"port": "uart2", "baud": 115200})
    config["devices"][1]["bus"] = 1


def test_a_tightening_command_leaves_in_the_very_poll_that_decoded_the_sample():
    bench = running(14100, edit=on_two_buses)
    controller = bench.controller
    for k in range(3):
        bench.devices.load_w[k] = 9000
    command_w = controller.resources.command_w
    before_w = command_w[0]
    while command_w[0] == before_w:
        bench.answer()
        bench.after(controller._nothing_ms)
        samples = controller.meter.samples
        bench.second_line.take()
        assert not controller.buses[1].is_busy(), "or the command would have to wait for it"
        controller.poll(bench.now_ms)
    assert command_w[0] < before_w and controller.meter.samples == samples + 1
    assert bench.second_line.take()[:2] == bytes((EVSE_A, 16)), "in the port already"
