# SPDX-License-Identifier: MIT
"""main.py of tests/pico/test_pico_line_kernels.py: machine code and bytecode of modbus/words.py,
devices/floats.py and devices/due.py get the same random inputs and must say the same.

Prints `SAME rounds` or `DIFFER round what`. ROUNDS is filled in by the test.
"""

import time
from array import array

import code_due
import code_floats
import code_words
import machine_due
import machine_floats
import machine_words

ROUNDS = 100
RING = 1 << 30
TABLE = array("H", [k * 4007 & 0xFFFF for k in range(16)])
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0xFFFE, 10, 0xFFF6, 0x1FFF, 0x2000)
SIGNED = (0, -1, 1, 0x1FFFFFFF, -0x1FFFFFFF, 0xFFFF, 0x10000, -0x3FFFFFFF, 0x3FFFFFFF)

state = 1


def below(count):
    global state
    state = (state * 4093 + 12829) & 0x3FFFF
    high = state >> 3
    state = (state * 4093 + 12829) & 0x3FFFF
    return ((high << 14 | state >> 4) & 0x1FFFFFFF) % count


def word():
    return EDGES[below(len(EDGES))] if below(2) else below(65536)


def data_of(words):
    data = bytearray(3)
    for _ in range(words):
        value = word()
        data += bytes((value >> 8, value & 0xFF))
    return data


def field():
    return (below(6), 4, (1, 10, 100, 1000)[below(4)], 1, 0, -1)


def decoding(floats, data, block):
    """The block, and each pair of words of the data alone: many blocks have an invalid one."""
    work = array("i", [0] * 15)
    said = [floats.decode_floats(data, block, len(block) // 6, work)]
    for at in range(3, len(data) - 3, 2):
        high, low = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        said.append(floats.float_scaled(high, low, 1000))
        said.append(floats.float_scaled(0x3800 + (high & 0x1FFF), low, 1))  # an ordinary size
    return said + list(work)


def bytes_of(words, data, at, n, values):
    target = bytearray(data)
    words.move(target, at, data, 3, n)
    said = [words.crc_of(data, len(data), 0xFFFF, TABLE), words.find(data, len(data), at)]
    words.put_map(target, values[0], values[1], values[2], at, n)
    return said + list(target)


def waiting(due, timers, board, woken, now_ms):
    rows = len(board) // 3
    said = [due.first_due(timers, len(timers) // 2, now_ms)]
    said.append(due.soonest_ms(timers, len(timers) // 2, now_ms))
    said.append(due.outdated(board, woken, rows, now_ms))
    said.append(due.rest_ms(board, rows, now_ms))
    for last in range(rows):
        said.append(due.most_urgent(board, rows, last, rows - 2))
    return said


def round_differs():
    """What differs in one round, "" when nothing does."""
    data = data_of(10)
    block = []
    for _ in range(1 + below(6)):
        block += field()
    block = array("i", block)
    if decoding(machine_floats, data, block) != decoding(code_floats, data, block):
        return "floats"
    image = array("H", [below(9) for _ in range(9)])
    kinds = bytearray([(0, 5, 13, 14, 7)[below(5)] for _ in range(9)])
    telemetry = array("i", [SIGNED[below(9)] for _ in range(9)])
    at, n = below(4), 1 + below(5)
    one = bytes_of(machine_words, data, at, n, (image, kinds, telemetry))
    if one != bytes_of(code_words, data, at, n, (image, kinds, telemetry)):
        return "words"
    now_ms = below(200) if below(2) else RING - 1 - below(200)
    ago = array("i", [(now_ms - below(300)) & (RING - 1) for _ in range(12)])
    timers = array("i", [0] * 10)
    board = array("i", [0] * 15)
    for k in range(5):
        timers[2 * k], timers[2 * k + 1] = ago[k], below(4000) - 1000
        board[3 * k], board[3 * k + 1], board[3 * k + 2] = ago[k + 5], below(2000), below(6)
    woken = bytearray([below(8) == 0 for _ in range(6)])
    one = waiting(machine_due, timers, board, woken, now_ms)
    return "" if one == waiting(code_due, timers, board, woken, now_ms) else "due"


def main():
    while time.ticks_ms() < 2000:  # what is printed before the console is up is lost
        pass
    for number in range(ROUNDS):
        what = round_differs()
        if what:
            print("DIFFER", number, what)
            return
    print("SAME", ROUNDS)


main()
while True:
    time.sleep_ms(1000)
