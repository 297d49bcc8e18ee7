# SPDX-License-Identifier: MIT
"""Raspberry Pi Pico 2: RP2350, pin for pin as the Pico.

On silicon A2 an input with a pull-down may hang at 2 V (erratum RP2350-E9): each output pin needs
8.2 kOhm or less to ground (docs/wiring.md).
"""

NAME = "pico2"
CHIP = "rp2350"
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
