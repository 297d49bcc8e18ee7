# SPDX-License-Identifier: MIT
"""What runs beside the control meets a full heap: what it was doing ends, and nothing else."""

import time

try:
    import socket

    from firmline.hal.network import WAITING, Clock, Station
    from firmline.hal.tcp import Listener
except ImportError:  # an interpreter without sockets
    socket = None

try:
    import micropython
except ImportError:
    micropython = None


class SkipTest(Exception):
    pass


def need_sockets():
    if socket is None:
        raise SkipTest("no sockets here")


def need_heap_lock():
    need_sockets()
    if not hasattr(micropython, "heap_lock"):
        raise SkipTest("no heap_lock here")


def with_no_heap(work):
    """Call it while the interpreter makes nothing: a real full heap."""
    micropython.heap_lock()
    try:
        work()
    finally:
        micropython.heap_unlock()


def open_listener():
    """On a port that nobody has, and that port."""
    first = int(time.time() * 1000) % 10000
    for k in range(100):
        port = 20000 + (first + 37 * k) % 10000
        try:
            return Listener("127.0.0.1", port), port
        except OSError:
            continue
    raise SkipTest("no free port")


def test_a_tcp_client_that_comes_to_a_full_heap_is_counted_and_the_next_one_served():
    need_heap_lock()
    listener, port = open_listener()
    clients = [socket.socket() for _ in range(2)]
    address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
    listener.any()  # the first look makes what the later ones use
    try:
        clients[0].connect(address)
        time.sleep(0.05)
        with_no_heap(listener.any)
        assert listener.errors == 1 and not listener.is_open
        clients[1].connect(address)
        time.sleep(0.05)
        listener.any()
        assert listener.is_open
    finally:
        listener.close()
        for client in clients:
            client.close()


class Wlan:
    def connect(self, ssid, password):
        raise MemoryError

    def isconnected(self):
        return False


def test_a_radio_that_finds_no_memory_is_tried_again():
    need_sockets()
    station = Station(Wlan(), "site", "12345678")
    for now_ms in range(0, 10000, 250):
        station.poll(now_ms)
    assert station.state == WAITING and station.attempts >= 3


def test_a_clock_that_finds_no_memory_asks_again():
    need_heap_lock()
    clock = Clock("127.0.0.1", 9)
    with_no_heap(lambda: clock.poll(30000))
    assert not clock.is_set
    clock.poll(70000)
    assert clock.asked >= 1
    clock._close()
