# SPDX-License-Identifier: MIT
"""Wi-Fi and the time of day, beside the control: bounded, never waited for, never needed.

Imported only where the configuration has `network`. No check-in depends on it: without network
and without clock the firm limits hold. A lost station is tried again with a growing pause; the
clock counts as set only after an answer that could be true (RFC 5905, one packet, shaped after
its client mode). Written against the stubs; Wi-Fi itself has run on no board yet.
"""

import errno
import socket

from firmline.core.units import const, elapsed_ms

WAITING = const(0)
CONNECTING = const(1)
UP = const(2)

_LOOK_MS = const(250)
_PATIENCE_MS = const(20000)  # the driver would try for ever
_PAUSE_MS = const(1000)
_LONGEST_PAUSE_MS = const(300000)
_ASK_MS = const(30000)  # until there is an answer
_ASK_AGAIN_MS = const(3600000)
_ANSWER_MS = const(2000)
_NTP_PORT = const(123)
_BYTES = const(48)
_CLIENT = const(0x23)  # version 4, mode 3
_EPOCH_2024 = 3913056000  # of 2024-01-01 in NTP's seconds since 1900
_FIRST_S = const(74000000)  # 2026-05-06: before this firmware nothing was measured
_LAST_S = const(1000000000)  # 2055: still a small integer
_FAULTS = (OSError, MemoryError)  # made here: later there may be no heap


class Station:
    """wlan: network.WLAN or alike, active: isconnected(), connect(ssid, password), disconnect().
    attempts, losses: counted for ever."""

    def __init__(self, wlan, ssid, password):
        self._wlan = wlan
        self._ssid = ssid
        self._password = password
        self._since_ms = 0
        self._pause_ms = 0
        self.state = WAITING
        self.attempts = 0
        self.losses = 0

    def poll(self, now_ms):
        try:
            self._step(now_ms)
        except _FAULTS:  # the driver is busy or failed: as if nothing had come of it
            self._give_up(now_ms)

    def _step(self, now_ms):
        waited_ms = elapsed_ms(now_ms, self._since_ms)
        if self.state == WAITING:
            if waited_ms >= self._pause_ms:
                self.attempts += 1
                self._enter(CONNECTING, now_ms)
                self._wlan.connect(self._ssid, self._password)
        elif self._wlan.isconnected():
            if self.state == CONNECTING:
                self._pause_ms = 0
                self._enter(UP, now_ms)
        elif self.state == UP:
            self.losses += 1
            self._give_up(now_ms)
        elif waited_ms >= _PATIENCE_MS:
            self._wlan.disconnect()
            self._give_up(now_ms)

    def _give_up(self, now_ms):
        self._pause_ms = min(max(2 * self._pause_ms, _PAUSE_MS), _LONGEST_PAUSE_MS)
        self._enter(WAITING, now_ms)

    def _enter(self, state, now_ms):
        self.state = state
        self._since_ms = now_ms


class Clock:
    """Seconds since 2024-01-01 UTC. server: IP literal; a name would have to be looked up, which
    blocks. is_set: an answer was taken. asked, refused: packets sent, and answers not believed."""

    def __init__(self, server, port=_NTP_PORT):
        self._address = socket.getaddrinfo(server, port)[0][-1]
        self._socket = None
        self._request = bytearray(_BYTES)
        self._wait_ms = 0
        self._sent_ms = 0
        self._is_asking = False
        self._base_s = 0
        self._base_ms = 0
        self.is_set = False
        self.asked = 0
        self.refused = 0

    def now_s(self, now_ms):
        """-1: not set. Right as long as `poll` is called at least every few days."""
        if not self.is_set:
            return -1
        return self._base_s + elapsed_ms(now_ms, self._base_ms) // 1000

    def poll(self, now_ms):
        """Needs the network to be up. Never blocks."""
        if self.is_set and elapsed_ms(now_ms, self._base_ms) >= 60000:
            self._base_s += 60
            self._base_ms = (self._base_ms + 60000) & 0x3FFFFFFF
        try:
            self._step(now_ms)
        except _FAULTS:
            self._close()

    def _step(self, now_ms):
        if self._is_asking:
            self._hear(now_ms)
            if self._is_asking and elapsed_ms(now_ms, self._sent_ms) >= _ANSWER_MS:
                self._close()
        elif elapsed_ms(now_ms, self._sent_ms) >= self._wait_ms:
            self._ask(now_ms)

    def _ask(self, now_ms):
        self._sent_ms = now_ms
        self._wait_ms = _ASK_MS
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        request = self._request
        request[0] = _CLIENT
        for k in range(8):  # what the answer has to bring back: not a time, a mark
            request[40 + k] = (now_ms >> 4 * k) + 37 * self.asked & 0xFF
        self.asked += 1
        self._is_asking = True
        self._socket.sendto(request, self._address)

    def _hear(self, now_ms):
        try:
            answer, _ = self._socket.recvfrom(_BYTES + 20)
        except OSError as error:
            if error.errno == errno.EAGAIN:  # nothing there yet
                return
            raise
        seconds = self._seconds(answer)
        if seconds < 0:
            self.refused += 1
            return
        self._base_s = seconds
        self._base_ms = now_ms
        self.is_set = True
        self._wait_ms = _ASK_AGAIN_MS
        self._close()

    def _seconds(self, answer):
        """-1 for what is no answer to the last request, or cannot be true."""
        if len(answer) < _BYTES or answer[0] & 7 != 4 or answer[0] >> 6 == 3:
            return -1
        if not 1 <= answer[1] <= 15 or answer[24:32] != self._request[40:48]:
            return -1
        seconds = int.from_bytes(answer[40:44], "big")
        if seconds == 0:
            return -1
        if seconds < 0x80000000:  # era 1, from 2036-02-07 on
            seconds += 0x100000000
        seconds -= _EPOCH_2024
        return seconds if _FIRST_S <= seconds <= _LAST_S else -1

    def _close(self):
        self._is_asking = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Network:
    """settings: `network` of the configuration. wlan: None where the system has a network."""

    def __init__(self, settings, wlan):
        self.station = None
        if wlan is not None:
            self.station = Station(wlan, settings["ssid"], settings["password"])
        self.clock = Clock(settings["ntp_server"]) if settings["ntp_server"] else None
        self._looked_ms = 0

    def is_clock_set(self):
        return self.clock is not None and self.clock.is_set

    def poll(self, now_ms):
        if elapsed_ms(now_ms, self._looked_ms) < _LOOK_MS:
            return
        self._looked_ms = now_ms
        if self.station is not None:
            self.station.poll(now_ms)
            if self.station.state != UP:
                return
        if self.clock is not None:
            self.clock.poll(now_ms)
