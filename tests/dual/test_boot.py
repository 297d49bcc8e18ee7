# SPDX-License-Identifier: MIT
"""services.boot, services.safe_mode and app.main: whatever a start meets, it ends in control or in
safe outputs with a cause."""

import json

from firmline import app
from firmline.hal.ramfiles import RamStore
from firmline.services import boot, memory
from firmline.services import safe_mode as safe_mode_module
from firmline.services.config_source import MOST_BYTES, SCHEMA, load_in_force
from firmline.services.safe_mode import SafeMode
from firmline.services.store import TwoGenerations

KEY = 0x0B5A0000
WANTED = 0x100
FAILED = 0x200
UNKNOWN, POWER, WATCHDOG, SOFT = 0, 1, 2, 3
CONFIG = {
    "schema": 1,
    "site": {
        "phases": 1,
        "voltage_v": 230,
        "service_a": 63,
        "firm_import_w": 9000,
        "firm_export_w": 0,
    },
    "buses": [{"port": "uart0"}],
    "devices": [{"name": "grid", "type": "eastron_sdm630", "unit": 1}],
}


class FakeHardware:
    """A board that has just started for the reason `cause`, with `word` as its marker."""

    model = "pico"
    serial = "0"
    has_clock = True
    is_small = False

    def __init__(self, cause=POWER, word=0):
        self.cause = cause
        self.word = word
        self.config = CONFIG
        self.steps = []
        self.causes = []
        self.service = False
        self.run = self._run
        self._us = 0

    def make_safe(self):
        self.steps.append("safe")

    def reset_cause(self):
        return self.cause

    def marker(self):
        return self.word

    def set_marker(self, word):
        self.word = word

    def record_cause(self, text):
        self.causes.append(text)

    def read_config(self):
        return json.dumps(self.config)

    def ticks_us(self):
        self._us += 1
        return self._us

    def is_service(self):
        return self.service

    def restart(self):
        self.steps.append("restart")

    def open_console(self):
        return None

    def run_safe(self, safe_mode):
        self.steps.append("run_safe")
        self.safe_mode = safe_mode

    def _run(self, controller):
        self.steps.append("run")

    def build(self, config, hardware, cause=0):
        self.steps.append("build")
        self.built_for = cause
        return self

    def fail(self):
        self.steps.append("fail")


def refusal(hardware):
    """The cause of a start that ended in safe mode."""
    controller, cause = boot.start(hardware, hardware.build)
    assert controller is None
    assert hardware.steps[0] == "safe" and hardware.steps[-1] == "safe"
    assert hardware.causes[-1] == cause
    return cause


def run_main(hardware):
    """app.main with the fake as its own controller; nothing is dropped from memory."""
    kept = app.Controller, memory.tidy
    app.Controller = hardware.build
    memory.tidy = lambda is_small: None
    try:
        return app.main(hardware)
    finally:
        app.Controller, memory.tidy = kept


def failing(error):
    def run(controller):
        raise error

    return run


def test_a_good_start_makes_outputs_safe_then_builds_and_records_nothing():
    hardware = FakeHardware()
    assert boot.start(hardware, hardware.build) == (hardware, "")
    assert hardware.steps == ["safe", "build"]
    assert hardware.causes == []
    assert hardware.built_for == POWER


def test_each_start_counts_and_the_fifth_that_was_not_well_is_the_last():
    hardware = FakeHardware(SOFT, KEY)
    for unwell in range(5):
        assert hardware.word == KEY + unwell
        assert boot.start(hardware, hardware.build)[0] is hardware
    hardware.steps = []
    assert refusal(hardware) == "start: 5 starts in a row did not run well for 90 s"
    assert "build" not in hardware.steps
    hardware = FakeHardware(SOFT, KEY + 0xFF)
    assert refusal(hardware).startswith("start: 255 starts")
    assert hardware.word == KEY + 0xFF, "it stays there"


def test_a_power_up_leaves_safe_mode_whatever_the_marker_holds():
    hardware = FakeHardware(POWER, KEY + 9)
    assert boot.start(hardware, hardware.build)[0] is hardware
    assert hardware.word == KEY + 1


def test_a_marker_of_somebody_else_counts_nothing():
    for word in (0, 0x3FFFFFFF, 0x0B5B0009, 0x0B5A0409, 9):
        hardware = FakeHardware(SOFT, word)
        assert boot.start(hardware, hardware.build)[0] is hardware
        assert hardware.word == KEY + 1, word


def test_a_restart_that_was_asked_for_begins_anew_and_is_no_hang():
    hardware = FakeHardware(WATCHDOG, KEY + WANTED)
    boot.start(hardware, hardware.build)
    assert hardware.built_for == SOFT
    assert hardware.causes == []
    assert hardware.word == KEY + 1


def test_a_hang_is_recorded_and_counted():
    hardware = FakeHardware(WATCHDOG, KEY + 1)
    boot.start(hardware, hardware.build)
    assert hardware.built_for == WATCHDOG
    assert hardware.causes == ["start: the watchdog has reset the chip, the program hung"]
    assert hardware.word == KEY + 2


def test_a_failure_keeps_its_own_cause_and_counts():
    hardware = FakeHardware(WATCHDOG, KEY + FAILED + 4)
    boot.start(hardware, hardware.build)
    assert hardware.causes == []
    assert hardware.word == KEY + 5


def test_a_configuration_that_is_refused_leads_to_safe_mode_with_its_field():
    hardware = FakeHardware()
    hardware.config = dict(CONFIG, surprise=1)
    assert refusal(hardware).startswith("config: surprise = 1")


def test_a_port_that_does_not_open_leads_to_safe_mode():
    hardware = FakeHardware()

    def build(config, hardware, cause):
        raise OSError("port uart7: this board has uart0")

    hardware.build = build
    assert refusal(hardware) == "port uart7: this board has uart0"


def test_what_nobody_thought_of_leads_to_safe_mode_too():
    hardware = FakeHardware()

    def build(config, hardware, cause):
        raise KeyError("role")

    hardware.build = build
    assert refusal(hardware).startswith("start: KeyError('role'")


def test_a_marker_that_cannot_be_read_leads_to_safe_mode():
    hardware = FakeHardware()

    def marker():
        raise RuntimeError("no such register")

    hardware.marker = marker
    assert refusal(hardware).startswith("start: RuntimeError('no such register'")


def test_a_configuration_for_another_board_is_refused():
    hardware = FakeHardware()
    hardware.config = dict(CONFIG, board="esp32-devkit")
    assert refusal(hardware) == ('config: board = "esp32-devkit": accepted is pico, which this is')
    hardware = FakeHardware()
    hardware.config = dict(CONFIG, board="pico")
    assert boot.start(hardware, hardware.build)[0] is hardware


def test_a_desktop_plays_any_board():
    hardware = FakeHardware()
    hardware.model = "desktop"
    hardware.config = dict(CONFIG, board="esp32-devkit")
    assert boot.start(hardware, hardware.build)[0] is hardware


def test_a_clock_that_stands_still_is_found():
    hardware = FakeHardware()
    hardware.ticks_us = lambda: 7
    assert refusal(hardware) == "self-test: the clock stands still"
    hardware = FakeHardware()
    hardware.ticks_us = lambda: 7
    hardware.has_clock = False  # the bench's lock-step has none yet
    assert boot.start(hardware, hardware.build)[0] is hardware


def test_a_wrong_crc_is_found():
    kept = boot.crc16
    boot.crc16 = lambda data, count: kept(data, count) ^ 1
    try:
        assert refusal(FakeHardware()) == "self-test: CRC-16 gives a wrong answer"
    finally:
        boot.crc16 = kept


def test_main_runs_and_ends():
    hardware = FakeHardware()
    assert run_main(hardware) == 0
    assert hardware.steps == ["safe", "build", "run"]


def test_main_stays_in_safe_mode_where_the_start_failed():
    hardware = FakeHardware()
    hardware.config = {}
    assert run_main(hardware) == 2
    assert hardware.steps == ["safe", "safe", "run_safe"]
    assert hardware.safe_mode.cause.startswith("config: schema")


def test_a_fault_of_the_program_switches_off_first_then_restarts():
    hardware = FakeHardware()
    hardware.run = failing(ValueError("boom"))
    try:
        run_main(hardware)
        raise AssertionError("no exception")
    except ValueError:
        pass
    assert hardware.steps == ["safe", "build", "safe", "fail", "restart"]
    assert hardware.causes[0].startswith("stopped: ValueError('boom'")
    assert hardware.word == KEY + FAILED + 1


def test_a_fault_does_not_restart_a_board_that_is_being_worked_on():
    hardware = FakeHardware()
    hardware.service = True
    hardware.run = failing(ValueError("boom"))
    try:
        run_main(hardware)
        raise AssertionError("no exception")
    except ValueError:
        pass
    assert hardware.steps == ["safe", "build", "safe", "fail"]


def test_a_key_pressed_at_the_console_switches_off_and_restarts_nothing():
    hardware = FakeHardware()
    hardware.run = failing(KeyboardInterrupt())
    assert run_main(hardware) == 0
    assert hardware.steps == ["safe", "build", "safe", "fail"]
    assert hardware.causes == ["stopped: Ctrl-C"]


def test_safe_mode_keeps_the_outputs_safe():
    hardware = FakeHardware()
    safe_mode = SafeMode(hardware, "why")
    start_ms = (1 << 30) - 1500
    assert safe_mode.poll(start_ms) == 100
    safe_mode.poll(start_ms + 999)
    assert hardware.steps == []
    safe_mode.poll(start_ms + 1000)
    assert hardware.steps == ["safe"]
    safe_mode.poll(500)  # across the wrap
    assert hardware.steps == ["safe", "safe"]


def test_safe_mode_says_why_once_after_three_seconds():
    said = []
    safe_mode_module.print = lambda *words: said.append(words)
    try:
        safe_mode = SafeMode(FakeHardware(), "why")
        start_ms = (1 << 30) - 2000
        safe_mode.poll(start_ms)
        safe_mode.poll(999)  # across the wrap
        assert said == [], "not yet"
        safe_mode.poll(1000)
        assert said == [("firmline: safe mode:", "why")]
        safe_mode.poll(9000)
        assert len(said) == 1, "once"
    finally:
        del safe_mode_module.print


def test_forget_drops_modules_and_packages_and_leaves_the_rest():
    import sys

    class Module:
        pass

    above = Module()
    above.one = Module()
    above.only = Module()
    names = {"x9": above, "x9.one": above.one, "x9.one.two": Module(), "x9.only": above.only}
    for name in names:
        sys.modules[name] = names[name]
    memory.forget(("x9.one", "x9.absent"))
    assert "x9.one" not in sys.modules and "x9.one.two" not in sys.modules
    assert not hasattr(above, "one")
    assert above.only is sys.modules["x9.only"]
    memory.forget(("x9",))
    assert "x9" not in sys.modules and "x9.only" not in sys.modules


def storing(*firm_import_w):
    """A board with these generations of its configuration, the newest last."""
    hardware = FakeHardware()
    hardware.files = RamStore()
    store = TwoGenerations(hardware.files, "config", SCHEMA, MOST_BYTES)
    for limit_w in firm_import_w:
        config = dict(CONFIG, site=dict(CONFIG["site"], firm_import_w=limit_w))
        text = json.dumps(config).encode()
        store.write(text, len(text))
    return hardware


def damage(hardware, name):
    data = bytearray(hardware.files._files[name])
    data[len(data) // 2] ^= 1
    hardware.files._files[name] = bytes(data)


def test_a_damaged_configuration_is_told_and_the_older_one_counts():
    hardware = storing(8000, 7000)
    config = load_in_force(hardware)
    assert config["site"]["firm_import_w"] == 7000
    assert (config["source"]["refused"], hardware.causes) == (0, [])
    damage(hardware, "config.1")
    config = load_in_force(hardware)
    assert config["site"]["firm_import_w"] == 8000
    assert config["source"]["refused"] == 2
    assert hardware.causes == ["configuration: 1 of the stored files damaged, generation 1 counts"]


def test_two_damaged_configurations_are_told():
    hardware = storing(8000, 7000)
    for name in list(hardware.files._files):
        damage(hardware, name)
    config = load_in_force(hardware)
    assert config["site"]["firm_import_w"] == 9000, "config.json, as it was copied by hand"
    assert config["source"]["refused"] == 1
    assert hardware.causes[-1].startswith("configuration: 2 of the stored files damaged")
