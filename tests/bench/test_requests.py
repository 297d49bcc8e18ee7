# SPDX-License-Identifier: MIT
"""hil.targets.requests: a controller's bytes come in pieces, the wire carries whole requests."""

import pytest

from hil.line.rtu import read_request, write_request
from hil.targets.requests import Requests, request_bytes

READ = read_request(1, 4, 0, 2)
WRITE = write_request(11, 100, (1, 2, 3))
BROKEN = bytes((*READ[:7], READ[7] ^ 1))


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, data, t_us):
        self.sent.append((t_us, data))


@pytest.fixture(params=[False, True], ids=["from the last byte", "from the first"])
def both(request):
    wire = Wire()
    return wire, Requests(wire, is_from_first=request.param)


def test_length_of_a_request_is_known_from_its_beginning():
    assert [request_bytes(bytes((1, function))) for function in range(1, 7)] == [8] * 6
    assert request_bytes(b"\x01\x10\x00\x00\x00\x02") is None
    assert request_bytes(b"\x01\x10\x00\x00\x00\x02\x04") == 13
    assert request_bytes(b"\x01\x0f\x00\x00\x00\x09\x02") == 11
    assert request_bytes(b"\x01") is None
    assert request_bytes(b"\x01\x2b\x00\x00\x00\x00\x00\x00") is None


def test_a_request_goes_out_whole_with_its_last_byte(both):
    wire, requests = both
    requests.add(0, READ[:3])
    assert wire.sent == [], "not yet"
    requests.add(1000, READ[3:] + WRITE[:8])
    assert wire.sent == [(1000, READ)]
    requests.add(2000, WRITE[8:])
    assert wire.sent == [(1000, READ), (2000, WRITE)]
    requests.rest(100_000)
    assert len(wire.sent) == 2, "nothing is left"


def test_two_requests_at_once_are_two(both):
    wire, requests = both
    requests.add(5, READ + WRITE)
    assert wire.sent == [(5, READ), (5, WRITE)]


def test_what_is_no_request_goes_out_after_a_silence_and_is_gone(both):
    wire, requests = both
    requests.add(10_000, BROKEN)
    requests.rest(29_999)
    assert wire.sent == [], "not yet"
    requests.rest(30_000)
    assert wire.sent == [(30_000, BROKEN)]
    requests.add(40_000, READ)
    assert wire.sent[1:] == [(40_000, READ)]


@pytest.mark.parametrize("is_from_first, silent_us", [(False, 25_000), (True, 20_000)])
def test_the_silence_counts_from_the_last_byte_or_from_the_first(is_from_first, silent_us):
    wire = Wire()
    requests = Requests(wire, is_from_first)
    requests.add(0, BROKEN[:4])
    requests.add(5000, BROKEN[4:])
    requests.rest(silent_us - 1)
    assert wire.sent == [], "not yet"
    requests.rest(silent_us)
    assert wire.sent == [(silent_us, BROKEN)]
