# SPDX-License-Identifier: MIT
"""pymodbus, which knows nothing of Firmline, does over RTU, TCP and ASCII what an installer's
tools do: the real firmware in a real MicroPython, pseudo-terminals and a loopback socket."""

import json
import os
import socket
import struct
import time
import zlib

import pytest

pytest.importorskip("pymodbus")
pytest.importorskip("termios")

from hil.targets.firmware import TargetError, find_micropython
from tests.host.tools_desktop import PATIENCE_S, Desktop, Refused, Silent
from tests.host.tools_site import CONFIG, UNIT

WAYS = ("rtu", "tcp", "ascii")
NEW = json.dumps(CONFIG | {"site": CONFIG["site"] | {"name": "New", "firm_import_w": 8000}})
IMPORT_W = 40199  # in_force_import_w
SERVICE = 40304
GENERATION = 40305
CONFIG_IS_REFUSED = 16
CONFIG_IS_OTHER = 17
HEARTBEAT = 40225
DYNAMIC = 40226
EMERGENCY = 40231


@pytest.fixture
def start(tmp_path):
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(str(error))
    started = []

    def start(*options, **more):
        started.append(Desktop(tmp_path, *options, **more))
        return started[-1]

    yield start
    for desktop in started:
        desktop.close()


def limit_w(client):
    high, low = client.read(IMPORT_W, 2)
    return high << 16 | low


def test_the_map_and_the_files_read_the_same_on_every_way(start):
    desktop = start()
    seen = []
    for way in WAYS:
        with desktop.client(way) as client:
            assert client.read(40000, 4) == [0x5375, 0x6E53, 1, 66]
            assert client.read(40177, 3) == [64900, 138, 2]
            assert len(client.read(40000, 125)) == 125
            with pytest.raises(Refused) as refused:
                client.read(40319, 1)
            assert refused.value.code == 2
            assert client.read_file(1) == desktop.text.encode()
            identity = json.loads(client.read_file(5))
            assert identity["model"] == "desktop"
            events = client.read_file(3)
            assert len(events) % 16 == 0
            sequence, _, _, code, _ = struct.unpack(">IIHHi", events[:16])
            assert (sequence, code) == (0, 1)
            del identity["free"]
            seen.append(identity)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("way", WAYS)
def test_a_heartbeat_and_a_tighter_limit_are_taken(start, way):
    desktop = start()
    with desktop.client(way) as client:
        client.write(HEARTBEAT, 1)
        client.write(DYNAMIC, 0, 5000, 0, 0, 60)
        desktop.until(lambda: limit_w(client) == 5000)
        client.write(EMERGENCY, 0, 3000, 0, 0, 60)
        desktop.until(lambda: limit_w(client) == 3000)


def test_over_tcp_a_limit_may_only_be_tightened(start):
    desktop = start()
    with desktop.client("tcp") as tcp, desktop.client("rtu") as rtu:
        tcp.write(HEARTBEAT, 1)
        for words in ((0, 10000, 0, 0, 60), (0, 5000, 0, 1, 60)):  # firm is 9000 in, 0 out
            with pytest.raises(Refused) as refused:
                tcp.write(DYNAMIC, *words)
            assert refused.value.code == 3
        rtu.write(DYNAMIC, 0, 10000, 0, 0, 60)
        tcp.write(DYNAMIC, 0, 5000, 0, 0, 60)
        for words in ((0, 5001, 0, 0, 60), (0, 5000, 0, 0, 10), (0xFFFF, 0xFFFF, 0, 0, 60)):
            with pytest.raises(Refused):
                tcp.write(DYNAMIC, *words)
        desktop.until(lambda: limit_w(rtu) == 5000)
        rtu.write(DYNAMIC, 0, 10000, 0, 0, 60)


def test_over_tcp_a_limit_may_be_raised_where_that_was_commissioned(start):
    desktop = start(more={"tcp_may_loosen": True})
    with desktop.client("tcp") as client:
        client.write(HEARTBEAT, 1)
        client.write(DYNAMIC, 0, 10000, 0, 0, 60)
        desktop.until(lambda: limit_w(client) == 10000)


@pytest.mark.parametrize("way", ("rtu", "tcp"))
def test_without_the_jumper_nothing_is_installed_from_afar(start, way):
    desktop = start()
    with desktop.client(way) as client:
        assert client.read(SERVICE) == [0]
        for attempt in (
            lambda: client.write_record(2, 0, b"{}"),
            lambda: client.commit(2, b"{}"),
            client.restart,
        ):
            with pytest.raises(Refused) as refused:
                attempt()
            assert refused.value.code == 1
        assert client.lengths()[1] == 0


NETWORK = {"ssid": "depot", "password": "correct horse"}


@pytest.mark.parametrize("options", [(), ("--service",)])
def test_a_configuration_with_a_password_is_not_read_from_afar(start, options):
    desktop = start(*options, network=NETWORK)
    for way in WAYS:
        with desktop.client(way) as client:
            if way == "ascii" or options:
                assert client.read_file(1) == desktop.text.encode()
                continue
            with pytest.raises(Refused) as refused:
                client.read_file(1)
            assert refused.value.code == 1
            assert client.lengths()[0] == len(desktop.text)
            identity = client.read_file(5)
            assert json.loads(identity)["config_crc32"] == zlib.crc32(desktop.text.encode())
            assert b"correct" not in identity


def test_what_was_staged_is_not_read_from_afar(start):
    desktop = start()
    with desktop.client("ascii") as client:
        client.stage(2, NEW.encode())
        assert client.read_record(2, 0, 8) == NEW[:16].encode()
    for way in ("rtu", "tcp"):
        with desktop.client(way) as client, pytest.raises(Refused) as refused:
            client.read_record(2, 0, 8)
        assert refused.value.code == 1


@pytest.mark.parametrize(
    "way, options", [("ascii", ()), ("rtu", ("--service",)), ("tcp", ("--service",))]
)
def test_a_record_is_staged_committed_and_kept(start, way, options):
    record = json.dumps({"by": "x" * 501}).encode()
    desktop = start(*options)
    with desktop.client(way) as client:
        client.stage(4, record)
        assert client.read_file(4) == record + b"\0"
        assert not list(desktop.data.glob("record.*"))
        client.commit(4, record)
        assert client.read_file(4) == record
        client.restart()
        desktop.await_line("firmline: running", 2)
    with desktop.client(way) as client:
        assert client.read_file(4) == record


def test_a_staged_write_that_was_cut_is_resumed(start):
    """The connection goes in the middle of a request; nothing has changed, and what had come is
    still there for another connection."""
    text = NEW.encode() + b" " * 500
    desktop = start("--service")
    with desktop.client("tcp") as client:
        client.write_record(2, 0, text[:240])
        with pytest.raises(Refused):
            client.commit(2, text)
        part = struct.pack(">HHHBBBBHHH", 9, 0, 250, UNIT, 21, 247, 6, 2, 120, 120)
        client._client.socket.sendall(part + text[240:300])
    with desktop.client("tcp") as client:
        assert client.lengths()[1] == 240
        assert client.read_record(2, 0, 120) == text[:240]
        assert client.read_file(1) == desktop.text.encode()
        client.stage(2, text)
        client.commit(2, text)


def test_garbage_ends_a_tcp_connection_and_the_next_one_is_served(start):
    desktop = start()
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 300, b"\xff" * 7):
        with socket.create_connection(("127.0.0.1", desktop.tcp_port), PATIENCE_S) as stranger:
            stranger.sendall(garbage)
            stranger.settimeout(PATIENCE_S)
            try:
                assert stranger.recv(100) == b""
            except ConnectionResetError:
                pass
    with desktop.client("tcp") as client:
        assert client.read(40000, 2) == [0x5375, 0x6E53]


def test_pipelined_and_split_requests_over_tcp(start):
    desktop = start()
    request = struct.pack(">HHHBBHH", 1, 0, 6, UNIT, 3, 40000, 2)
    answer = struct.pack(">HHHBBBHH", 1, 0, 7, UNIT, 3, 4, 0x5375, 0x6E53)
    with socket.create_connection(("127.0.0.1", desktop.tcp_port), PATIENCE_S) as stranger:
        stranger.sendall(request * 20 + request[:5])
        time.sleep(0.1)
        stranger.sendall(request[5:])
        said = b""
        stranger.settimeout(PATIENCE_S)
        while len(said) < 21 * len(answer):
            said += stranger.recv(4096)
        assert said == answer * 21


def test_a_second_tcp_client_is_told_at_once(start):
    desktop = start()
    with desktop.client("tcp") as first:
        first.read(40000, 2)
        address = ("127.0.0.1", desktop.tcp_port)
        with socket.create_connection(address, PATIENCE_S) as second:
            second.settimeout(PATIENCE_S)
            assert second.recv(10) == b""
        assert first.read(40000, 2) == [0x5375, 0x6E53]
    with desktop.client("tcp") as third:
        assert third.read(40000, 2) == [0x5375, 0x6E53]


def test_key_presses_at_the_console_disturb_nothing(start):
    desktop = start()
    with desktop.client("ascii") as client:
        for keys in (
            b"hello\r\n",
            b"\x1b[A\x04\x01\x05",
            bytes(range(128, 256)),
            b":" * 600,
            b"\r",
        ):
            desktop.press(keys)
            assert client.read(40000, 2) == [0x5375, 0x6E53]


def test_a_question_mark_is_answered_by_one_line(start):
    desktop = start()
    descriptor = os.open(desktop.console.near, os.O_RDWR | os.O_NOCTTY)
    os.write(descriptor, b"?\r")
    said = b""
    while b"\n" not in said:
        said += os.read(descriptor, 200)
    os.close(descriptor)
    assert said.startswith(b"Firmline ") and said.endswith(b"\r\n")


@pytest.mark.parametrize("more, says", [({}, "running"), ({"timeout_s": 0}, "safe mode")])
def test_ctrl_c_at_the_console_stops_it_safely(start, more, says):
    desktop = start(more=more, says=says)
    desktop.press(b"\x03")
    desktop.await_line("stopped: Ctrl-C")
    desktop.process.wait(PATIENCE_S)
    assert not any("Traceback" in line for line in desktop.lines)


def test_a_closed_console_does_not_stop_it(start):
    desktop = start()
    desktop.lose_console()
    time.sleep(0.3)
    with desktop.client("rtu") as client:
        assert client.read(40000, 2) == [0x5375, 0x6E53]
    assert desktop.process.poll() is None


@pytest.mark.parametrize("way", ("rtu", "ascii"))
def test_another_unit_is_not_answered(start, way):
    desktop = start()
    with desktop.client(way, unit=UNIT + 1, timeout_s=0.5, retries=0) as client:
        with pytest.raises(Silent):
            client.read(40000, 2)
    with desktop.client(way) as client:
        assert client.read(40000, 2) == [0x5375, 0x6E53]


def test_another_unit_is_told_so_over_tcp(start):
    desktop = start()
    with desktop.client("tcp", unit=UNIT + 1) as client:
        with pytest.raises(Refused) as refused:
            client.read(40000, 2)
        assert refused.value.code == 11


def test_a_committed_configuration_is_in_force_after_a_restart(start):
    desktop = start()
    new = json.loads(desktop.text) | {"site": json.loads(NEW)["site"]}
    new = json.dumps(new).encode()
    with desktop.client("ascii") as client:
        desktop.until(lambda: limit_w(client) == 9000)
        client.stage(2, new)
        client.commit(2, new)
        assert client.read(GENERATION, 2) == [0, 0]
        assert limit_w(client) == 9000  # until the restart
        client.restart()
        desktop.await_line("firmline: running", 2)
        desktop.until(lambda: limit_w(client) == 8000)
        assert client.read(GENERATION, 2) == [0, 1]
        assert client.read_file(1) == new
        identity = json.loads(client.read_file(5))
        assert identity["config_crc32"] == zlib.crc32(new)
        codes = [row[3] for row in struct.iter_unpack(">IIHHi", client.read_file(3))]
        assert CONFIG_IS_OTHER in codes  # config.json was not touched


def test_a_committed_configuration_that_makes_no_sense_leaves_the_old_one_in_force(start):
    desktop = start()
    good = json.loads(desktop.text) | {"site": json.loads(NEW)["site"]}
    good = json.dumps(good).encode()
    bad = good.replace(b'"voltage_v": 230', b'"voltage_v": 23')
    with desktop.client("ascii") as client:
        for times, text in ((2, good), (3, bad)):
            client.stage(2, text)
            client.commit(2, text)
            client.restart()
            desktop.await_line("firmline: running", times)
        desktop.await_line("configuration 2 is not used: config: site.voltage_v = 23")
        desktop.until(lambda: limit_w(client) == 8000)
        assert client.read(GENERATION, 2) == [0, 1]
        assert client.read_file(1) == good
        rows = list(struct.iter_unpack(">IIHHi", client.read_file(3)))
        assert (CONFIG_IS_REFUSED, 2) in [(row[3], row[4]) for row in rows]


def test_a_restart_opens_the_tcp_port_again(start):
    desktop = start("--service")
    with desktop.client("tcp") as client:
        client.restart()
    desktop.await_line("firmline: running", 2)
    with desktop.client("tcp") as client:
        assert client.read(40000, 2) == [0x5375, 0x6E53]


def test_a_controller_in_safe_mode_is_put_right_over_its_console(start):
    desktop = start(more={"timeout_s": 0}, says="safe mode")
    with desktop.client("ascii") as client:
        assert client.read(40177, 4) == [64900, 138, 2, 5]  # mode: safe
        assert client.read_file(1) == b""
        assert client.read_record(1, 0, 5) == desktop.text[:10].encode()
        good = desktop.text.replace('"timeout_s": 0', '"timeout_s": 60').encode()
        client.stage(2, good)
        client.commit(2, good)
        client.restart()
        desktop.await_line("firmline: running")
        desktop.until(lambda: client.read(40180)[0] != 5)
        assert client.read_file(1) == good
