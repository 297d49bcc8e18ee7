# SPDX-License-Identifier: MIT
"""What the head-end has asked for, and whether it is still there. Hazards H-03, H-05.

Never raises, never allocates after start. A limit is only taken from a head-end whose heartbeat
is alive, always carries an expiry, and a silent head-end cannot hold a limit looser than firm.
Ages and remaining times are counted down and latched, so the 2**30 ms tick ring cannot make an
old heartbeat young again. The app calls `poll` first in each round and reads the fields; the
registers call the rest while the server handles a request.
"""

from firmline.core.units import TICKS_MASK, const

OK = const(0)
ILLEGAL_VALUE = const(3)  # Modbus exception 3

NONE = const(-1)  # "no such limit"
MAX_LIMIT_W = const(0x1FFFFFFF)
MAX_DURATION_S = const(3600)

NEVER = const(0)  # no heartbeat since start
ALIVE = const(1)
SILENT = const(2)

_KEPT_IMPORT = const(1)  # words that outlive a reset: a limit + 2, which NONE is too
_KEPT_EXPORT = const(2)
_KEPT_S = const(3)


class HeadEnd:
    """timeout_ms 1..3,600,000; the firm limits decide what outlives the head-end's silence.

    A dynamic limit looser than firm is forgotten when the heartbeat is lost and has to be
    written again; one at or below firm stays until its own expiry. An emergency limit outlives
    everything but its own expiry and a loss of power (see `remember`). The site's limits, W >= 0;
    a caller that leaves them 0 has every dynamic limit forgotten.
    """

    def __init__(self, timeout_ms, firm_import_w=0, firm_export_w=0):
        self._timeout_ms = timeout_ms
        self._firm_import_w = firm_import_w
        self._firm_export_w = firm_export_w
        self.now_ms = 0
        self.age_ms = 0  # of the last heartbeat, meaningful while alive
        self.state = NEVER
        self.is_alive = False
        self.dynamic_import_w = NONE
        self.dynamic_export_w = NONE
        self.dynamic_left_ms = 0
        self.emergency_import_w = NONE
        self.emergency_export_w = NONE
        self.emergency_left_ms = 0
        self.heartbeats = 0
        self.accepted = 0
        self.refused = 0
        self.losses = 0
        self._hardware = None

    def remember(self, hardware):
        """hardware: `kept(k)` and `keep(k, word)`, which outlive a reset: so does an emergency
        limit, with its whole duration again. 0 is nothing; words that make no sense are."""
        import_w = hardware.kept(_KEPT_IMPORT) - 2
        export_w = hardware.kept(_KEPT_EXPORT) - 2
        left_s = hardware.kept(_KEPT_S)
        if _is_limit(import_w, export_w, left_s):
            self.emergency_import_w = import_w
            self.emergency_export_w = export_w
            self.emergency_left_ms = left_s * 1000
        self._hardware = hardware

    def _keep(self, left_s):
        hardware = self._hardware
        if hardware:
            hardware.keep(_KEPT_IMPORT, self.emergency_import_w + 2)
            hardware.keep(_KEPT_EXPORT, self.emergency_export_w + 2)
            hardware.keep(_KEPT_S, left_s)

    def poll(self, now_ms):
        """Let time pass. At least every few seconds."""
        step_ms = (now_ms - self.now_ms) & TICKS_MASK
        self.now_ms = now_ms
        if step_ms == 0:
            return
        if self.is_alive:
            if step_ms > self._timeout_ms - self.age_ms:
                self._lose()
            else:
                self.age_ms += step_ms
        if self.dynamic_left_ms > step_ms:
            self.dynamic_left_ms -= step_ms
        elif self.dynamic_left_ms:
            self.dynamic_left_ms = 0
            self.dynamic_import_w = NONE
            self.dynamic_export_w = NONE
        if self.emergency_left_ms > step_ms:
            self.emergency_left_ms -= step_ms
        elif self.emergency_left_ms:
            self.emergency_left_ms = 0
            self.emergency_import_w = NONE
            self.emergency_export_w = NONE
            self._keep(0)

    def _lose(self):
        self.is_alive = False
        self.state = SILENT
        self.losses = (self.losses + 1) & MAX_LIMIT_W
        if self.dynamic_import_w > self._firm_import_w:
            self.dynamic_import_w = NONE
        if self.dynamic_export_w > self._firm_export_w:
            self.dynamic_export_w = NONE

    def heartbeat(self, now_ms):
        """The head-end has written its heartbeat, whatever the value."""
        self.poll(now_ms)
        self.age_ms = 0
        self.is_alive = True
        self.state = ALIVE
        self.heartbeats = (self.heartbeats + 1) & MAX_LIMIT_W

    def set_dynamic(self, import_w, export_w, duration_s, now_ms):
        """Replace the dynamic limits, W >= 0 or NONE, for 1..3600 s. Returns OK or an exception
        code; a refused write changes nothing."""
        self.poll(now_ms)
        if not self._may_take(import_w, export_w, duration_s):
            return self._refuse()
        self.accepted = (self.accepted + 1) & MAX_LIMIT_W
        self.dynamic_import_w = import_w
        self.dynamic_export_w = export_w
        self.dynamic_left_ms = duration_s * 1000
        return OK

    def would_loosen(self, import_w, export_w, duration_s):
        """Whether these dynamic limits could let more through than what they replace, or than
        firm, now or by ending sooner."""
        if duration_s * 1000 < self.dynamic_left_ms:
            return True
        return _exceeds(import_w, self.dynamic_import_w, self._firm_import_w) or _exceeds(
            export_w, self.dynamic_export_w, self._firm_export_w
        )

    def set_emergency(self, import_w, export_w, duration_s, now_ms):
        """As `set_dynamic`, but it only tightens: while an emergency limit is in force a looser
        one is refused, and the later of the two expiries counts."""
        self.poll(now_ms)
        if not self._may_take(import_w, export_w, duration_s):
            return self._refuse()
        if _is_looser(import_w, self.emergency_import_w):
            return self._refuse()
        if _is_looser(export_w, self.emergency_export_w):
            return self._refuse()
        self.accepted = (self.accepted + 1) & MAX_LIMIT_W
        self.emergency_import_w = import_w
        self.emergency_export_w = export_w
        if duration_s * 1000 > self.emergency_left_ms:
            self.emergency_left_ms = duration_s * 1000
        self._keep((self.emergency_left_ms + 999) // 1000)
        return OK

    def _may_take(self, import_w, export_w, duration_s):
        return self.is_alive and _is_limit(import_w, export_w, duration_s)

    def _refuse(self):
        self.refused = (self.refused + 1) & MAX_LIMIT_W
        return ILLEGAL_VALUE


def _is_limit(import_w, export_w, duration_s):
    if not NONE <= import_w <= MAX_LIMIT_W or not NONE <= export_w <= MAX_LIMIT_W:
        return False
    return 1 <= duration_s <= MAX_DURATION_S


def _exceeds(new_w, old_w, firm_w):
    if new_w == NONE:
        return old_w != NONE
    return new_w > firm_w or (old_w != NONE and new_w > old_w)


def _is_looser(new_w, old_w):
    return old_w != NONE and (new_w == NONE or new_w > old_w)
