# SPDX-License-Identifier: MIT
"""Current transformers: sums, amps and watts of known waveforms, and what is no sample."""

import math
from array import array

from firmline.devices import ct
from firmline.devices.ct_kernel import product_sums, square_sums

AMPS = 20625  # mA per 256 counts: 100 A give 1 V RMS, 3.3 V are 4,096 counts
VOLTS = 474  # 0.1 V per 256 counts: 230 V give 1 V RMS
FIRST = 7  # a window begins anywhere


class Converter:
    """One window of waves: [(offset, amplitude, degrees late)], counts, 64 groups a cycle."""

    def __init__(self, slots, waves):
        self.slots = slots
        self.samples = array("H", [3000] * (FIRST + 512 * slots + 3))
        self.waves = waves
        self.is_good = True
        self.is_full = True
        self.fill()

    def fill(self):
        for k in range(512 * self.slots):
            value = 77
            if k % self.slots < len(self.waves):
                offset, amplitude, late = self.waves[k % self.slots]
                angle = 2 * math.pi * (k / (64 * self.slots) - late / 360)
                value = int(offset + amplitude * math.sin(angle) + 0.5)
            self.samples[FIRST + k] = min(max(value, 0), 4095)

    def window(self):
        return FIRST if self.is_full else -1

    def is_intact(self):
        return self.is_good


def rms(counts, offset=2048, late=0):
    return (offset, counts * math.sqrt(2), late)


def meter_after(converter, currents, volts, windows=2, nominal_dv=2300):
    if isinstance(currents, int):
        currents = [AMPS] * currents
    meter = ct.CtInput(converter, currents, volts, nominal_dv)
    for now_ms in range(40):
        if meter.samples < windows:
            meter.poll(now_ms)
    return meter


def near(value, wanted, permille):
    return abs(value - wanted) * 1000 <= permille * abs(wanted)


def test_scales_of_transformers():
    assert ct.per_256_counts(100000, 1000) == AMPS
    assert ct.per_256_counts(2300, 1000) == VOLTS
    b, c = ct.power_scale(AMPS, VOLTS)
    assert b * c < 2**30
    # 1 count**2 in sixty-fourths is AMPS / 256 mA times VOLTS / 256 dV, in watts
    assert near(b * 1000000000 // c, 1000000000 * AMPS * VOLTS // (64 * 65536 * 10000), 1)


def test_square_root_is_the_floor():
    for root in (0, 1, 2, 3, 181, 1000, 23170, 32767):
        square = root * root
        assert ct.isqrt(square) == root
        assert ct.isqrt(square + 2 * root) == root


def test_sums_of_a_square_wave_are_exact():
    samples = array("H", [1548, 2748] * 512)
    work = array("i", [2048] + [0] * 11)
    square_sums(samples, 0, 1, work)
    assert list(work[:6]) == [2048, 51200, 11560, 40960, 1548, 2748]
    assert 11560 * 16384 + 40960 == 256 * (500 * 500 + 700 * 700)


def test_the_largest_sums_stay_small_integers():
    samples = array("H", [0, 4095] * 1024)
    for offset in (1600, 2500):
        work = array("i", [offset, 0, 0, 0, 0, 0, offset, 1, -1, 2, 0, 0])
        square_sums(samples, 1, 2, work)
        product_sums(samples, 0, 1, 2, work)
        x = 4095 - offset
        assert (work[2] << 14) + work[3] == 512 * x * x
        # the voltage around each 4095 is 0
        assert (work[10] << 14) + work[11] == 512 * x * 4 * -offset


def test_amps_of_one_ct_without_a_voltage_are_an_import():
    meter = meter_after(Converter(1, [rms(500)]), 1, 0)
    assert near(meter.l_ma[0], 40283, 2)
    assert near(meter.l_w[0], 9265, 2)
    assert meter.total_w == meter.l_w[0]
    assert (meter.samples, meter.faults) == (2, 0)


def test_watts_follow_the_angle_between_current_and_voltage():
    for late, wanted_w in ((0, 9265), (60, 4632), (120, -4632), (180, -9265), (300, 4632)):
        meter = meter_after(Converter(2, [rms(500, 2100, late), rms(1241.2, 2000)]), 1, VOLTS)
        assert near(meter.l_w[0], wanted_w, 5), (late, meter.l_w)
        assert near(meter.l_dv[0], 2300, 3)
    meter = meter_after(Converter(2, [rms(500, 2100, 90), rms(1241.2, 2000)]), 1, VOLTS)
    assert abs(meter.l_w[0]) < 20


def test_two_currents_share_one_voltage_whatever_their_place():
    waves = [rms(500, 2048, 60), rms(250, 2048, 60), rms(1241.2)]
    meter = meter_after(Converter(4, waves), 2, VOLTS)
    assert near(meter.l_w[0], 4632, 5)
    assert near(meter.l_w[1], 2316, 5)
    assert meter.total_w == meter.l_w[0] + meter.l_w[1]
    assert meter.l_w[2] == 0


def test_the_second_leg_of_a_split_phase_counts_against_the_voltage_of_the_first():
    waves = [rms(500), rms(250, 2048, 180), rms(1241.2)]
    meter = meter_after(Converter(4, waves), [AMPS, -AMPS], VOLTS)
    assert near(meter.l_w[0], 9265, 5)
    assert near(meter.l_w[1], 4632, 5)
    assert near(meter.l_ma[1], 20142, 3)


def test_a_voltage_far_from_the_nominal_is_no_sample():
    waves = [rms(500), rms(1241.2)]  # 230 V
    for nominal_dv, is_good in ((1830, False), (1850, True), (3050, True), (3080, False)):
        meter = meter_after(Converter(2, waves), 1, VOLTS, nominal_dv=nominal_dv)
        faults = 0 if is_good else ct.NO_VOLTAGE << ct.FAULT_BITS
        assert (meter.samples, meter.faults) == (2 if is_good else 0, faults), nominal_dv


def test_scales_hold_at_the_ends_of_what_may_be_configured():
    for amps, amps_mv, tenths, volts_mv in (
        (500000, 200, 4000, 200),
        (500000, 200, 1000, 1000),
        (5000, 1100, 4000, 200),
        (5000, 1100, 1000, 1000),
    ):
        scale = ct.per_256_counts(amps, amps_mv)
        volts = ct.per_256_counts(tenths, volts_mv)
        assert 0 < scale < 524288 and 0 < volts < 524288
        b, c = ct.power_scale(scale, volts)
        assert 0 < b * c < 2**30
        assert near(b * 1000000000 // c, 1000000000 * scale * volts // (64 * 65536 * 10000), 2)


def test_a_small_current_is_measured_within_an_eighth_of_a_count():
    meter = meter_after(Converter(1, [rms(4)]), 1, 0)
    assert abs(meter.l_ma[0] - 322) <= 12


def test_the_direct_component_is_taken_out_from_the_first_window_on():
    for offset in (1700, 2400):
        waves = [rms(500, offset), rms(1000, 4148 - offset)]
        meter = meter_after(Converter(2, waves), 1, VOLTS, windows=1)
        assert near(meter.l_ma[0], 40283, 3)
        assert near(meter.l_w[0], 7464, 8)


def test_an_open_ct_is_no_sample_and_a_zero_current_is_one():
    meter = meter_after(Converter(1, [(4090, 0, 0)]), 1, 0)
    assert meter.samples == 0
    assert meter.faults & ct.OPEN
    meter = meter_after(Converter(1, [(2048, 0, 0)]), 1, 0)
    assert (meter.samples, meter.l_ma[0], meter.faults) == (2, 0, 0)


def test_a_signal_at_a_rail_is_no_sample():
    meter = meter_after(Converter(1, [(2048, 2100, 0)]), 1, 0)
    assert (meter.samples, meter.faults) == (0, ct.SATURATED)
    meter = meter_after(Converter(2, [rms(10), (4000, 0, 0)]), 2, 0)
    assert meter.faults == ct.OPEN << ct.FAULT_BITS  # which input it is
    meter = meter_after(Converter(1, [(2048, 1980, 0)]), 1, 0)
    assert (meter.samples, meter.faults) == (2, 0)


def test_a_window_in_which_the_plug_came_out_is_no_sample():
    converter = Converter(2, [rms(500), rms(1241.2)])
    for k in range(10):  # of 512 groups; the mean is as good as unchanged
        converter.samples[FIRST + 1024 - 2 - 2 * k] = 20
    meter = meter_after(converter, 1, VOLTS)
    assert (meter.samples, meter.faults) == (0, ct.SATURATED)


def test_a_window_that_was_written_again_is_no_sample():
    converter = Converter(1, [rms(500)])
    converter.is_good = False
    meter = meter_after(converter, 1, 0)
    assert (meter.samples, meter.faults) == (0, 0)


def test_nothing_happens_until_a_window_is_full():
    converter = Converter(1, [rms(500)])
    converter.is_full = False
    assert meter_after(converter, 1, 0).samples == 0


def test_after_a_fault_the_next_good_window_counts():
    converter = Converter(1, [(4090, 0, 0)])
    meter = meter_after(converter, 1, 0)
    converter.waves = [rms(500)]
    converter.fill()
    for now_ms in range(100, 130):
        meter.poll(now_ms)
    assert meter.samples > 0
    assert meter.faults == 0
    assert near(meter.l_ma[0], 40283, 3)
