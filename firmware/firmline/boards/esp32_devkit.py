# SPDX-License-Identifier: MIT
"""ESP32-DevKitC with a WROOM module. CTs need an external metering chip or a Modbus meter.

Not for WROVER modules, which use GPIO16 and 17 themselves. Boot straps (0, 2, 5, 12, 15), flash
(6 to 11) and the console (1, 3) are left alone. Source: ESP32 datasheet, section 2.4.
"""

NAME = "esp32_devkit"
CHIP = "esp32"
UARTS = {"uart0": (1, 17, 16, 4), "uart1": (2, 26, 25, 27)}
OUTPUT_PINS = (18, 19, 21, 22, 23, 32, 33)
IDLE_LEVEL = 0
INPUT_PINS = (34, 35, 36, 39)
PWM_PINS = (14,)
ADC_PINS = ()
SERVICE_PIN = 13
WATCHDOG_MS = 4000
HAS_ADC_DMA = False
HAS_WIFI = True
