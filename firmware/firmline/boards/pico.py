# SPDX-License-Identifier: MIT
"""Raspberry Pi Pico: RP2040, no radio. What the names mean: boards/__init__.py.

Also for other RP2040 boards whose pins are the chip's numbers, where these pins are led out.
"""

NAME = "pico"
CHIP = "rp2040"
UARTS = {"uart0": (0, 0, 1, 2), "uart1": (1, 4, 5, 6)}
OUTPUT_PINS = (8, 9, 10, 11, 12, 13, 14, 15)
IDLE_LEVEL = 0
INPUT_PINS = (16, 17, 18, 19, 20, 21)
PWM_PINS = (3, 7)
ADC_PINS = (26, 27, 28)
SERVICE_PIN = 22
WATCHDOG_MS = 4000
HAS_ADC_DMA = True
HAS_WIFI = False
