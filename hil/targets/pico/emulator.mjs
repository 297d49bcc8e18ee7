// SPDX-License-Identifier: MIT
/*
 * The emulated chip as a process of the bench: JSON lines on stdin and stdout.
 *
 *   node emulator.mjs BOOTROM.bin FLASH.bin OPTIONS-JSON
 *
 * In: {"run": us} advances the chip to that time at most. {"rx": uart, "t": [us...], "data": hex}
 * receives bytes at those times (at once where they are past); it has no answer.
 * Out, for each run: {"t": us, "events": [...]}. A run ends early after a "tx", "pin" or "reset"
 * event, so that the bench can act on it at its own time. Events: see chip.mjs, times in us.
 */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Chip } from './chip.mjs';

const [bootromPath, flashPath, optionsText] = process.argv.slice(2);
const bootromBytes = readFileSync(bootromPath);
const bootrom = new Uint32Array(
  bootromBytes.buffer.slice(bootromBytes.byteOffset, bootromBytes.byteOffset + bootromBytes.length),
);
const stop = { flag: false };
let events = [];
const chip = new Chip(bootrom, readFileSync(flashPath), JSON.parse(optionsText), (event) => {
  if (event[0] !== 'text') stop.flag = true;
  event[1] /= 1000;
  events.push(event);
});

function run(us) {
  stop.flag = false;
  chip.run(us * 1000, stop);
  const answer = { t: chip.nowNs / 1000, events };
  if (chip.fault) answer.fault = chip.fault;
  events = [];
  process.stdout.write(JSON.stringify(answer) + '\n');
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if ('run' in message) run(message.run);
  else chip.receive(message.rx, message.t.map((t) => t * 1000), [...Buffer.from(message.data, 'hex')]);
});
