# SPDX-License-Identifier: MIT
"""Waveshare ESP32-S3-Relay-6CH: six relays (COM, NO, NC) behind optocouplers, isolated RS-485.

Relays CH1 to CH4; CH5 and CH6 are on the boot straps GPIO45 and 46, low in reset and not used
here. One RS-485 port, auto-direction: no second one for a head-end. Its build is that of any
ESP32-S3: board.txt has to name it.

Sources: WS_GPIO.h of the maker's demo (TXD1 17, RXD1 18, CH1 to CH6 = 1, 2, 41, 42, 45, 46, high
is on) and devices.esphome.io/devices/waveshare-6ch-relay, which agree. The service pin is one of
the Pico-style header, after public code that uses GPIO4 there: less sure. Never run by us.
"""

NAME = "waveshare_s3_relay_6ch"
CHIP = "esp32s3"
UARTS = {"uart0": (1, 17, 18, None)}
OUTPUT_PINS = (1, 2, 41, 42)
IDLE_LEVEL = 0
INPUT_PINS = ()
PWM_PINS = ()
ADC_PINS = ()
SERVICE_PIN = 4
WATCHDOG_MS = 4000
HAS_ADC_DMA = False
HAS_WIFI = True
