# SPDX-License-Identifier: MIT
"""Watched beside the limits: how fast the site falls back, and how well the room is used."""

US_PER_S = 1_000_000
_LOOK_US = 1_000
_GIVE_UP_S = 120
_UNDER_WAY_US = 50_000


class ChangedWrites(list):
    """A wire's `log` that keeps only writes whose content is new: (t_us, frame).

    on_frame(t_us) is called for every frame that the controller sends.
    """

    def __init__(self, on_frame):
        super().__init__()
        self._last = {}
        self._on_frame = on_frame

    def append(self, entry):
        t_us, direction, frame = entry
        if direction == ">":
            self._on_frame(t_us)
        if direction == ">" and frame[1] in (6, 16):
            key = frame[:4]  # unit, function, address
            if self._last.get(key) != frame:
                self._last[key] = frame
                super().append((t_us, frame))


class RestartWatch:
    """After the controller hung or lost its supply: when does it speak again?

    `measured_s`: from the start of each fault to the first frame that a restarted controller
    sends. A frame that was under way when it hung is not one.
    """

    def __init__(self):
        self.measured_s = []
        self._since_us = None

    def begin(self, t_us):
        self._since_us = t_us

    def sent(self, t_us):
        if self._since_us is not None and t_us - self._since_us > _UNDER_WAY_US:
            self.measured_s.append((t_us - self._since_us) / US_PER_S)
            self._since_us = None


class FallbackWatch:
    """After the last good frame of the meter: when is every flexible load at its fallback value?

    On the plant's truth, looked at every millisecond; a load that draws no more than its
    fallback value (plus 1 %, at least 25 W) has arrived. `measured_s`: one value per lost frame
    stream; a load that never arrives gives the time at which the bench stopped looking.
    """

    def __init__(self, world, plant, config, resources):
        self._world = world
        self._plant = plant
        volts = config["site"]["voltage_v"]
        self._goals = []  # (element, highest power)
        entries = {device["name"]: device for device in config["devices"]}
        for device in resources:
            if device.role in ("evse", "relay") and device.plant:
                goal_w = _fallback_w(entries[device.name], volts)
                self._goals.append((plant.element(device.plant), goal_w + max(25, goal_w * 0.01)))
        self.measured_s = []

    def arm(self, fault, last_good_us):
        """Look from the start of `fault` (with from_s, to_s); last_good_us(): t_us or None."""
        if fault.to_s - fault.from_s >= 5:  # a shorter one need not lead to fallback
            self._world.at(round(fault.from_s * US_PER_S), self._begin, last_good_us)

    def _begin(self, last_good_us):
        """At the start of the fault; a reply may still be on the wire, so ask again later."""
        self._plant.advance(self._world.now_us)
        if any(element.power_w > goal_w for element, goal_w in self._goals):
            self._look(last_good_us)

    def _look(self, last_good_us):
        now_us = self._world.now_us
        self._plant.advance(now_us)
        waited_s = (now_us - (last_good_us() or 0)) / US_PER_S
        if waited_s > _GIVE_UP_S or not any(e.power_w > goal_w for e, goal_w in self._goals):
            self.measured_s.append(waited_s)
        else:
            self._world.at(now_us + _LOOK_US, self._look, last_good_us)


def _fallback_w(device, volts):
    if device.get("fallback_a") is not None:
        return device["fallback_a"] * volts * (len(device["phases"]) - 1)
    return device["load_w"] if device.get("fallback_on") else 0


class SilenceWatch:
    """After the last acknowledged heartbeat: when is the limit in force no looser than firm?

    The controller's own statement, at the instants at which it is polled: what the *site* then
    does is judged on the truth, by the oracle. `measured_s`: one value for each silence that
    outlasted the timeout while a limit looser than firm was in force. On a wall-clock target
    there is none: its view comes from the head-end's own polls, and that is what fell silent.
    """

    def __init__(self, world, target, config):
        self._world = world
        self._target = target
        self._firm_import_w = config["site"]["firm_import_w"]
        self._firm_export_w = config["site"]["firm_export_w"]
        head_end = config["head_end"]
        self._timeout_us = head_end["timeout_s"] * US_PER_S if head_end else 0
        self._beat_us = 0
        self.measured_s = []

    def head_end_did(self, t_us, kind, error):
        if kind == "heartbeat" and error is None:
            self._beat_us = t_us
            before_us = 10_000  # look from a little before it is due
            self._world.at(t_us + self._timeout_us - before_us, self._begin, t_us)

    def _is_loose(self):
        view = self._target.view
        return (
            view.get("T_IN_FORCE_IMPORT_W") > self._firm_import_w
            or view.get("T_IN_FORCE_EXPORT_W") > self._firm_export_w
        )

    def _begin(self, beat_us):
        if beat_us == self._beat_us and not self._target.is_wall_clock and self._is_loose():
            self._look(beat_us)

    def _look(self, beat_us):
        now_us = self._world.now_us
        waited_s = (now_us - beat_us) / US_PER_S
        if not self._is_loose() or waited_s > self._timeout_us / US_PER_S + _GIVE_UP_S:
            self.measured_s.append(waited_s)
        elif beat_us == self._beat_us:
            self._world.at(now_us + _LOOK_US, self._look, beat_us)


class Headroom:
    """Energy the vehicles took of what was available and wanted, and how fair their turns were."""

    def __init__(self, plant, oracle):
        self._plant = plant
        self._oracle = oracle
        self._evs = [e for e in plant.elements if hasattr(e, "delivered_wh")]
        self._taken = 0.0
        self._available = 0.0
        self._charging_us = [0] * len(self._evs)
        self._starts = [0] * len(self._evs)
        self._was_charging = [False] * len(self._evs)
        self.most_at_once = 0

    def step(self, step_us):
        """Account for one trace step; the plant stands at its end."""
        drawn_w = wanted_w = 0.0
        charging = 0
        for index, ev in enumerate(self._evs):
            power_w = ev.power_w
            drawn_w += power_w
            wanted_w += ev.wanted_w
            if power_w > 0:
                charging += 1
                self._charging_us[index] += step_us
                self._starts[index] += not self._was_charging[index]
            self._was_charging[index] = power_w > 0
        self.most_at_once = max(self.most_at_once, charging)
        room_w = self._oracle.import_w - (self._plant.power_w() - drawn_w)
        available_w = max(0.0, min(wanted_w, room_w))
        self._available += available_w * step_us
        self._taken += min(drawn_w, available_w) * step_us

    def used(self):
        """0..1, None when nobody wanted anything."""
        return round(self._taken / self._available, 4) if self._available else None

    def turns(self):
        """Per vehicle: seconds of charging and Wh; fairness: Jain's index of the Wh, 1 = equal."""
        energies = [ev.delivered_wh for ev in self._evs]
        squares = sum(e * e for e in energies)
        fairness = sum(energies) ** 2 / (len(energies) * squares) if squares else None
        return {
            "evse_charging_max": self.most_at_once,
            "evse_starts_max": max(self._starts, default=0),
            "evse_energy_min_wh": round(min(energies, default=0.0), 1),
            "evse_energy_max_wh": round(max(energies, default=0.0), 1),
            "evse_fairness": None if fairness is None else round(fairness, 4),
            "evse_charging_s": {
                ev.name: us / US_PER_S for ev, us in zip(self._evs, self._charging_us, strict=True)
            },
        }
