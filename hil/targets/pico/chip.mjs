// SPDX-License-Identifier: MIT
/*
 * One RP2040 with its flash, on the time of its own clock: rp2040js plus what it does not model
 * (the UARTs of uart.mjs, writes to flash, pulled-up inputs, resets that keep the flash).
 *
 * Time is nanoseconds since the chip was first powered; a reset does not set it back.
 * What is not modelled: misses of the flash cache (every fetch takes as long as one from RAM), the
 * second core, and the first milliseconds in the boot ROM.
 */

import { GPIOPinState, RP2040, USBCDC } from 'rp2040js';
import { install } from './uart.mjs';

const FLASH = 0x10000000;
const RAM = 0x20000000;
const WATCHDOG = 0x40058;
const BREAKPOINT = 0xbe00;
const RETURN = 0x4770; // bx lr
// Typical times of a W25Q16JV: sector erase 45 ms, page program 0.4 ms (datasheet 9.6).
const ERASE_NS = 45e6;
const PROGRAM_NS = 0.4e6;
const SECTOR = 4096;
const PAGE = 256;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export class Chip {
  /*
   * flash: Uint8Array of the image. options: uarts [{enable: pin or null}], watch: pins whose
   * changes are events, analog: connectAdc. `onEvent(event)` gets ["tx", t, uart, hex], ["pin", t, pin, level or null
   * when not driven], ["text", t, text], ["reset", t, why].
   */
  constructor(bootrom, flash, options, onEvent) {
    this.bootrom = bootrom;
    this.options = options;
    this.onEvent = onEvent;
    this.flash = flash;
    this.originNs = 0;
    this.flashWrites = 0;
    this.cutAt = 0;
    this.sleptNs = 0;
    this.counts = { overruns: 0, undriven: 0, deaf: 0 };
    this.levels = new Map(options.watch.map((pin) => [pin, null]));
    this.powerUp(0, [0, 0, 0, 0, 0, 0, 0, 0]);
  }

  get nowNs() {
    return this.originNs + this.clock.nanos;
  }

  powerUp(reason, scratch) {
    const mcu = new RP2040();
    this.clock = mcu.clock;
    this.mcu = mcu;
    mcu.logger = quiet;
    mcu.loadBootrom(this.bootrom);
    mcu.flash.set(this.flash);
    this.flash = mcu.flash;
    this.resetWhy = null;
    this.isHung = false;
    this.foundAt = 0;
    this.patchFlashRoutines();
    mcu.uart.forEach((uart, number) => this.connectUart(uart, number));
    mcu.gpio.forEach((pin, number) => this.connectPin(pin, number));
    this.connectAdc(mcu.adc);
    const watchdog = mcu.peripherals[WATCHDOG];
    watchdog.reason = reason;
    watchdog.scratchData.set(scratch);
    watchdog.onWatchdogTrigger = () => {
      watchdog.timer.enable = false; // or its alarm would fire for ever at this very instant
      this.resetWhy = watchdog.reason === 1 ? 'watchdog' : 'commanded';
    };
    const usb = new USBCDC(mcu.usbCtrl);
    const decoder = new TextDecoder();
    usb.onSerialData = (bytes) => {
      this.onEvent(['text', this.nowNs, decoder.decode(bytes, { stream: true })]);
    };
    // A host that has nothing to say says nothing; rp2040js would send empty packets for ever, and
    // keep the chip awake with them. So the chip's question waits for what `type` brings.
    const answer = mcu.usbCtrl.onEndpointRead;
    this.usb = usb;
    this.sayMore = null;
    mcu.usbCtrl.onEndpointRead = (endpoint, size) => {
      if (endpoint !== usb.outEndpoint || usb.txFIFO.itemCount) answer(endpoint, size);
      else this.sayMore = () => answer(endpoint, size);
    };
    mcu.core.PC = FLASH;
  }

  connectUart(uart, number) {
    const enable = this.options.uarts[number]?.enable ?? null;
    const chip = this;
    const { mcu } = this;
    const isEnabled = () => mcu.gpio[enable].value === GPIOPinState.High;
    install(uart, mcu, this.clock, {
      sent(startNs, bytes) {
        chip.onEvent(['tx', chip.originNs + startNs, number, Buffer.from(bytes).toString('hex')]);
      },
      maySend: () => enable === null || isEnabled(),
      mayHear: () => enable === null || !isEnabled(),
    });
  }

  /*
   * options.analog: input 0..3 -> [counts of the offset, counts of the amplitude, Hz, degrees late].
   * A conversion sees the instant at which it starts. rp2040js keeps the input in force from
   * changing (its setter masks the number with a shift), so that a round of several never turns.
   */
  connectAdc(adc) {
    Object.defineProperty(adc, 'activeChannel', {
      get: () => (adc.cs >> 12) & 7,
      set: (input) => {
        adc.cs = (adc.cs & ~(7 << 12)) | ((input & 7) << 12);
      },
    });
    adc.onADCRead = (input) => {
      const [offset, amplitude, hz, late] = this.options.analog?.[input] ?? [0, 0, 0, 0];
      const angle = 2 * Math.PI * ((hz * this.nowNs) / 1e9 - late / 360);
      const counts = Math.round(offset + amplitude * Math.sin(angle));
      adc.channelValues[input] = Math.min(4095, Math.max(0, counts));
      adc.currentChannel = input;
      adc.sampleAlarm.schedule(adc.sampleTime * 1000);
    };
  }

  connectPin(pin, number) {
    pin.addListener((state) => {
      if (state === GPIOPinState.InputPullUp) pin.setInputValue(true);
      else if (state === GPIOPinState.InputPullDown) pin.setInputValue(false);
      else if (state <= GPIOPinState.High) pin.setInputValue(state === GPIOPinState.High);
      if (this.levels.has(number)) this.setLevel(number, state <= GPIOPinState.High ? state : null);
    });
  }

  setLevel(number, level) {
    if (this.levels.get(number) === level) return;
    this.levels.set(number, level);
    this.onEvent(['pin', this.nowNs, number, level]);
  }

  /** The boot ROM's flash routines become breakpoints that do their work here. */
  patchFlashRoutines() {
    const rom = new Uint16Array(this.mcu.bootrom.buffer);
    const routines = {
      IF: () => {}, EX: () => {}, FC: () => {}, CX: () => {},
      RE: (r) => this.erase(r[0], r[1]),
      RP: (r) => this.program(r[0], r[1], r[2]),
    };
    const handlers = [];
    for (let entry = rom[0x14 / 2] / 2; rom[entry]; entry += 2) {
      const name = String.fromCharCode(rom[entry] & 0xff, rom[entry] >> 8);
      if (!(name in routines)) continue;
      const address = (rom[entry + 1] & ~1) / 2;
      rom[address] = BREAKPOINT | handlers.length;
      rom[address + 1] = RETURN;
      handlers.push(routines[name]);
    }
    this.mcu.onBreak = (code) => {
      if (code >= handlers.length || this.mcu.core.PC >= 0x4000 + 2) {
        this.fault = `breakpoint ${code} at ${this.mcu.core.PC.toString(16)}`;
        return;
      }
      handlers[code](this.mcu.core.registers);
    };
  }

  /** How many of `count` bytes an erase or a program gets done: half where the supply goes. */
  written(count) {
    this.flashWrites++;
    if (this.flashWrites !== this.cutAt) return count;
    this.resetWhy = 'power';
    return count / 2;
  }

  erase(address, count) {
    this.mcu.flash.fill(0xff, address, address + this.written(count));
    this.stallNs = (count / SECTOR) * ERASE_NS;
  }

  program(address, source, count) {
    for (let k = this.written(count) - 1; k >= 0; k--) {
      this.mcu.flash[address + k] &= this.mcu.readUint8(source + k);
    }
    this.stallNs = (count / PAGE) * PROGRAM_NS;
  }

  receive(uart, tNs, bytes) {
    const target = this.mcu.uart[uart];
    bytes.forEach((byte, k) => {
      const alarm = this.clock.createAlarm(() => target.receive(byte));
      alarm.schedule(Math.max(0, tNs[k] - this.nowNs));
    });
  }

  /** The host writes to the chip's USB serial port; at most 512 bytes wait there. */
  type(bytes) {
    bytes.forEach((byte) => this.usb.sendSerialByte(byte));
    const { sayMore } = this;
    this.sayMore = null;
    if (sayMore) sayMore();
  }

  /*
   * Where MicroPython keeps an array('i') of `count` entries: {type, typecode | free << 8, count,
   * items}, as py/objarray.h has it. Read as a debugger would, without the chip's help.
   */
  findInts(count) {
    const ram = new Uint32Array(this.mcu.sram.buffer);
    const isArray = (at) => at > 0 && ram[at] === 0x69 && ram[at + 1] === count &&
      ram[at - 1] >>> 24 === FLASH >>> 24 && ram[at + 2] >>> 20 === RAM >>> 20;
    if (!isArray(this.foundAt)) {
      this.foundAt = 0;
      for (let at = 1; at < ram.length - 2 && !this.foundAt; at++) if (isArray(at)) this.foundAt = at;
    }
    if (!this.foundAt) return null;
    const start = (ram[this.foundAt + 2] - RAM) >> 2;
    return [...new Int32Array(this.mcu.sram.buffer, start * 4, count)];
  }

  wireCounts() {
    const counts = { ...this.counts };
    for (const uart of this.mcu.uart) {
      for (const name of Object.keys(this.counts)) counts[name] += uart.counts[name];
    }
    return counts;
  }

  /** Runs until nowNs is untilNs, or until shouldStop() after an event. */
  run(untilNs, shouldStop) {
    for (;;) {
      const { clock, mcu } = this;
      const { core } = mcu;
      const endNs = untilNs - this.originNs;
      const cycleNs = 1e9 / mcu.clkSys;
      while (clock.nanosCounter < endNs && !this.resetWhy && !shouldStop.flag) {
        if (core.waiting || this.isHung) {
          const alarm = clock.nextAlarm;
          const nextNs = alarm ? Math.min(alarm.nanos, endNs) : endNs;
          const ns = Math.max(0, nextNs - clock.nanosCounter);
          if (!this.isHung) this.sleptNs += ns;
          clock.tick(ns);
          continue;
        }
        let ns = core.executeInstruction() * cycleNs;
        if (this.stallNs) {
          ns += this.stallNs;
          this.stallNs = 0;
        }
        const target = clock.nanosCounter + ns;
        const alarm = clock.nextAlarm;
        if (alarm === null || alarm.nanos > target) clock.nanosCounter = target;
        else clock.tick(ns);
      }
      if (!this.resetWhy) return;
      this.reset();
      if (shouldStop.flag) return;
    }
  }

  /** The core executes nothing from now on; what runs by itself, as timers and pins, goes on. */
  hang() {
    this.isHung = true;
  }

  /** No supply until powerOn. The flash keeps what it has, nothing else does. */
  powerOff() {
    this.resetWhy = 'power';
    this.reset();
  }

  /** The supply goes by itself in the middle of the n-th erase or program from now on. */
  cutAfter(n) {
    this.cutAt = this.flashWrites + n;
  }

  powerOn() {
    const tNs = this.nowNs;
    this.originNs = tNs;
    this.powerUp(0, [0, 0, 0, 0, 0, 0, 0, 0]);
  }

  reset() {
    const why = this.resetWhy;
    const watchdog = this.mcu.peripherals[WATCHDOG];
    this.counts = this.wireCounts();
    const tNs = this.nowNs;
    for (const pin of this.levels.keys()) this.setLevel(pin, null);
    this.onEvent(['reset', tNs, why]);
    this.originNs = tNs;
    this.powerUp(watchdog.reason, [...watchdog.scratchData]);
    this.isHung = why === 'power';
  }
}
