# SPDX-License-Identifier: MIT
"""A bench that cannot fail proves nothing: four planted defects, each must end in FAIL."""

import runs

from firmline.core.freshness import LOST, Freshness
from firmline.core.guard import Guard
from firmline.core.supervisor import Supervisor
from firmline.services.sensing import Sensing

UNTIL_CUT_S = 3660.0  # export, grants, silence, load step and the cut cable have been by then


def failed(result):
    return {check["id"] for check in result.checks if check["verdict"] == "FAIL"}


def test_demo_scenario_passes_as_it_is():
    _, result = runs.run("evening", duration_s=UNTIL_CUT_S)

    assert result.verdict == "PASS"


def test_bypassed_guard_fails(monkeypatch):
    def wave_through(self, mode, limits, balance, stage_import, stage_export):
        for index in range(self._resources.count):
            self._resources.command_w[index] = self._resources.proposal_w[index]

    monkeypatch.setattr(Guard, "dispose", wave_through)
    _, result = runs.run("evening", duration_s=UNTIL_CUT_S)

    assert result.verdict == "FAIL"
    assert "TC-M18-08" in failed(result)  # the loads never fell back


def test_fallback_timer_that_never_fires_fails(monkeypatch):
    def never_lost(self, now_ms):
        if self.state == LOST and self.marked_ms:
            self.state = 0
        return self.state

    monkeypatch.setattr(Freshness, "update", never_lost)
    _, result = runs.run("evening", duration_s=UNTIL_CUT_S)

    assert result.verdict == "FAIL"
    assert "TC-M18-08" in failed(result)


def test_flipped_sign_of_export_fails(monkeypatch):
    take_sample = Sensing.take_sample

    def take_flipped(self):
        take_sample(self)
        for axis in range(self._site.axes):
            self._snapshot.axis_w[axis] = abs(self._snapshot.axis_w[axis])

    monkeypatch.setattr(Sensing, "take_sample", take_flipped)
    _, result = runs.run("evening", duration_s=UNTIL_CUT_S)

    assert result.verdict == "FAIL"
    assert "TC-M14-01" in failed(result)  # exports without an end


def test_watchdog_that_is_never_fed_fails(monkeypatch):
    monkeypatch.setattr(Supervisor, "may_feed", lambda self: False)
    bench, result = runs.run("watchdog_hang")

    assert result.verdict == "FAIL"
    assert "TC-M18-14" in failed(result)  # nothing restarts it
    assert bench.target.resets == 0
