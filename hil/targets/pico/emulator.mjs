// SPDX-License-Identifier: MIT
/*
 * The emulated chip as a process of the bench: JSON lines on stdin and stdout.
 *
 *   node emulator.mjs BOOTROM.bin FLASH.bin OPTIONS-JSON
 *
 * {"run": us}                 advances the chip to that time at most; {"t": us, "events": [...]}.
 *                             A run ends early after a "tx", "pin" or "reset" event, so that the
 *                             bench can act on it at its own time. Events: chip.mjs, times in us.
 * {"rx": uart, "t": [us...], "data": hex}
 *                             receives bytes at those times (now, where past); no answer.
 * {"type": hex}               what the host writes to the USB serial port; no answer.
 * {"analog": {input: wave}}    at the converter's inputs from now on (chip.mjs); no answer.
 * {"do": "hang"}               or "powerOff", "powerOn": chip.mjs; no answer.
 * {"cut": n}                  cutAfter(n) of chip.mjs; no answer.
 * {"ints": n}                 {"values": [...] or null}: the array('i') of n entries in the RAM.
 * {"counts": 1}               {overruns, undriven, deaf, flash_writes, slept_us}: chip.py.
 */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Chip } from './chip.mjs';

const [bootromPath, flashPath, optionsText] = process.argv.slice(2);
const stop = { flag: false };
let events = [];
const onEvent = (event) => {
  if (event[0] !== 'text') stop.flag = true;
  event[1] /= 1000;
  events.push(event);
};
const bootrom = new Uint32Array(new Uint8Array(readFileSync(bootromPath)).buffer);
const chip = new Chip(bootrom, readFileSync(flashPath), JSON.parse(optionsText), onEvent);

function run(us) {
  stop.flag = false;
  chip.run(us * 1000, stop);
  const nowUs = chip.nowNs / 1000;
  // Rounding must not leave it short of `us`: whoever asks until it is there would ask for ever.
  const answer = { t: stop.flag ? nowUs : Math.max(us, nowUs), events };
  if (chip.fault) answer.fault = chip.fault;
  events = [];
  return answer;
}

function answerTo(message) {
  if ('run' in message) return run(message.run);
  if ('ints' in message) return { values: chip.findInts(message.ints) };
  if ('counts' in message) {
    return { ...chip.wireCounts(), flash_writes: chip.flashWrites, slept_us: chip.sleptNs / 1000 };
  }
  if ('do' in message) {
    chip[message.do]();
    return null;
  }
  if ('cut' in message) {
    chip.cutAfter(message.cut);
    return null;
  }
  if ('analog' in message) {
    chip.options.analog = message.analog;
    return null;
  }
  if ('type' in message) {
    chip.type([...Buffer.from(message.type, 'hex')]);
    return null;
  }
  const bytes = [...Buffer.from(message.data, 'hex')];
  chip.receive(message.rx, message.t.map((t) => t * 1000), bytes);
  return null;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const answer = answerTo(JSON.parse(line));
  if (answer) process.stdout.write(JSON.stringify(answer) + '\n');
});
