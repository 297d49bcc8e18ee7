# SPDX-License-Identifier: MIT
"""ESP32-DevKitC: what it has and where. CTs need an external metering chip or a Modbus meter."""

NAME = "esp32-devkit"
# port name in the configuration: (UART number, TX pin, RX pin, driver-enable pin or None)
UARTS = {"uart0": (1, 17, 16, 4), "uart1": (2, 26, 25, 27)}
OUTPUT_PINS = (18, 19, 21, 22, 23, 32, 33)
WATCHDOG_MS = 4000
SERVICE_PIN = 13
