# SPDX-License-Identifier: MIT
"""services.sensing: what a device says, and when its last command counts as seen at the PCC."""

from sites import at, battery, evse, make_resources, make_site, make_snapshot, relay

from firmline.core.balance import Balance
from firmline.services.sensing import Sensing

CHARGING = 3  # of devices/measured.py
SETTLE_MS = 1500
LATENCY_MS = 300
RESERVE_PERMILLE = 200


class FakeLink:
    """What a device link has heard."""

    is_online = True
    state = CHARGING
    soc_permille = 500
    samples = 0
    sampled_ms = 0
    last_ok_ms = 0
    taken_ms = at(0)
    power_w = draw_w = 0

    def settled(self):
        return True


class FakeOutputs:
    def works(self, index, is_on, now_ms):
        return True


class Rig:
    """One resource that was told something at 0 ms: `command_w`, in flight since then."""

    def __init__(self, row, command_w=0, is_relay=False):
        site = make_site()
        site.meter_latency_ms = LATENCY_MS
        self.link = None if is_relay else FakeLink()
        self.resources = make_resources([row])
        self.resources.settle_ms[0] = SETTLE_MS
        self.resources.command_w[0] = command_w
        self.resources.changed_ms[0] = at(0)
        self.resources.in_flight[0] = 1
        self.snapshot = make_snapshot(total_w=9000)
        self.balance = Balance(site, self.resources)
        parts = site, self.resources, self.snapshot, None, [self.link], FakeOutputs()
        self.sensing = Sensing(*parts, [RESERVE_PERMILLE])

    def read(self, ms, power_w=0):
        """The device was asked at `ms`, and has answered at once."""
        link = self.link
        link.samples += 1
        link.power_w = link.draw_w = power_w
        link.sampled_ms = link.last_ok_ms = at(ms)
        self.sensing.look(at(ms))

    def is_in_flight(self, ms):
        self.sensing.look(at(ms))
        return self.resources.in_flight[0] != 0


def test_a_relay_is_in_flight_for_200_ms_and_the_latency_of_the_meter():
    rig = Rig(relay(), 3000, is_relay=True)
    assert rig.is_in_flight(499), "not yet"
    assert not rig.is_in_flight(500)


def test_a_command_is_in_flight_for_its_settling_time_and_the_latency_of_the_meter():
    rig = Rig(battery(), 2000)
    rig.read(1500, 2000)
    rig.read(1600, 2000)
    assert rig.is_in_flight(1799), "not yet"
    assert not rig.is_in_flight(1800)


def test_a_reading_from_before_the_settling_time_ends_no_flight():
    rig = Rig(battery(), 2000)
    rig.read(1400, 2000)
    rig.read(1499, 2000)
    assert rig.is_in_flight(5000), "not yet"
    rig.read(1500, 2000)
    assert not rig.is_in_flight(5000)


def test_a_vehicle_that_was_offered_something_is_in_flight_until_it_draws():
    rig = Rig(evse(), 6000)
    rig.read(5000)
    rig.read(5100)
    assert rig.is_in_flight(5100)
    rig.read(5200, 6000)
    rig.read(5300, 6000)
    assert not rig.is_in_flight(5300)


def test_a_vehicle_that_was_told_to_pause_need_not_draw():
    rig = Rig(evse(), 0)
    rig.read(5000)
    rig.read(5100)
    assert not rig.is_in_flight(5100)


def test_a_vehicle_that_does_not_start_is_waited_for_30_s():
    rig = Rig(evse(), 6000)
    rig.read(20000)
    rig.read(29000)
    assert rig.is_in_flight(29999), "not yet"
    assert not rig.is_in_flight(30000)


def ends_with(first_w, second_w):
    """Two readings in a row, long after the command: has its flight ended?"""
    rig = Rig(battery(charge_w=20000), second_w)
    rig.read(5000, first_w)
    rig.read(5100, second_w)
    return not rig.is_in_flight(5100)


def test_a_flight_ends_with_two_readings_within_200_w():
    assert not ends_with(1000, 1201), "not yet"
    assert ends_with(1000, 1200)
    assert not ends_with(1201, 1000), "not yet"
    assert ends_with(1200, 1000)


def test_or_within_a_sixteenth_of_what_was_read():
    assert not ends_with(14999, 16000), "not yet"
    assert ends_with(15000, 16000)


def test_a_silent_device_is_not_waited_for_and_gets_no_credit():
    rig = Rig(evse(), 6000)
    rig.read(5000, 6000)
    rig.read(5100, 6000)
    rig.sensing.look(at(5200))
    rig.balance.update(rig.snapshot)
    assert rig.balance.import_w[0] == 3000, "9 kW at the PCC, 6 kW of them are the vehicle's"
    rig.link.is_online = False
    assert not rig.is_in_flight(5300)
    rig.balance.update(rig.snapshot)
    assert rig.balance.import_w[0] == rig.balance.export_w[0] == 9000
    assert not rig.resources.is_online[0]


def test_a_device_that_is_lost_in_flight_gets_no_credit_either():
    rig = Rig(evse(), 6000)
    rig.read(100, 6000)
    assert rig.is_in_flight(200)
    rig.link.is_online = False
    assert not rig.is_in_flight(300)
    rig.balance.update(rig.snapshot)
    assert rig.balance.import_w[0] == rig.balance.export_w[0] == 9000


def test_a_battery_at_its_reserve_is_low_and_so_is_one_that_does_not_say():
    rig = Rig(battery())
    for soc_permille, is_low in ((201, 0), (200, 1), (199, 1), (-1, 1)):
        rig.link.soc_permille = soc_permille
        rig.read(1000 + soc_permille)
        assert rig.resources.is_low[0] == is_low, soc_permille
