# SPDX-License-Identifier: MIT
"""ESP32-S3-DevKitC-1. CTs need an external metering chip or a Modbus meter.

Boot straps (0, 3, 45, 46), flash and PSRAM (26 to 37), USB (19, 20), JTAG (39 to 42), the console
(43, 44) and the LED (38, 48) are left alone. Source: ESP32-S3 datasheet, section 2.
"""

NAME = "esp32_s3"
CHIP = "esp32s3"
UARTS = {"uart0": (1, 17, 18, 8), "uart1": (2, 15, 16, 7)}
OUTPUT_PINS = (4, 5, 6, 9, 10, 11, 12, 13)
IDLE_LEVEL = 0
INPUT_PINS = (1, 2)
PWM_PINS = (14,)
ADC_PINS = ()
SERVICE_PIN = 21
WATCHDOG_MS = 4000
HAS_ADC_DMA = False
HAS_WIFI = True
