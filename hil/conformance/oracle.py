# SPDX-License-Identifier: MIT
"""Which limit is in force, worked out by the bench on its own.

From the commissioned site and from what the head-end did on the wire; never from what the
controller says. Verdicts compare the plant's truth with this.
"""

US_PER_S = 1_000_000


class Oracle:
    """import_w, export_w (W, >= 0) and conductor_a (A) from now on.

    before_change() is called before a change, so that the truth up to that instant is judged by
    the old limit, after_change(text) after it.
    """

    def __init__(self, world, site, timeout_s):
        self._world = world
        self._firm = {"import_w": site["firm_import_w"], "export_w": site["firm_export_w"]}
        self._dynamic = {"import_w": None, "export_w": None}
        self._timeout_us = timeout_s * US_PER_S
        self._grant_serial = 0
        self._beat_serial = 0
        self.import_w = site["firm_import_w"]
        self.export_w = site["firm_export_w"]
        self.conductor_a = site["firm_a"]
        self.before_change = None
        self.after_change = None

    def head_end_did(self, t_us, kind, values, error):
        """A request of the head-end has ended: heartbeat or grant; error None: acknowledged."""
        if error is not None:
            return
        if kind == "heartbeat":
            self._beat_serial += 1
            self._world.at(t_us + self._timeout_us, self._fall_silent, self._beat_serial)
        elif kind == "grant":
            self._grant_serial += 1
            end_us = t_us + values["duration_s"] * US_PER_S
            self._world.at(end_us, self._expire, self._grant_serial)
            self._dynamic = {name: values[name] for name in self._dynamic}
            self._arbitrate("grant taken")

    def _fall_silent(self, serial):
        """A silent head-end keeps what is stricter than firm and loses what is looser."""
        if serial == self._beat_serial:
            for name, firm_w in self._firm.items():
                if self._dynamic[name] is not None and self._dynamic[name] > firm_w:
                    self._dynamic[name] = None
            self._arbitrate("heartbeat lost")

    def _expire(self, serial):
        if serial == self._grant_serial:
            self._dynamic = dict.fromkeys(self._dynamic)
            self._arbitrate("grant expired")

    def _arbitrate(self, why):
        limits = {
            name: firm_w if self._dynamic[name] is None else self._dynamic[name]
            for name, firm_w in self._firm.items()
        }
        if limits == {"import_w": self.import_w, "export_w": self.export_w}:
            return
        self.before_change()
        self.import_w = limits["import_w"]
        self.export_w = limits["export_w"]
        self.after_change(why)
