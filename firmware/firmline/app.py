# SPDX-License-Identifier: MIT
"""The controller: one object, advanced by one call, `poll(now_ms)`.

Bounded work, no blocking, no allocation in steady state, time only through the argument. The
same object runs on a board, on a desktop interpreter and inside the bench. It must never apply a
command that did not come from the guard.
"""

import io
import sys

from firmline.core import mode as modes
from firmline.core import supervisor as checks
from firmline.core.pacing import indices_of
from firmline.core.snapshot import BATTERY, EVSE, RELAY, Snapshot, watts_array
from firmline.core.supervisor import Supervisor
from firmline.core.units import (
    HALF_RING_MS,
    TICKS_MASK,
    clamp,
    const,
    elapsed_ms,
    remaining_ms,
    watts,
)
from firmline.devices.measured import STATE_CHARGING, STATE_WAITING
from firmline.services import eventlog
from firmline.services.eventlog import (
    E_DEVICE_BACK,
    E_DEVICE_LOST,
    E_HEAD_END,
    E_LIMIT_CHANGED,
    E_METER,
    E_MODE,
    E_STAGE,
)
from firmline.services.headend import HeadEnd
from firmline.services.registers import Registers
from firmline.services.telemetry import Telemetry

_MOST_W = const(0x10000000)
_STEADY_W = const(200)
_SILENCE_MS = const(2)
_RELAY_MS = const(200)  # coil, contact and the load behind it
_LONGEST_FLIGHT_MS = const(30000)  # a vehicle that has not started by then does not want to
_WELL_S = const(60)  # of running; then the crash loop counter begins anew
_WELL = const(0x0B5A0000)  # marker words of services.boot
_FAILED = const(0x200)
_DEAD_MAN_MS = const(1000)
_TOOLS_MS = const(2)  # between polls while a tool is talking


class Controller:
    """config: from services.config.load. hardware: see docs/porting.md. cause: why the chip
    started, for the log.

    Raises OSError when a port or pin of the configuration cannot be opened.
    """

    def __init__(self, config, hardware, cause=0):
        from firmline.services import assembly  # dropped once all is built

        self._hardware = hardware
        self.start_cause = cause
        self._is_on_trial = True
        self.site = assembly.build_site(config)
        self.resources, entries = assembly.build_resources(config)
        self._reserve_permille = [entry.get("min_soc_permille", 0) for entry in entries]
        self.snapshot = Snapshot()
        self.cycle = assembly.build_cycle(config, self.site, self.resources, self.snapshot)
        self._tick_ms = config["timing"]["tick_ms"]
        self._cycle_ms = 0
        self._has_run = False
        self._polled_ms = 0
        self._nothing_ms = 0  # nothing is due for so long from _polled_ms on, unless bytes come
        self._ports = []
        self.worst_cycle_us = 0
        self.supervisor = Supervisor(self._tick_ms)
        self.events = eventlog.EventLog()
        self._open_devices(config, entries, assembly)
        self._open_outputs(config, entries, assembly)
        self._open_head_end(config, assembly)
        self.network = None
        if config["network"]:
            self.network = hardware.open_network(config["network"])
        self.events.add(eventlog.E_START, cause)
        self.journal = self._open_journal([entry.get("pin") for entry in entries])
        self.tools = assembly.build_tools(config, self, self._hardware, self._server)
        self._was_online = bytearray(self.resources.count)
        self._is_roll_due = True  # somebody may have come or gone
        self._noted = watts_array(eventlog.CODES)
        self._noted[E_METER] = self.cycle.trust.state
        self._noted[E_LIMIT_CHANGED] = self.cycle.limits.high_w[0]

    def _open_devices(self, config, entries, assembly):
        """Links in the order of the resources (None for relays), the PCC meter apart."""
        pairs = []
        links = []
        self.meter = None
        for device in config["devices"]:
            if assembly.role_of(device) == "meter":
                self.meter = assembly.build_link(device, config)
                pairs.append((device, self.meter))
        for device in entries:
            link = None
            if "unit" in device:
                link = assembly.build_link(device, config, links)
                pairs.append((device, link))
            links.append(link)
        self.links = links
        self._seen_ok_ms = [-1] * len(links)  # when the link had its last answer
        self._seen_samples = [0] * len(links)
        self._seen_w = watts_array(len(links))
        self._is_steady = bytearray(len(links))
        self._moved_ms = [0] * len(links)  # when a relay was last switched
        self._meter_samples = 0
        clock = self._hardware.ticks_us
        self.buses = assembly.build_buses(config, pairs, self._open_port, clock)
        for bus in self.buses:
            if bus.meter_index >= 0:
                self._meter_bus = bus

    def _open_port(self, name, baud, is_even):
        port = self._hardware.open_port(name, baud, is_even)
        port.wanted = 1  # bytes that are worth a poll; who owns the port may ask for more
        self._ports.append(port)
        return port

    def _open_outputs(self, config, entries, assembly):
        """Relays in the order of the resources (None for the rest), and the trip outputs; what
        reads them back in the same order."""
        self._readbacks = []
        outputs = []
        for device in entries:
            output = None
            if "pin" not in device:
                self._readbacks.append(None)
            else:
                output = self._open_output(device, device["active_low"])
            outputs.append(output)
        self._outputs = outputs
        self._relays = indices_of(self.resources, (RELAY,))
        trips = []
        for device in config["devices"]:
            if assembly.role_of(device) == "trip":
                trips.append(self._open_output(device, False))
        self._trips = trips
        self._hardware.guard_outputs(trips, max(_DEAD_MAN_MS, 2 * self._tick_ms))

    def _open_output(self, device, active_low):
        from firmline.devices.readback import Readback  # only where there is an output

        pin = device["pin"]
        output = self._hardware.open_output(pin, active_low, device["readback_pin"])
        output.set(False)
        self._readbacks.append(Readback(output))
        return output

    def _open_head_end(self, config, assembly):
        entry = config["head_end"]
        timeout_ms = entry["timeout_s"] * 1000 if entry else 1
        self.head_end = HeadEnd(timeout_ms, self.site.firm_import_w, self.site.firm_export_w)
        self.telemetry = Telemetry(self)
        unit = entry["unit"] if entry else 1
        hardware = self._hardware
        self.registers = Registers(
            self.telemetry.values,
            self.head_end,
            config["site"],
            unit,
            hardware.model,
            hardware.serial,
        )
        self._server = assembly.build_server(config, self.registers, self._open_port)

    def _open_journal(self, pins):
        """None where nothing can be kept. `pins` of the resources, None where there is none."""
        hardware = self._hardware
        if getattr(hardware, "files", None) is None:
            return None
        from firmline.services.journal_start import open_journal

        is_service = hardware.is_service()
        return open_journal(self, hardware.files, pins, is_service, hardware.record_cause)

    def poll(self, now_ms):
        """Do what is due at `now_ms`; returns how long (ms) nothing more will be due unless a
        port receives bytes. Called too early it only says so: nobody checks in, and the watchdog
        is not fed. That is for a tick at most."""
        left_ms = remaining_ms(now_ms, self._polled_ms, self._nothing_ms)
        if left_ms and not self._has_bytes():
            return left_ms
        self._polled_ms = now_ms
        self._poll_all(now_ms)
        self._nothing_ms = self._wait_ms(now_ms)
        return self._nothing_ms

    def _has_bytes(self):
        for port in self._ports:
            if port.any() >= port.wanted:
                return True
        return False

    def _poll_all(self, now_ms):
        self._poll_buses(now_ms)
        self.supervisor.check_in(checks.BUS)
        self._serve(now_ms)
        is_tick = not self._has_run or self._is_tick_due(now_ms)
        is_new = self._has_new_sample(is_tick, now_ms)
        if is_new or is_tick:
            self._run_cycle(is_new, now_ms)
            self._poll_buses(now_ms)  # tightening commands leave in the same poll
            if self.journal:
                self.journal.poll(is_new, now_ms)
            self.tools.poll(now_ms)
        elif self.tools.is_awake:
            self.tools.poll(now_ms)
        if self.supervisor.may_feed():
            self._hardware.feed_watchdog()
            if self._is_on_trial and self.events.now_s >= _WELL_S:
                self._is_on_trial = False
                self._hardware.set_marker(_WELL)

    def _poll_buses(self, now_ms):
        for bus in self.buses:
            bus.poll(now_ms)

    def _serve(self, now_ms):
        self.events.poll(now_ms)
        self.head_end.poll(now_ms)
        if self._server:
            self._server.poll(now_ms)
        self.supervisor.check_in(checks.HEAD_END)
        if self.network:
            self.network.poll(now_ms)

    def _has_new_sample(self, is_tick, now_ms):
        """A sample asked for longer ago than the hold time has waited through a stall of the
        program: it is dropped, the next one is on its way."""
        if self.meter.samples == self._meter_samples:
            return False
        if not is_tick and self._asks_first(now_ms):
            return False
        self._meter_samples = self.meter.samples
        return elapsed_ms(now_ms, self.meter.sampled_ms) <= self.cycle.trust.hold_ms

    def _asks_first(self, now_ms):
        """Where the meter is asked as fast as it answers, and the sample is inside the limits,
        its next request goes out before the cycle: the answer is under way while that runs. The
        cycle waits for the silence before a request, 2 ms at most."""
        limits = self.cycle.limits
        if self.cycle.mode != modes.NORMAL or self.meter.total_w > limits.high_w[0]:
            return False
        if self.meter.total_w < limits.low_w[0]:
            return False
        if elapsed_ms(now_ms, self.meter.last_ok_ms) > _SILENCE_MS:
            return False
        self._meter_bus.poll(now_ms)
        return self._meter_bus.is_meter_next(now_ms)

    def _is_tick_due(self, now_ms):
        return elapsed_ms(now_ms, self._cycle_ms) >= self._tick_ms

    def _run_cycle(self, is_new, now_ms):
        start_us = self._hardware.ticks_us()
        if is_new:
            self._take_sample()
        self._look_at_resources(now_ms)
        self._arbitrate()
        self.cycle.step(is_new, now_ms)
        self._apply(now_ms)
        self.supervisor.cycle_done(now_ms)
        self._has_run = True
        self._cycle_ms = now_ms
        self.telemetry.update(now_ms)
        self._log_changes()
        took_us = elapsed_ms(self._hardware.ticks_us(), start_us)
        if took_us > self.worst_cycle_us:
            self.worst_cycle_us = took_us

    def _arbitrate(self):
        head_end = self.head_end
        self.cycle.limits.update(
            head_end.is_alive,
            head_end.dynamic_import_w,
            head_end.dynamic_export_w,
            head_end.emergency_import_w,
            head_end.emergency_export_w,
        )

    def _take_sample(self):
        """Meter to snapshot; a conductor's nominal watts carry the sign of its power. What no
        site has (268 MW) is left at that: the core's sums stay inside 31 bits."""
        axis_w = self.snapshot.axis_w
        meter = self.meter
        self.snapshot.samples = meter.samples
        axis_w[0] = clamp(meter.total_w, -_MOST_W, _MOST_W)
        for conductor in range(self.site.axes - 1):
            power_w = watts(abs(meter.l_ma[conductor]), self.site.voltage_dv)
            axis_w[conductor + 1] = -power_w if meter.l_w[conductor] < 0 else power_w

    def _look_at_resources(self, now_ms):
        """What each device does now, and whether its last command has had its effect."""
        for index in range(self.resources.count):
            link = self.links[index]
            if link is None:
                self._look_at_relay(index, now_ms)
                continue
            if link.last_ok_ms != self._seen_ok_ms[index]:
                self._look_at_link(index, link)
            elif not link.is_online:
                self._look_at_lost(index)
            if self.resources.in_flight[index] and self._has_settled(index, link, now_ms):
                self.cycle.settled(index)
        self._look_at_trips(now_ms)

    def _look_at_trips(self, now_ms):
        """One that does not open or close when told is an event; nothing is left to open then."""
        mode = self.cycle.mode
        for k in range(self.resources.count, len(self._readbacks)):
            readback = self._readbacks[k]
            if not readback.is_faulty:
                if not readback.agrees(mode != modes.TRIPPED and mode != modes.SAFE, now_ms):
                    self.events.add(E_DEVICE_LOST, k)

    def _look_at_relay(self, index, now_ms):
        """It has no reading of its own: it does what it was told, once the PCC meter can have
        seen it."""
        resources = self.resources
        command_w = resources.command_w[index]
        works = self._readbacks[index].agrees(command_w > 0, now_ms)
        if resources.is_online[index] != works:
            resources.is_online[index] = works
            self._is_roll_due = True
        resources.wants[index] = 1
        resources.power_w[index] = command_w if works else 0
        if command_w != resources.previous_w[index]:
            self._moved_ms[index] = self._cycle_ms
        if resources.in_flight[index]:
            flown_ms = elapsed_ms(now_ms, self._moved_ms[index])
            if flown_ms >= _RELAY_MS + self.site.meter_latency_ms:
                self.cycle.settled(index)

    def _look_at_link(self, index, link):
        """It has answered since the last look."""
        resources = self.resources
        kind = resources.kind[index]
        power_w = link.power_w
        if kind == EVSE:
            power_w = link.draw_w
            resources.wants[index] = link.state == STATE_WAITING or link.state == STATE_CHARGING
        elif kind == BATTERY:
            self._look_at_charge(index, link.soc_permille)
        if resources.is_online[index] != link.is_online:
            resources.is_online[index] = link.is_online
            self._is_roll_due = True
        resources.power_w[index] = power_w if link.is_online else 0
        self._seen_ok_ms[index] = link.last_ok_ms
        if link.samples != self._seen_samples[index]:
            self._seen_samples[index] = link.samples
            self._note_reading(index, power_w)

    def _look_at_lost(self, index):
        """No credit for what it did when it last answered; the next answer brings a new look."""
        self.resources.power_w[index] = 0
        if self.resources.is_online[index]:
            self.resources.is_online[index] = 0
            self._is_roll_due = True

    def _look_at_charge(self, index, soc_permille):
        """An unknown state of charge (-1) counts as low."""
        self.resources.is_low[index] = soc_permille <= self._reserve_permille[index]

    def _note_reading(self, index, power_w):
        """Steady: two readings in a row that agree within 200 W or a sixteenth."""
        change_w = abs(power_w - self._seen_w[index])
        self._is_steady[index] = change_w <= max(_STEADY_W, abs(power_w) >> 4)
        self._seen_w[index] = power_w

    def _has_settled(self, index, link, now_ms):
        """Both the device's own reading and the PCC sample are younger than the effect of the
        last command. A silent device is not waited for: it gets no credit."""
        if not link.is_online:
            return True
        if not link.settled():
            return False
        settle_ms = self.resources.settle_ms[index]
        flown_ms = (now_ms - link.taken_ms) & TICKS_MASK
        if flown_ms < settle_ms + self.site.meter_latency_ms:
            return False
        if flown_ms < _LONGEST_FLIGHT_MS and not self._has_arrived(index):
            return False
        return settle_ms <= (link.sampled_ms - link.taken_ms) & TICKS_MASK < HALF_RING_MS

    def _has_arrived(self, index):
        """Not under way any more: a vehicle takes seconds to start, and its own reading is
        older than the PCC's, so that its rise would look like somebody else's load."""
        if not self._is_steady[index]:
            return False
        resources = self.resources
        is_offered = resources.kind[index] == EVSE and resources.command_w[index] > 0
        return not is_offered or resources.power_w[index] > 0

    def _apply(self, now_ms):
        """The guard's commands, to links and pins; pins are set in every cycle."""
        if self.cycle.has_changed:
            self._command_all(now_ms)
            self.cycle.has_changed = False
        self._set_relays()
        mode = self.cycle.mode
        self._apply_trips(mode != modes.TRIPPED and mode != modes.SAFE)
        self.supervisor.check_in(checks.OUTPUTS)

    def _set_relays(self):
        command_w = self.resources.command_w
        for index in self._relays:
            self._outputs[index].set(command_w[index] > 0)

    def _command_all(self, now_ms):
        """A battery is always urgent: either direction may be the one that a limit needs."""
        resources = self.resources
        index = 0
        while index < len(self.links):
            link = self.links[index]
            if link is not None and (
                resources.command_w[index] != link.command_w or not self._has_run
            ):
                is_tighter = resources.low_w[index] < 0 < resources.high_w[index]
                if abs(resources.command_w[index]) < abs(resources.previous_w[index]):
                    is_tighter = True
                link.set_command(resources.command_w[index], is_tighter, now_ms)
            index += 1

    def _apply_trips(self, is_healthy):
        for output in self._trips:
            output.set(is_healthy)

    def _log_changes(self):
        cycle = self.cycle
        self._note(E_MODE, cycle.mode)
        self._note(E_STAGE, max(cycle.import_clock.stage, cycle.export_clock.stage))
        self._note(E_LIMIT_CHANGED, cycle.limits.high_w[0])
        self._note(E_HEAD_END, self.head_end.state)
        self._note(E_METER, cycle.trust.state)
        if self._is_roll_due:
            self._is_roll_due = False
            self._call_roll()

    def _call_roll(self):
        for index in range(self.resources.count):
            is_online = self.resources.is_online[index]
            if is_online != self._was_online[index]:
                self._was_online[index] = is_online
                self.events.add(E_DEVICE_BACK if is_online else E_DEVICE_LOST, index)

    def _note(self, code, value):
        """An event when `value` is not what it was."""
        if value != self._noted[code]:
            self._noted[code] = value
            self.events.add(code, value)

    def _wait_ms(self, now_ms):
        wait_ms = remaining_ms(now_ms, self._cycle_ms, self._tick_ms)
        for k in range(len(self.buses)):
            wait_ms = min(wait_ms, self.buses[k].wait_ms(now_ms))
        if self._server:
            wait_ms = min(wait_ms, self._server.wait_ms(now_ms))
        if self.tools.is_awake and wait_ms > _TOOLS_MS:
            wait_ms = _TOOLS_MS
        return wait_ms if wait_ms > 0 else 1

    def fail(self):
        """After an unexpected exception: everything off. The pins first, because the core may be
        what failed; devices on a bus fall back by their own timers."""
        for output in self._trips:
            output.set(False)
        for index in range(len(self._outputs)):
            if self._outputs[index] is not None:
                self._outputs[index].set(self.resources.is_protected[index])
        self.cycle.fail()


def main(hardware):
    """Run on `hardware` until it ends; see services.boot for the start. Where the start fails a
    board stays in safe mode, and a desktop returns 2. Whatever happens, outputs go off first."""
    controller, cause = start(hardware)
    if controller is None:
        from firmline.services.safe_mode import SafeMode

        hardware.run_safe(SafeMode(hardware, cause))
        return 2
    try:
        hardware.run(controller)
    except BaseException as error:  # also a key pressed at the console: nothing runs on
        hardware.make_safe()
        controller.fail()
        _stop(hardware, error)
    return 0


def start(hardware):
    """(controller, "") or (None, why not); what only the start needs is gone afterwards."""
    from firmline.services import boot, memory

    started = boot.start(hardware, Controller)
    memory.tidy(hardware.is_small and started[0] is not None)
    return started


def _stop(hardware, error):
    """A key pressed at the console ends it for good: a board is then at its prompt. A fault of
    the program restarts a board, unless somebody is at work there (service); the crash loop
    counter has the last word."""
    if isinstance(error, KeyboardInterrupt):
        hardware.record_cause("stopped: Ctrl-C")
        return
    if isinstance(error, Exception):
        hardware.record_cause("stopped: " + repr(error) + _where(error))
        if not hardware.is_service():
            hardware.set_marker(hardware.marker() | _FAILED)
            hardware.restart()
    raise error


def _where(error):
    """The innermost line of the traceback; empty where the interpreter has another way."""
    if not hasattr(sys, "print_exception"):
        return ""
    text = io.StringIO()
    sys.print_exception(error, text)  # pyright: ignore[reportArgumentType]
    said = text.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    lines = said.strip().split("\n")
    return ", " + lines[-2].strip() if len(lines) > 1 else ""
