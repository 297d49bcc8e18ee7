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
from firmline.core.snapshot import Snapshot, watts_array
from firmline.core.supervisor import Supervisor
from firmline.core.units import const, elapsed_ms, remaining_ms
from firmline.services import eventlog
from firmline.services.eventlog import E_HEAD_END, E_LIMIT_CHANGED, E_METER, E_MODE, E_STAGE
from firmline.services.telemetry import Telemetry

_SILENCE_MS = const(2)
_WELL_S = const(90)  # of running, the first save among it; then the crash loop counter begins anew
_WELL = const(0x0B5A0000)  # marker words of services.boot
_WANTED = const(0x0B5A0100)
_FAILED = const(0x200)
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
        self._tick_ms = config["timing"]["tick_ms"]
        self._cycle_ms = 0
        self._has_run = False
        self._polled_ms = 0
        self._nothing_ms = 0  # nothing is due for so long from _polled_ms on, unless bytes come
        self.worst_cycle_us = 0
        self.site = assembly.build_site(config)
        self.resources, entries = assembly.build_resources(config)
        self.snapshot = Snapshot()
        self.cycle = assembly.build_cycle(config, self.site, self.resources, self.snapshot)
        self.supervisor = Supervisor(self._tick_ms)
        self.events = eventlog.EventLog()
        self._ports = []
        pairs = assembly.build_links(config, entries, hardware, self.events)
        self.meter = pairs[0][1]
        self.links = [link for _, link in pairs[1:]]  # of the resources, None for a relay
        self.buses = assembly.build_buses(config, pairs, self._open_port, hardware.ticks_us)
        self._meter_bus = [bus for bus in self.buses if bus.meter_index >= 0][0]
        self._meter_samples = 0
        self._outputs = assembly.open_outputs(config, entries, hardware)
        self._sensing = assembly.build_sensing(entries, self, self._outputs)
        self.head_end = assembly.build_head_end(config, self.site, hardware)
        self.telemetry = Telemetry(self)
        self.registers = assembly.build_registers(config, self, hardware)
        self._server = assembly.build_server(config, self.registers, self._open_port)
        self.network = None
        if config["network"]:
            self.network = hardware.open_network(config["network"])
        self.events.add(eventlog.E_START, cause)
        self.journal = assembly.build_journal(entries, self, hardware)
        self.tools = assembly.build_tools(config, self, hardware, self._server)
        self._noted = watts_array(eventlog.CODES)
        self._noted[E_METER] = self.cycle.trust.state
        self._noted[E_LIMIT_CHANGED] = self.cycle.limits.high_w[0]

    def _open_port(self, name, baud, is_even):
        port = self._hardware.open_port(name, baud, is_even)
        port.wanted = 1  # bytes that are worth a poll; who owns the port may ask for more
        self._ports.append(port)
        return port

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
            self._sensing.take_sample()
        self._sensing.look(now_ms)
        self._outputs.look_at_trips(modes.may_run(self.cycle.mode), self.events, now_ms)
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

    def _apply(self, now_ms):
        """The guard's commands, to links and pins; pins are set in every cycle."""
        if self.cycle.has_changed:
            self._command_all(now_ms)
            self.cycle.has_changed = False
        self._outputs.set(self.resources.command_w, modes.may_run(self.cycle.mode))
        self.supervisor.check_in(checks.OUTPUTS)

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

    def _log_changes(self):
        cycle = self.cycle
        self._note(E_MODE, cycle.mode)
        self._note(E_STAGE, max(cycle.import_clock.stage, cycle.export_clock.stage))
        self._note(E_LIMIT_CHANGED, cycle.limits.high_w[0])
        self._note(E_HEAD_END, self.head_end.state)
        self._note(E_METER, cycle.trust.state)
        self._sensing.call_roll(self.events)

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
        self._outputs.set(self.resources.is_protected, False)
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
        try:
            hardware.make_safe()
        finally:  # a second key must not keep the rest on
            try:
                controller.fail()
            finally:
                _stop(hardware, error)
    return 0


def start(hardware):
    """(controller, "") or (None, why not); what only the start needs is gone afterwards."""
    from firmline.services import boot, memory

    started = boot.start(hardware, Controller)
    memory.tidy(hardware.is_small and started[0] is not None)
    return started


def _stop(hardware, error):
    """A key pressed at the console ends it: a board is then at its prompt, until its watchdog
    resets it, which was wanted and counts as no fault; with the service jumper there is none. A
    fault of the program restarts a board, unless somebody is at work there (service); the crash
    loop counter has the last word."""
    if isinstance(error, KeyboardInterrupt):
        hardware.record_cause("stopped: Ctrl-C")
        hardware.set_marker(_WANTED)
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
