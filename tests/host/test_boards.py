# SPDX-License-Identifier: MIT
"""Every board against what its chip allows, and which board a build is taken for."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firmline.hal import choose

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "firmware/firmline/boards"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
BOARDS = [importlib.import_module(f"firmline.boards.{name}") for name in NAMES]

# What a pin may be used for. RP2040 datasheet 1.4.3 (UART), 4.9 (ADC), the Pico's own use of 23 to
# 25 and 29; ESP32 datasheet 2.4 and ESP32-S3 datasheet 2: flash and PSRAM, straps, USB, console.
PICO_PINS = frozenset(range(29)) - {23, 24, 25}
CHIPS = {
    "rp2040": {
        "pins": PICO_PINS,
        "tx": {0: {0, 12, 16}, 1: {4, 8, 20}},
        "rx": {0: {1, 13, 17}, 1: {5, 9, 21}},
        "adc": {26, 27, 28},
        "input_only": set(),
        "watchdog_ms": 8388,
    },
    "esp32": {
        "pins": frozenset(range(40)) - {0, 2, 5, 12, 15} - set(range(6, 12)) - {1, 3}
        - {20, 24, 28, 29, 30, 31, 37, 38},
        "tx": None,
        "rx": None,
        "adc": set(),
        "input_only": {34, 35, 36, 39},
        "watchdog_ms": 60000,
    },
    "esp32s3": {
        "pins": frozenset(range(49)) - {0, 3, 45, 46} - set(range(22, 38)) - {19, 20, 43, 44},
        "tx": None,
        "rx": None,
        "adc": set(),
        "input_only": set(),
        "watchdog_ms": 60000,
    },
}  # fmt: skip
CHIPS["rp2350"] = CHIPS["rp2040"] | {"watchdog_ms": 16777}
UARTS_OF = {"rp2040": {0, 1}, "rp2350": {0, 1}, "esp32": {1, 2}, "esp32s3": {1, 2}}  # 0: console


def uses(board):
    """[(pin, what for)] of everything a board lays down."""
    found = []
    for name, (_, tx, rx, enable) in board.UARTS.items():
        found += [(tx, name), (rx, name)] + ([] if enable is None else [(enable, name)])
    for key in ("OUTPUT_PINS", "INPUT_PINS", "PWM_PINS", "ADC_PINS"):
        found += [(pin, key) for pin in getattr(board, key)]
    return [*found, (board.SERVICE_PIN, "SERVICE_PIN")]


def wrong(board):
    """What is wrong with a board, a line each."""
    chip = CHIPS[board.CHIP]
    found = []
    seen = {}
    for pin, use in uses(board):
        if pin in seen:
            found.append(f"{pin}: {use} and {seen[pin]}")
        seen[pin] = use
        if pin not in chip["pins"]:
            found.append(f"{pin}: {use}: not free on {board.CHIP}")
        if pin in chip["input_only"] and use != "INPUT_PINS":
            found.append(f"{pin}: {use}: is an input only")
    for name, (number, tx, rx, _) in board.UARTS.items():
        if number not in UARTS_OF[board.CHIP]:
            found.append(f"{name}: UART {number}")
        if chip["tx"] and (tx not in chip["tx"][number] or rx not in chip["rx"][number]):
            found.append(f"{name}: UART {number} is not at {tx}, {rx}")
    found += [f"{pin}: no ADC" for pin in board.ADC_PINS if pin not in chip["adc"]]
    if board.HAS_ADC_DMA != bool(board.ADC_PINS):
        found.append("HAS_ADC_DMA")
    if board.IDLE_LEVEL not in (0, 1):
        found.append("IDLE_LEVEL: the state without power is not stated")
    if not 1000 <= board.WATCHDOG_MS <= chip["watchdog_ms"]:
        found.append(f"WATCHDOG_MS {board.WATCHDOG_MS}")
    return found


def test_the_boards_are_those_that_are_promised():
    promised = "pico pico_w pico2 pico2_w esp32_devkit esp32_s3 waveshare_s3_relay_6ch"
    assert NAMES == sorted(promised.split())


@pytest.mark.parametrize("board", BOARDS, ids=NAMES)
def test_a_board_uses_no_pin_twice_and_none_that_its_chip_needs(board):
    assert wrong(board) == []
    assert FOLDER.joinpath(board.NAME + ".py").is_file()
    assert board.OUTPUT_PINS and board.UARTS


@pytest.mark.parametrize("board", BOARDS, ids=NAMES)
def test_every_board_says_the_same_things_of_itself(board):
    told = FOLDER.joinpath("__init__.py").read_text()
    keys = {key for key in vars(board) if key.isupper()}
    assert keys == {key for key in vars(BOARDS[0]) if key.isupper()}
    assert all(f"\n{key} " in told for key in keys)


@pytest.mark.parametrize(
    "name, key, value, said",
    [
        ("pico", "SERVICE_PIN", 8, "8: SERVICE_PIN and OUTPUT_PINS"),
        ("pico", "UARTS", {"uart0": (1, 0, 1, None)}, "uart0: UART 1 is not at 0, 1"),
        ("pico", "OUTPUT_PINS", (25,), "25: OUTPUT_PINS: not free on rp2040"),
        ("pico", "ADC_PINS", (6,), "6: no ADC"),
        ("pico", "WATCHDOG_MS", 9000, "WATCHDOG_MS 9000"),
        ("pico2", "IDLE_LEVEL", None, "IDLE_LEVEL: the state without power is not stated"),
        ("esp32_devkit", "OUTPUT_PINS", (12,), "12: OUTPUT_PINS: not free on esp32"),
        ("esp32_devkit", "OUTPUT_PINS", (34,), "34: OUTPUT_PINS: is an input only"),
        ("esp32_devkit", "UARTS", {"uart0": (0, 17, 16, 4)}, "uart0: UART 0"),
        ("waveshare_s3_relay_6ch", "OUTPUT_PINS", (1, 45), "45: OUTPUT_PINS: not free on esp32s3"),
    ],
)
def test_a_wrong_board_is_found(monkeypatch, name, key, value, said):
    board = importlib.import_module(f"firmline.boards.{name}")
    monkeypatch.setattr(board, key, value)
    assert said in wrong(board)


# Machine texts as official builds print them (micropython.org/download), and relatives.
@pytest.mark.parametrize(
    "machine, name",
    [
        ("Raspberry Pi Pico with RP2040", "pico"),
        ("Raspberry Pi Pico W with RP2040", "pico_w"),
        ("Raspberry Pi Pico2 with RP2350", "pico2"),
        ("Raspberry Pi Pico2 with RP2350-RISCV", "pico2"),
        ("Raspberry Pi Pico 2 W with RP2350", "pico2_w"),
        ("Seeed XIAO RP2040 with RP2040", "pico"),
        ("Generic ESP32 module with ESP32", "esp32_devkit"),
        ("Generic ESP32 module with SPIRAM with ESP32", "esp32_devkit"),
        ("Generic ESP32S3 module with ESP32S3", "esp32_s3"),
        ("Generic ESP32S3 module with ESP32-S3", "esp32_s3"),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "esp32_s3"),
        ("Generic ESP32C3 module with ESP32C3", ""),
        ("Generic ESP32S2 module with ESP32S2", ""),
        ("PYBv1.1 with STM32F405RG", ""),
    ],
)
def test_a_build_is_taken_for_its_board(machine, name):
    assert choose.detected(machine) == name


def chosen(tmp_path, interpreter, written, machine):
    """What board() says in a new interpreter: the name and the boards imported, or why not."""
    if written is not None:
        (tmp_path / "board.txt").write_text(written)
    program = (
        "import sys\nfrom firmline.hal import choose\n"
        f"try:\n    print(choose.board({machine!r}).NAME)\n"
        "except OSError as error:\n    print(error)\n"
        "print(sorted(n for n in sys.modules if n.startswith('firmline.boards.')))\n"
    )
    (tmp_path / "program.py").write_text(program)
    paths = {"PYTHONPATH": str(ROOT / "firmware"), "MICROPYPATH": str(ROOT / "firmware")}
    done = subprocess.run(
        [interpreter, "program.py"],
        cwd=tmp_path,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(params=["CPython", "MicroPython"])
def interpreter(request):
    if request.param == "CPython":
        return sys.executable
    import runtimes

    return runtimes.find_micropython()


PICO = "Raspberry Pi Pico with RP2040"


def test_only_the_board_that_it_is_gets_imported(tmp_path, interpreter):
    assert chosen(tmp_path, interpreter, None, PICO) == ["pico", "['firmline.boards.pico']"]


def test_board_txt_decides(tmp_path, interpreter):
    machine = "Generic ESP32S3 module with ESP32-S3"
    said = chosen(tmp_path, interpreter, "waveshare_s3_relay_6ch\n", machine)
    assert said[0] == "waveshare_s3_relay_6ch"
    assert said[1] == "['firmline.boards.waveshare_s3_relay_6ch']"


@pytest.mark.parametrize("name", ["pico 3", "../pico", ".", "__init__", "\x00", "x" * 70])
def test_a_board_that_there_is_not_is_refused_in_one_line(tmp_path, interpreter, name):
    said = chosen(tmp_path, interpreter, name, PICO)
    assert said[0].startswith("board.txt: there is no board ")


def test_a_board_with_another_chip_is_refused(tmp_path, interpreter):
    said = chosen(tmp_path, interpreter, "esp32_s3", PICO)
    assert said[0] == "board.txt: esp32_s3 has an esp32s3, this is an rp2040"


def test_a_chip_without_a_board_is_refused(tmp_path, interpreter):
    said = chosen(tmp_path, interpreter, None, "Generic ESP32C3 module with ESP32C3")
    assert said[0] == "board not known: write its name into board.txt (docs/wiring.md)"
