# SPDX-License-Identifier: MIT
"""Raspberry Pi Pico (RP2040) and Pico 2: what it has and where. See docs/wiring.md."""

NAME = "pico"
# port name in the configuration: (UART number, TX pin, RX pin, driver-enable pin or None)
UARTS = {"uart0": (0, 0, 1, 2), "uart1": (1, 4, 5, 6)}
OUTPUT_PINS = (8, 9, 10, 11, 12, 13, 14, 15)  # relays and trip outputs; idle level is "off"
WATCHDOG_MS = 4000  # longest the chip allows is 8,388
SERVICE_PIN = 22  # to ground at power-up: no watchdog, so that files can be copied
