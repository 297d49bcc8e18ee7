# SPDX-License-Identifier: MIT
"""devices.link: command priorities, refresh, loss and return, on a Terra AC (one frame each)."""

from modbus_fakes import Clock, ScriptedMaster

from firmline.devices import fields
from firmline.devices.catalog import PLACES, table_of
from firmline.devices.link import DeviceLink

DONE, FAILED = 2, 3
NO_JOB, READ, SETUP, REFRESH, WRITE_LOOSER, WRITE_TIGHTER = 0, 1, 2, 3, 4, 5

IDENTITY, TIMEOUT, LIMIT, BLOCK = 0x4006, 0x4106, 0x4100, 0x400C
REPLIES = {
    IDENTITY: (0, 32000),
    BLOCK: (0, 0x8400) + (0,) * 16,
    4: (0x107,),  # Heidelberg: layout
    5: (7,) + (0,) * 9,  # Heidelberg: state, currents ...
}


class Bench:
    """A Terra AC on one phase of 230 V: 1 A is 230 W."""

    def __init__(self, **options):
        self.clock = Clock()
        self.master = ScriptedMaster()
        options["phases"] = 1
        self.link = DeviceLink(table_of("abb_terra_ac"), 7, options)

    def job(self):
        return self.link.job(self.clock.now_ms)

    def begin(self):
        assert self.job() != NO_JOB
        self.link.begin(self.master, self.clock.now_ms)
        return self.master.requests[-1][2]

    def finish(self, state=DONE, after_ms=20):
        address = self.master.requests[-1][2]
        self.master.reply(REPLIES.get(address))
        self.link.finish(self.master, state, self.clock.after(after_ms))

    def turn(self, state=DONE):
        """Address of the transaction that was due."""
        address = self.begin()
        self.finish(state)
        return address

    def run(self, state=DONE):
        """Addresses of everything that is due now."""
        addresses = []
        while self.job() != NO_JOB:
            addresses.append(self.turn(state))
        return addresses

    def command(self, amps, is_tighter=False):
        self.link.set_command(amps * 230, is_tighter, self.clock.now_ms)

    def last_limit_ma(self):
        frames = [request[3] for request in self.master.requests if request[2] == LIMIT]
        return frames[-1][0] * 65536 + frames[-1][1]


def ready(**options):
    bench = Bench(**options)
    bench.run()
    return bench


def test_command_is_pending_until_acknowledged():
    bench = ready()
    assert not bench.link.settled()
    bench.command(10)
    assert not bench.link.settled()
    bench.begin()
    assert not bench.link.settled()
    bench.finish()
    assert bench.link.settled()
    assert bench.link.acked_w == 2300
    assert bench.link.acked_ms == bench.clock.now_ms


def test_priority_follows_the_callers_word():
    bench = ready()
    bench.command(10, is_tighter=False)
    assert bench.job() == WRITE_LOOSER
    bench.turn()
    bench.command(8, is_tighter=True)
    assert bench.job() == WRITE_TIGHTER


def test_the_same_command_again_sends_nothing():
    bench = ready()
    bench.command(10)
    bench.turn()
    for _ in range(50):
        bench.command(10, is_tighter=True)
        assert bench.job() == NO_JOB
        bench.clock.after(1)


def test_a_change_below_the_resolution_of_the_device_sends_nothing():
    bench = Bench()
    bench.link = DeviceLink(table_of("heidelberg_energy_control"), 7, {"phases": 1})
    bench.run()
    bench.link.set_command(2300, False, bench.clock.now_ms)
    bench.run()
    sent = len(bench.master.requests)
    bench.link.set_command(2310, False, bench.clock.now_ms)  # still 10.0 A
    assert bench.job() == NO_JOB
    assert bench.link.settled()
    assert bench.link.acked_w == 2310
    bench.link.set_command(2330, False, bench.clock.now_ms)
    bench.run()
    assert len(bench.master.requests) == sent + 1


def test_urgency_stays_while_a_tightening_command_was_not_sent():
    bench = ready()
    bench.command(16)
    bench.turn()
    bench.command(6, is_tighter=True)
    bench.command(8, is_tighter=False)
    assert bench.job() == WRITE_TIGHTER
    bench.turn()
    assert bench.last_limit_ma() == 8000
    bench.command(9, is_tighter=False)
    assert bench.job() == WRITE_LOOSER


def test_command_that_changes_in_flight_is_sent_again():
    bench = ready()
    bench.command(16)
    bench.begin()
    bench.command(6, is_tighter=True)
    bench.finish()
    assert bench.link.acked_w == 16 * 230
    assert not bench.link.settled()
    assert bench.job() == WRITE_TIGHTER
    bench.turn()
    assert bench.last_limit_ma() == 6000
    assert bench.link.settled()


def test_return_to_the_acknowledged_value_is_sent_when_a_reply_was_lost():
    # The device may have obeyed a write whose acknowledgement got lost.
    bench = ready()
    bench.command(6)
    bench.turn()
    bench.command(16)
    bench.begin()
    bench.command(6, is_tighter=True)
    bench.finish(FAILED)
    assert bench.job() == WRITE_TIGHTER
    bench.turn()
    assert bench.last_limit_ma() == 6000


def test_failed_write_is_tried_again_at_once():
    bench = ready()
    bench.command(10, is_tighter=True)
    bench.turn(FAILED)
    assert bench.job() == WRITE_TIGHTER
    assert not bench.link.settled()
    bench.turn()
    assert bench.link.settled()


def test_refresh_is_due_after_a_third_of_the_reversion_time():
    bench = ready(reversion_s=12, poll_ms=60000)
    bench.command(10)
    bench.turn()
    bench.clock.after(3999)
    assert bench.job() == NO_JOB
    assert bench.link.wait_ms(bench.clock.now_ms) == 1
    bench.clock.after(1)
    assert bench.job() == REFRESH
    assert bench.link.wait_ms(bench.clock.now_ms) == 0
    acked_ms = bench.link.acked_ms
    assert bench.turn() == LIMIT
    assert bench.link.settled()
    assert bench.link.acked_ms != acked_ms
    assert bench.job() == NO_JOB


def test_setup_due_is_announced_and_begun_by_one_call_of_job():
    bench = ready(poll_ms=300000)
    set_up_ms = bench.clock.now_ms - 20  # the read came after it
    while bench.link.wait_ms(bench.clock.now_ms):
        bench.clock.after(1)
    assert bench.clock.now_ms == (set_up_ms + 60000) % (1 << 30)
    assert bench.job() == SETUP
    bench.link.begin(bench.master, bench.clock.now_ms)
    assert bench.master.requests[-1][1:] == (16, TIMEOUT, [10])


def test_setup_is_repeated_every_minute_for_a_device_that_restarted_unseen():
    bench = ready(reversion_s=10, poll_ms=300000)
    bench.clock.after(60000 - 40)  # the identification took 20 ms, the read 20 ms after it
    while bench.job() == NO_JOB:
        bench.clock.after(1)
    assert bench.job() == SETUP
    assert bench.link.is_online
    assert bench.turn() == TIMEOUT
    assert bench.job() == NO_JOB


def test_reads_are_due_by_poll_ms():
    bench = ready(poll_ms=700)
    bench.clock.after(679)  # begun 20 ms ago
    assert bench.job() == NO_JOB
    bench.clock.after(1)
    assert bench.job() == READ


def lose(bench):
    bench.clock.after(1000)
    for _ in range(3):
        assert bench.job() != NO_JOB
        bench.begin()
        bench.finish(FAILED)
        bench.clock.after(1000)


def test_three_failures_lose_the_link_two_do_not():
    bench = ready()
    for is_online in (True, True, False):
        bench.clock.after(1000)
        bench.turn(FAILED)
        assert bench.link.is_online is is_online
    assert bench.link.failures == 3


def test_lost_device_is_probed_with_growing_pauses():
    bench = ready()
    bench.clock.after(1000)
    for _ in range(2):
        bench.turn(FAILED)
        bench.clock.after(1000)
    bench.turn(FAILED)
    for pause_ms in (500, 1000, 2000, 4000, 4000, 4000):
        assert bench.link.wait_ms(bench.clock.now_ms) == pause_ms
        bench.clock.after(pause_ms - 1)
        assert bench.job() == NO_JOB
        bench.clock.after(1)
        assert bench.job() == READ
        assert bench.turn(FAILED) == IDENTITY


def test_returned_device_is_identified_and_set_up_before_it_is_commanded():
    bench = ready()
    bench.command(10)
    bench.run()
    lose(bench)
    assert not bench.link.settled()
    bench.master.requests = []
    assert bench.run()[:4] == [LIMIT, IDENTITY, TIMEOUT, LIMIT]
    assert bench.link.is_online
    assert bench.link.settled()


def test_device_that_hears_but_is_not_heard_is_still_commanded():
    # any other question would feed its watchdog and leave it at its old, higher offer
    bench = ready()
    bench.command(10)
    bench.run()
    lose(bench)
    bench.link.set_command(0, True, bench.clock.now_ms)
    for _ in range(3):
        bench.master.requests = []
        assert bench.turn(FAILED) == LIMIT
        assert not bench.link.is_online
        bench.clock.after(4000)


def test_command_is_urgent_once_a_lost_device_answers_again():
    # It may have restarted with its full current: nobody knows what it does.
    bench = ready()
    bench.command(10)
    bench.run()
    lose(bench)
    assert bench.job() == REFRESH  # the probe itself is not
    assert bench.turn() == LIMIT
    assert bench.job() == WRITE_TIGHTER
    assert bench.turn() == IDENTITY
    assert bench.job() == WRITE_TIGHTER
    assert bench.turn() == TIMEOUT
    assert bench.job() == WRITE_TIGHTER
    assert bench.turn() == LIMIT
    assert bench.link.settled()


def test_device_of_another_kind_is_asked_ever_less_often():
    bench = Bench()
    good, REPLIES[IDENTITY] = REPLIES[IDENTITY], (0, 5999)
    for pause_ms in (500, 1000, 2000, 4000, 4000):
        assert bench.turn() == IDENTITY
        assert bench.link.wait_ms(bench.clock.now_ms) == pause_ms
        bench.clock.after(pause_ms)
    REPLIES[IDENTITY] = good


def test_command_that_returns_to_the_acknowledged_value_during_a_loss_is_sent():
    # The device may have restarted meanwhile: an old acknowledgement is worth nothing.
    bench = ready()
    bench.command(10)
    bench.run()
    lose(bench)
    bench.command(12)
    bench.command(10)
    assert not bench.link.settled()
    assert LIMIT in bench.run()
    assert bench.last_limit_ma() == 10000


def test_loss_in_the_middle_of_setup_begins_again_with_the_identification():
    bench = Bench()
    bench.link = DeviceLink(table_of("heidelberg_energy_control"), 7, {"phases": 1})
    assert bench.turn() == 4
    assert bench.turn() == 262
    for _ in range(3):
        assert bench.turn(FAILED) == 257
    bench.clock.after(500)
    assert [bench.turn() for _ in range(4)] == [4, 262, 257, 258]


def test_loss_without_a_command_returns_without_one():
    bench = ready()
    lose(bench)
    assert bench.run() == [IDENTITY, TIMEOUT, BLOCK]


def test_device_that_was_never_there_is_probed_three_times_then_with_pauses():
    bench = Bench()
    bench.command(10, is_tighter=True)
    for _ in range(3):
        assert bench.turn(FAILED) == IDENTITY
    assert bench.job() == NO_JOB
    assert not bench.link.is_online
    assert [request[1] for request in bench.master.requests] == [3, 3, 3]


def test_failed_setup_is_repeated_and_no_command_passes_it():
    bench = Bench()
    bench.command(10, is_tighter=True)
    bench.turn()
    assert bench.turn(FAILED) == TIMEOUT
    assert bench.turn(FAILED) == TIMEOUT
    assert bench.turn() == TIMEOUT
    assert bench.turn() == LIMIT


def test_everything_works_across_the_wrap_of_the_clock():
    bench = ready(reversion_s=12, poll_ms=1000)
    bench.clock.now_ms = (1 << 30) - 500
    bench.run()
    bench.command(10)
    bench.run()
    bench.clock.after(3900)
    assert bench.clock.now_ms < 4000
    assert LIMIT not in bench.run()
    bench.clock.after(200)
    assert LIMIT in bench.run()


def test_job_and_wait_agree_at_every_millisecond():
    bench = ready(reversion_s=10, poll_ms=700)
    bench.command(10)
    bench.run()
    for _ in range(5000):
        bench.clock.after(1)
        is_due = bench.link.wait_ms(bench.clock.now_ms) == 0
        assert is_due == (bench.job() != NO_JOB)
        bench.run()


# What the links of one product share


def link_of(name, *others, **options):
    return DeviceLink(table_of(name), 7, options, others)


def test_links_share_what_is_the_same_and_only_that():
    first = link_of("abb_terra_ac", phases=1)
    assert link_of("abb_terra_ac", None, first, phases=1).product is first.product
    assert link_of("abb_terra_ac", first, phases=1, rated_w=5).product is first.product
    for other in ({"phases": 2}, {"phases": 1, "poll_ms": 50}, {"phases": 1, "fallback_w": 1}):
        assert link_of("abb_terra_ac", first, **other).product is not first.product, other
    assert link_of("heidelberg_energy_control", first, phases=1).product is not first.product


def test_links_that_share_a_product_have_their_own_values():
    bench = Bench()
    other = DeviceLink(table_of("abb_terra_ac"), 8, {"phases": 1}, (bench.link,))
    assert other.product is bench.link.product
    bench.run()
    assert (bench.link.samples, bench.link.is_online, bench.link.state) == (1, True, 3)
    assert (other.samples, other.is_online, other.state, other.rated) == (0, False, 0, 0)
    assert other.l_ma is not bench.link.l_ma
    sunspec = link_of("sunspec_battery_704"), link_of("sunspec_battery_704")
    assert sunspec[0]._chain is not sunspec[1]._chain
    assert sunspec[0]._work is not sunspec[1]._work


def targets_of(table):
    for block in table["identify"] + table["blocks"]:
        for field in block[5]:
            yield field[4]


def test_every_link_has_a_place_for_what_its_table_reports():
    """Else the first report would grow the link, and a phase would have nowhere to go."""
    for name in PLACES:
        link = link_of(name)
        places = len(link.__dict__)
        for target in targets_of(table_of(name)):
            link._publish(target, 1)
        assert len(link.__dict__) == places, name


def test_a_fixed_map_tells_no_scale_factors():
    """Its links share the working array in which they would be kept."""
    for name in PLACES:
        table = table_of(name)
        if not table["models"]:
            assert min(targets_of(table)) > fields.NO_SCALE, name
