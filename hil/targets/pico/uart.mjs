// SPDX-License-Identifier: MIT
/*
 * The RP2040's PL011 UART as MicroPython drives it: 32-byte FIFOs with interrupt thresholds, a
 * shift register paced by the programmed baud rate, the receive time-out, the BUSY flag, and the
 * RS-485 transceiver outside the chip. It replaces rp2040js's UART, which has no pacing and raises
 * the transmit interrupt for ever. Registers: RP2040 datasheet 4.2.8; ARM PL011 manual (DDI 0183).
 */

const DR = 0x00, RSR = 0x04, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c, CR = 0x30;
const IFLS = 0x34, IMSC = 0x38, RIS = 0x3c, MIS = 0x40, ICR = 0x44, DMACR = 0x48;
const BUSY = 1 << 3, RXFE = 1 << 4, TXFF = 1 << 5, RXFF = 1 << 6, TXFE = 1 << 7;
const RX_INTERRUPT = 1 << 4, TX_INTERRUPT = 1 << 5, TIMEOUT_INTERRUPT = 1 << 6;
const OVERRUN_INTERRUPT = 1 << 10;
const FIFO_DEPTH = 32;
const LEVELS = [4, 8, 16, 24, 28]; // of 32, coded in IFLS
const TIMEOUT_BITS = 32;
// A frame is written into the data register in one go, far faster than this.
const BURST_GAP_NS = 30_000;

/*
 * Makes `uart` (an RPUART of rp2040js) behave. `line` gets what happens on the wires:
 * line.sent(startNs, bytes) once per burst of writes, startNs being when its first byte may leave.
 * line.maySend() and line.mayHear() are the direction of the transceiver: bytes sent or received
 * against it are lost, and counted.
 */
export function install(uart, mcu, clock, line) {
  const state = {
    control: 0, lineControl: 0, levels: 0x12, mask: 0, raw: 0,
    rx: [], tx: 0, isShifting: false,
    counts: { overruns: 0, undriven: 0, deaf: 0 },
  };
  let burst = [];
  let burstNs = 0;
  const burstEnd = clock.createAlarm(() => {
    const bytes = burst;
    burst = [];
    if (bytes.length) line.sent(burstNs, bytes);
  });
  const shifted = clock.createAlarm(() => {
    state.isShifting = false;
    if (!line.maySend()) state.counts.undriven++;
    shift();
  });
  const rxTimeout = clock.createAlarm(() => {
    if (state.rx.length) state.raw |= TIMEOUT_INTERRUPT;
    update();
  });

  const depth = () => (state.lineControl & 0x10 ? FIFO_DEPTH : 1);
  const txLevel = () => (depth() === 1 ? 0 : LEVELS[state.levels & 7]);
  const rxLevel = () => (depth() === 1 ? 1 : LEVELS[(state.levels >> 3) & 7]);
  const bitNs = () => 1e9 / Math.max(1, uart.baudRate);
  const frameNs = () => {
    const l = state.lineControl;
    return bitNs() * (1 + (5 + ((l >> 5) & 3)) + (l & 2 ? 1 : 0) + (l & 8 ? 2 : 1));
  };

  function update() {
    mcu.setInterrupt(uart.irq, !!(state.raw & state.mask));
  }

  function shift() {
    if (state.isShifting || !state.tx) return;
    state.tx--;
    state.isShifting = true;
    if (state.tx === txLevel()) state.raw |= TX_INTERRUPT;
    if (!line.maySend()) state.counts.undriven++;
    shifted.schedule(frameNs());
    update();
  }

  function write(byte) {
    if (state.tx >= depth()) return;
    if (!burst.length) burstNs = clock.nanos;
    burst.push(byte);
    burstEnd.schedule(BURST_GAP_NS);
    state.tx++;
    if (state.tx > txLevel()) state.raw &= ~TX_INTERRUPT;
    shift();
    update();
  }

  function read() {
    const byte = state.rx.length ? state.rx.shift() : 0;
    if (state.rx.length < rxLevel()) state.raw &= ~RX_INTERRUPT;
    if (!state.rx.length) state.raw &= ~TIMEOUT_INTERRUPT;
    update();
    return byte;
  }

  /** A byte has been received: its stop bit ends now. */
  uart.receive = (byte) => {
    if (!line.mayHear()) {
      state.counts.deaf++;
      return;
    }
    if ((state.control & 0x201) !== 0x201) return;
    if (state.rx.length >= depth()) {
      state.counts.overruns++;
      state.raw |= OVERRUN_INTERRUPT;
    } else {
      state.rx.push(byte);
    }
    if (state.rx.length >= rxLevel()) state.raw |= RX_INTERRUPT;
    rxTimeout.schedule(TIMEOUT_BITS * bitNs());
    update();
  };
  uart.counts = state.counts;
  uart.frameNs = frameNs;

  uart.readUint32 = (offset) => {
    switch (offset) {
      case DR: return read();
      case RSR: return 0;
      case FR:
        return (state.isShifting || state.tx ? BUSY : 0) | (state.tx ? 0 : TXFE) |
          (state.tx >= depth() ? TXFF : 0) | (state.rx.length ? 0 : RXFE) |
          (state.rx.length >= depth() ? RXFF : 0);
      case IBRD: return uart.intDivisor;
      case FBRD: return uart.fracDivisor;
      case LCR_H: return state.lineControl;
      case CR: return state.control;
      case IFLS: return state.levels;
      case IMSC: return state.mask;
      case RIS: return state.raw;
      case MIS: return state.raw & state.mask;
      default: return 0;
    }
  };
  uart.writeUint32 = (offset, value) => {
    switch (offset) {
      case DR: write(value & 0xff); break;
      case IBRD: uart.intDivisor = value & 0xffff; break;
      case FBRD: uart.fracDivisor = value & 0x3f; break;
      case LCR_H: state.lineControl = value & 0xff; break;
      case CR: state.control = value & 0xffff; break;
      case IFLS: state.levels = value & 0x3f; break;
      case IMSC: state.mask = value & 0x7ff; update(); break;
      case ICR: state.raw &= ~value; update(); break;
      case DMACR: break;
    }
  };
}
