# SPDX-License-Identifier: MIT
"""Wi-Fi and the clock of hal/network.py: a station that is made up, a time server that is real.

The station's driver (network.WLAN) has run on no board yet: what is checked is how it is used. The
clock runs in CPython and in MicroPython against a UDP server on this machine.
"""

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from firmline.hal.network import CONNECTING, UP, WAITING, Clock, Station
from firmline.services.config import ConfigError, load
from hil.targets.firmware import TargetError, find_micropython

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
RING = 2**30
NTP_2026_07_01 = 2208988800 + 1782864000  # Unix time of 2026-07-01 00:00 UTC
SINCE_2024 = 1782864000 - 1704067200


class Wlan:
    """network.WLAN as its documentation has it: connect returns at once and tries for ever."""

    def __init__(self):
        self.calls = []
        self.is_up = False
        self.fails = False

    def connect(self, ssid, password):
        self.calls.append(("connect", ssid, password))
        if self.fails:
            raise OSError("Wifi Internal State Error")

    def disconnect(self):
        self.calls.append(("disconnect",))

    def isconnected(self):
        return self.is_up


def station(start_ms=RING - 30_000):
    """A Station, its Wlan, and go(ms) that polls it each 250 ms, through the wrap of the ticks."""
    wlan = Wlan()
    tried = Station(wlan, "site", "12345678")
    now = [start_ms]

    def go(ms):
        for _ in range(ms // 250):
            tried.poll(now[0] % RING)
            now[0] += 250

    go(250)
    return tried, wlan, go


def test_it_connects_at_once_and_is_up_when_the_driver_says_so():
    tried, wlan, go = station()
    assert wlan.calls == [("connect", "site", "12345678")]
    go(3000)
    assert tried.state == CONNECTING
    wlan.is_up = True
    go(250)
    assert tried.state == UP
    go(60_000)
    assert len(wlan.calls) == 1


def test_an_attempt_ends_after_twenty_seconds_and_the_pauses_grow_to_five_minutes():
    tried, wlan, go = station()
    go(19_750)
    assert tried.state == CONNECTING
    go(500)
    assert tried.state == WAITING
    assert wlan.calls[-1] == ("disconnect",)
    go(900_000)
    assert tried.attempts == 10  # pauses of 1, 2, 4, ... 256, 300 s between attempts of 20 s
    go(3_600_000)
    assert 19 <= tried.attempts <= 21  # one in 320 s


def test_a_lost_network_is_tried_again_after_a_second():
    tried, wlan, go = station()
    wlan.is_up = True
    go(1000)
    wlan.is_up = False
    go(500)
    assert (tried.state, tried.losses) == (WAITING, 1)
    go(1500)
    assert tried.attempts == 2
    wlan.is_up = True
    go(500)
    assert tried.state == UP


def test_a_driver_that_raises_is_no_end():
    tried, wlan, go = station()
    wlan.fails = True
    go(100_000)
    assert tried.attempts >= 3
    wlan.fails = False
    wlan.is_up = True
    go(200_000)
    assert tried.state == UP


def answer_to(request, seconds=NTP_2026_07_01, mode=4, leap=0, stratum=2, mark=None, length=48):
    mark = request[40:48] if mark is None else mark
    head = bytes([leap << 6 | 4 << 3 | mode, stratum, 6, 0xEC]) + bytes(20)
    return (head + mark + bytes(8) + struct.pack(">II", seconds % 2**32, 0))[:length]


class TimeServer:
    """Answers each request with what `answers` says, in turn, the last one for ever."""

    def __init__(self, *answers):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.answers = list(answers)
        self.requests = []
        self.is_open = True
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while self.is_open:
            try:
                request, peer = self.socket.recvfrom(100)
            except TimeoutError:
                continue
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is not None:
                self.socket.sendto(answer_to(request, **answer), peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_open = False
        self.thread.join()
        self.socket.close()


PROGRAM = """
import sys, time
from firmline.hal.network import Clock
clock = Clock("127.0.0.1", int(sys.argv[1]))
now_ms = 0x3FFFF000
end_s = time.time() + 30
while now_ms < 0x3FFFF000 + {silence_ms}:
    clock.poll(now_ms & 0x3FFFFFFF)
    now_ms += 250
while not ({silence_ms} or clock.is_set or clock.refused) and time.time() < end_s:
    clock.poll(now_ms & 0x3FFFFFFF)
    time.sleep(0.01)
print(clock.is_set, clock.asked, clock.refused, clock.now_s(now_ms & 0x3FFFFFFF))
if clock.is_set:
    for _ in range(35):
        now_ms += 100000
        clock.poll(now_ms & 0x3FFFFFFF)
    print(clock.now_s((now_ms + 700) & 0x3FFFFFFF))
"""


@pytest.fixture(params=["CPython", "MicroPython"])
def ask(request):
    """ask(port, silence_ms) -> the numbers that PROGRAM printed. The clock's time stands still
    while the host takes its own over an answer; where none comes, it passes by itself."""
    interpreter = sys.executable
    if request.param == "MicroPython":
        try:
            interpreter = find_micropython()
        except TargetError as error:
            pytest.skip(str(error))

    def run(port, silence_ms=0):
        program = PROGRAM.format(silence_ms=silence_ms)
        paths = {"PYTHONPATH": str(FIRMWARE), "MICROPYPATH": str(FIRMWARE)}
        done = subprocess.run(
            [interpreter, "-c", program, str(port)],
            env=os.environ | paths,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.split()

    return run


def await_answer(clock):
    """Its own time stands still while the host takes as long as it needs."""
    end_s = time.monotonic() + 30
    while not (clock.is_set or clock.refused) and time.monotonic() < end_s:
        clock.poll(0)
        time.sleep(0.01)


def test_the_clock_is_set_by_a_true_answer_and_runs_on(ask):
    with TimeServer({}) as server:
        is_set, asked, refused, now_s, later_s = ask(server.port)
    assert (is_set, asked, refused, int(now_s)) == ("True", "1", "0", SINCE_2024)
    assert int(later_s) == SINCE_2024 + 3500
    assert len(server.requests[0]) == 48 and server.requests[0][0] == 0x23


@pytest.mark.parametrize(
    "answer",
    [
        {"mode": 3},
        {"leap": 3},
        {"stratum": 0},
        {"stratum": 16},
        {"mark": b"12345678"},
        {"length": 47},
        {"seconds": 0},
        {"seconds": 2208988800 + 1_700_000_000},
        {"seconds": 2208988800 + 2_900_000_000},
    ],
    ids=lambda answer: "-".join(answer),
)
def test_an_answer_that_cannot_be_true_sets_nothing(answer):
    with TimeServer(answer) as server:
        clock = Clock("127.0.0.1", server.port)
        await_answer(clock)
    assert not clock.is_set and clock.now_s(5000) == -1
    assert clock.refused == 1


def test_the_next_era_begins_in_2036():
    with TimeServer({"seconds": 2**32 + 100_000_000}) as server:
        clock = Clock("127.0.0.1", server.port)
        await_answer(clock)
    assert clock.now_s(0) >= 2**32 + 100_000_000 - 3913056000


def test_a_silent_server_is_asked_again_every_thirty_seconds_and_never_waited_for(ask):
    with TimeServer(None) as server:
        is_set, asked, *_ = ask(server.port, 70_000)
    assert (is_set, asked) == ("False", "3")


SITE = """{"schema": 1, "site": {"phases": 1, "voltage_v": 230, "service_a": 40,
"firm_import_w": 4000, "firm_export_w": 0}, "buses": [{"port": "uart0"}], "network": %s,
"devices": [{"name": "m", "type": "eastron_sdm630", "unit": 1}]}"""


def test_the_configuration_takes_a_network():
    network = load(SITE % '{"ssid": "x", "password": "12345678", "ntp_server": "10.0.0.1"}')
    assert network["network"]["ntp_server"] == "10.0.0.1"
    assert load(SITE % "null")["network"] is None


@pytest.mark.parametrize(
    "network, field",
    [
        ('{"ssid": "x", "password": "s3cr3t"}', "network.password"),
        ('{"ssid": "x", "pasword": "s3cr3t77"}', "network.pasword"),
        ('{"ssid": "x", "password": "12345678", "ntp_server": "pool.ntp"}', "network.ntp_server"),
        ('{"ssid": "x", "password": "12345678", "ntp_server": "1.2.3.256"}', "network.ntp_server"),
    ],
)
def test_a_wrong_network_is_refused_without_showing_the_password(network, field):
    with pytest.raises(ConfigError) as caught:
        load(SITE % network)
    assert field in str(caught.value)
    assert "s3cr3t" not in str(caught.value) + repr(caught.value)
