# SPDX-License-Identifier: MIT
"""One device on a Modbus RTU line: what to ask or write next, and what its answers meant.

The product's table (see devices.catalog) is data; this engine interprets it. It must never write
to a device that was never identified, never send the first command before the device's own
reversion timer or watchdog was set, never publish part of a sample, and never allocate or raise in
steady state. A device that was ready and is lost is probed with its command (Hazard H-07), then
identified and set up again.

Called by services.bus (job, begin, finish, wait_ms) and by the controller (set_command, fields).
Device sign: > 0 W consumes, < 0 W supplies. Commands: EVSE >= 0; PV <= 0 (minus the cap);
battery signed.
"""

from array import array

from firmline.core.units import const, remaining_ms
from firmline.devices.chain import FOUND, MISSING
from firmline.devices.due import first_due, soonest_ms
from firmline.devices.product import FIRST_PAUSE_MS, Product, ProductLink
from firmline.devices.setpoint import can_encode, encode
from firmline.modbus.rtu import DONE, EXCEPTION, READ_HOLDING

NO_JOB = const(0)
READ = const(1)
SETUP = const(2)
REFRESH = const(3)
WRITE_LOOSER = const(4)
WRITE_TIGHTER = const(5)

# stages
_START = const(0)
_WALK = const(1)
_IDENTIFY = const(2)
_SETUP = const(3)
_READY = const(4)
_LOST = const(5)  # was ready once: the command itself is the probe

# kinds of transaction
_ASK_MODEL = const(0)
_ASK_IDENTITY = const(1)
_WRITE_SETUP = const(2)
_WRITE_COMMAND = const(3)
_ASK_BLOCK = const(4)

_LOST_AFTER = const(3)  # failures in a row
_SETUP_EVERY_MS = const(60000)  # a device that restarted between two polls has forgotten it
_COUNT_MASK = const(0x3FFFFFFF)

# Timers of a ready device: rows (since, period) with the most urgent first, period -1 for never.
# Behind these two come the blocks, the slow ones first, or a busy line would never read them.
_REFRESH = const(0)
_AGAIN = const(1)  # set it up again
_BLOCKS = const(2)


class DeviceLink(ProductLink):
    """For the table and the options see Product; one more is rated_w. `others`: links made before,
    for what they have in common with this one."""

    def __init__(self, table, unit, options, others=()):
        from firmline.devices.layout import shared  # dropped once all is built

        product = shared(Product(table, options), others)
        ProductLink.__init__(self, product, unit, options.get("rated_w", 0))
        self._rows = _BLOCKS + len(self._blocks)
        self._timers = array("i", [0, -1] * self._rows)
        self.samples = 0
        self.sampled_ms = 0  # when the request of the last good sample went out
        self.last_ok_ms = 0
        self.is_online = False
        self.failures = 0
        self.failures_in_row = 0
        self.rejected = 0
        self._stage = _START
        self._step = 0
        self._kind = _ASK_BLOCK
        self._index = 0
        self._is_answering = False
        self._paused_ms = 0
        self._pause_ms = 0
        self.wake = bytearray(2)  # the bus puts its own here: a flag for each link, one for all
        self.place = 0  # of this link's flag
        self._open_command()

    def _open_command(self):
        self.command_w = 0
        self.acked_w = 0
        self.acked_ms = 0  # of the last command or refresh
        self.taken_ms = 0  # when the present value was first acknowledged
        self._has_command = False
        self._was_ready = False
        self._is_acked = False
        self._is_pending = False
        self._is_tighter = False
        self._acked_raw = 0
        self._command_step = 0
        self._sent_w = 0

    # -- commands ------------------------------------------------------------------------------

    def set_command(self, command_w, is_tighter, now_ms):
        """Want `command_w` (device sign). Idempotent; nothing is sent for the same raw value."""
        if self._has_command and command_w == self.command_w:
            return
        self.command_w = command_w
        if not self._has_command:
            self._has_command = True
            self._start_refresh()
        self.wake[self.place] = 1
        self.wake[-1] = 1
        if self._is_acked and self._command_step == 0:
            if encode(self.product.set_unit, command_w, self) == self._acked_raw:
                self.acked_w = command_w
                self._is_pending = False
                return
        self._is_tighter = is_tighter or (self._is_pending and self._is_tighter)
        self._is_pending = True

    def settled(self):
        """The device has acknowledged the present command."""
        return self._is_acked and not self._is_pending

    # -- what to do next -----------------------------------------------------------------------

    def job(self, now_ms):
        """Priority of what `begin` would send now; NO_JOB when nothing is due."""
        stage = self._stage
        if stage == _READY:
            return self._ready_job(now_ms)
        if stage == _START:
            self._restart(now_ms)
            return self.job(now_ms)
        if self._pause_left_ms(now_ms):
            return NO_JOB
        if stage == _LOST:
            self._kind = _WRITE_COMMAND
            return REFRESH  # it goes behind the meter: many dead devices must not hide that
        if stage == _SETUP:
            self._kind = _WRITE_SETUP
        else:
            self._kind = _ASK_MODEL if stage == _WALK else _ASK_IDENTITY
        if self._is_answering and self._is_pending and self._is_tighter:
            return WRITE_TIGHTER  # what stands before the command is as urgent
        return SETUP if stage == _SETUP else READ

    def _pause_left_ms(self, now_ms):
        if self._is_answering:
            return 0
        return remaining_ms(now_ms, self._paused_ms, self._pause_ms)

    def _ready_job(self, now_ms):
        if self._is_pending:
            self._kind = _WRITE_COMMAND
            return WRITE_TIGHTER if self._is_tighter else WRITE_LOOSER
        row = first_due(self._timers, self._rows, now_ms)
        if row == self._rows:
            return NO_JOB
        if row == _REFRESH:
            self._kind = _WRITE_COMMAND
            return REFRESH
        if row == _AGAIN:
            self._stage = _SETUP
            self._step = 0
            self._kind = _WRITE_SETUP
            return SETUP
        self._kind = _ASK_BLOCK
        self._index = self._rows - 1 - row
        return READ

    def wait_ms(self, now_ms):
        """Milliseconds until a job is due, 0 when one is."""
        if self._stage != _READY:
            return self._pause_left_ms(now_ms)
        return 0 if self._is_pending else soonest_ms(self._timers, self._rows, now_ms)

    def _start_refresh(self):
        """The command is due again some time after it was last acknowledged."""
        self._timers[2 * _REFRESH] = self.acked_ms
        self._timers[2 * _REFRESH + 1] = self.product.refresh_ms

    def _start_timers(self, now_ms):
        """The device is ready: from now on it is set up again, and has the models it has."""
        timers = self._timers
        timers[2 * _AGAIN] = now_ms
        timers[2 * _AGAIN + 1] = _SETUP_EVERY_MS if self.product.setup else -1
        for k in range(len(self._blocks)):
            timers[2 * (self._rows - k) - 1] = self._period_ms(self._blocks[k])

    def _period_ms(self, block):
        return -1 if self._is_absent(block) else block[4]

    def _is_absent(self, block):
        return self._chain.is_absent(block[0])

    def begin(self, master, now_ms):
        """Start the transaction that the last `job` announced."""
        self._begun_ms = now_ms
        kind = self._kind
        if kind == _ASK_BLOCK:
            self._timers[2 * (self._rows - 1 - self._index)] = now_ms
            self._ask(master, self._blocks[self._index])
        elif kind == _WRITE_COMMAND:
            self._begin_command(master)
        elif kind == _WRITE_SETUP:
            self.raw = encode(self.product.set_unit, self.product.fallback_w, self)
            self._write(master, self.product.setup[self._step])
        elif kind == _ASK_IDENTITY:
            self._ask(master, self.product.identify[self._step])
        else:
            self._function = READ_HOLDING
            self._address = self._chain.address
            self._count = 2
            self._read(master)

    def _begin_command(self, master):
        """Until it is acknowledged, what the device does is unknown: the reply may get lost."""
        if self._command_step == 0 or self._sent_w != self.command_w:
            self._command_step = 0
            self._sent_w = self.command_w
        self.raw = encode(self.product.set_unit, self._sent_w, self)
        if self.raw != self._acked_raw:
            self._is_acked = False
        self._write(master, self.product.command[self._command_step])

    # -- what came back ------------------------------------------------------------------------

    def finish(self, master, state, now_ms):
        """Take the outcome (DONE or FAILED) of the transaction started by `begin`."""
        if state != DONE:
            if self._stage == _LOST and master.error == EXCEPTION:
                self._refuse(now_ms)  # another device
            else:
                self._count_failure(now_ms)
            return
        self.last_ok_ms = now_ms
        self.failures_in_row = 0
        self._is_answering = True
        kind = self._kind
        if self._stage == _LOST:
            self._restart(now_ms)  # it is back, or another: identify and set up, then command
        elif kind == _ASK_BLOCK:
            self._finish_block(master, now_ms)
        elif kind == _WRITE_COMMAND:
            self._finish_command(now_ms)
        elif kind == _WRITE_SETUP:
            self._advance(len(self.product.setup), now_ms)
        elif kind == _ASK_IDENTITY:
            self._finish_identity(master, now_ms)
        else:
            self._finish_header(master, now_ms)

    def _count_failure(self, now_ms):
        self.failures = (self.failures + 1) & _COUNT_MASK
        self.failures_in_row += 1
        is_probe = self._pause_ms > 0 and not self._is_answering
        if self.failures_in_row >= _LOST_AFTER or is_probe:
            self._lose(now_ms)

    def _lose(self, now_ms):
        """Not answering, or not what the table expects: start over after a pause."""
        self.failures_in_row = 0
        self.is_online = False
        self._is_answering = False
        self._is_acked = False
        self._command_step = 0
        if self._has_command:  # what it does now is unknown: the command is urgent again
            self._is_pending = True
            self._is_tighter = True
        if self.product.role == "meter" and self._stage == _READY:
            return  # nothing to set up again: keep asking at once
        self._pause_ms = min(self._pause_ms * 2 or FIRST_PAUSE_MS, self.product.longest_pause_ms)
        self._paused_ms = now_ms
        if self._was_ready and self._has_command:
            self._written_bases = self._known_bases
            # A device that hears but is not heard would be fed by any other question, and stay
            # where it is; the command moves it although its answer is lost. Hazard H-07.
            self._stage = _LOST
        else:
            self._restart(now_ms)

    def _restart(self, now_ms):
        """Go to the first stage that the table has."""
        self._step = 0
        self._written_bases = self._chain.bases
        for k in range(len(self._blocks)):
            period_ms = self._blocks[k][4]
            self._timers[2 * (self._rows - 1 - k)] = (now_ms - period_ms) & _COUNT_MASK
        if self.product.models:
            self._stage = _WALK
            self._chain.restart()
        elif self.product.identify:
            self._stage = _IDENTIFY
        elif self.product.setup:
            self._stage = _SETUP
        else:
            self._stage = _READY
            self._start_timers(now_ms)

    def _advance(self, steps, now_ms):
        """One step of identification or setup is done; go on, through empty stages too."""
        self._step += 1
        if self._stage == _IDENTIFY:
            while self._step < steps and self._is_absent(self.product.identify[self._step]):
                self._step += 1
        if self._step < steps:
            return
        self._step = 0
        if self._stage == _WALK and self.product.identify:
            self._stage = _IDENTIFY
        elif self._stage != _SETUP and not can_encode(self.product.set_unit, self):
            self._refuse(now_ms)
        elif self._stage != _SETUP and self.product.setup:
            self._stage = _SETUP
        else:
            self._stage = _READY
            self._was_ready = True
            for k in range(len(self._known_bases)):
                self._known_bases[k] = self._chain.bases[k]
            self._start_timers(now_ms)
            self._pause_ms = 0
            self.is_online = True

    def _finish_header(self, master, now_ms):
        found = self._chain.take(master.register(0), master.register(1))
        if found == FOUND:
            self._advance(0, now_ms)
        elif found == MISSING:
            self._refuse(now_ms)

    def _finish_identity(self, master, now_ms):
        block = self.product.identify[self._step]
        if not self._decode_all(master, block[5]) and block[4]:  # required
            self.rejected = (self.rejected + 1) & _COUNT_MASK
            self._refuse(now_ms)
            return
        self._advance(len(self.product.identify), now_ms)

    def _refuse(self, now_ms):
        """It answers, but is not what the table expects: nothing may be written to it."""
        self._was_ready = False
        self._lose(now_ms)

    def _finish_command(self, now_ms):
        self._command_step += 1
        if self._command_step < len(self.product.command):
            return  # the next frame is due at once: pending or overdue, as this one was
        self._command_step = 0
        if not self._is_acked or self.acked_w != self._sent_w:
            self.taken_ms = now_ms
        self._is_acked = True
        self.acked_w = self._sent_w
        self.acked_ms = now_ms
        self._start_refresh()
        self._acked_raw = self.raw
        self._is_pending = self._sent_w != self.command_w

    def _finish_block(self, master, now_ms):
        if not self._decode_all(master, self._blocks[self._index][5]):
            self.rejected = (self.rejected + 1) & _COUNT_MASK
            return
        self.is_online = True
        if self._index == 0:
            if self.product.sums_phases:
                self.total_w = self._phase_sum_w()
            if self.product.is_split:
                self.l_ma[1] = self.l_ma[0]
            self.samples = (self.samples + 1) & _COUNT_MASK
            self.sampled_ms = self._begun_ms
