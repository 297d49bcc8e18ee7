# SPDX-License-Identifier: MIT
"""Boards as data: what each has and where. hal/choose.py imports the one board that it runs on.

NAME         the module's name; what board.txt may say
CHIP         "rp2040", "rp2350", "esp32" or "esp32s3"
UARTS        port name of the configuration -> (UART number, TX, RX, driver enable); None in place
             of the pin: the transceiver finds its direction by itself
OUTPUT_PINS  relays and trip outputs; nothing else may be switched
IDLE_LEVEL   of an output pin, 0 or 1: where nothing is on. boot.py and a failure pull it there;
             docs/wiring.md says what holds it without power
INPUT_PINS   may read a relay back: an auxiliary contact to ground, closed while the relay is on
PWM_PINS     may carry a control pilot
ADC_PINS     may carry a current or voltage transformer; in the order of the converter's inputs
SERVICE_PIN  to ground at power-up: no watchdog, so that files can be copied
WATCHDOG_MS  the watchdog's time; an RP2040 allows 8,388
HAS_ADC_DMA  the converter can sample by itself (hal/rp2_adc.py)
HAS_WIFI     there is a radio

tests/host/test_boards.py holds every board against what its chip allows.
"""
