// SPDX-License-Identifier: MIT
// Runs mini.py in the WebAssembly build of MicroPython: 31-bit small integers and the 2^30 ms tick
// wrap of the chips, on the desktop.
//
//     node wasm_run.mjs MICROPYTHON_MJS FIRMWARE DUAL MODULE...
//
// This port collects garbage only between calls from outside, so each test is a call of its own.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const HEAP_BYTES = 16 * 1024 * 1024;
const PYSTACK_BYTES = 64 * 1024;

const [packageFile, firmware, dual, ...modules] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));

function copyTree(memory, from, to) {
  memory.mkdirTree(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    if (entry.name === "__pycache__") continue;
    const [source, target] = [path.join(from, entry.name), `${to}/${entry.name}`];
    if (entry.isDirectory()) copyTree(memory, source, target);
    else memory.writeFile(target, fs.readFileSync(source));
  }
}

async function main() {
  const { loadMicroPython } = await import(pathToFileURL(packageFile).href);
  const mp = await loadMicroPython({
    heapsize: HEAP_BYTES,
    pystack: PYSTACK_BYTES,
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
  });
  copyTree(mp.FS, firmware, "/firmware");
  copyTree(mp.FS, dual, "/dual");
  mp.FS.mkdirTree("/runner");
  mp.FS.writeFile("/runner/mini.py", fs.readFileSync(path.join(here, "mini.py")));
  mp.runPython("import sys\nsys.path[:0] = ['/firmware', '/dual', '/runner']\nimport mini");
  mp.globals.set("modules", modules.join(" "));
  mp.runPython("runner = mini.Runner(modules.split())\nupcoming = runner.upcoming\nmore = True");
  let upcoming = mp.globals.get("upcoming");
  try {
    while (mp.globals.get("more")) {
      mp.runPython("more = runner.step()\nupcoming = runner.upcoming");
      upcoming = mp.globals.get("upcoming");
    }
  } catch (error) {
    console.log(`FAIL ${upcoming}: the runtime died: ${error.message ?? error}`);
    return 1;
  }
  mp.runPython("status = runner.finish()");
  return mp.globals.get("status");
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    console.log(`FAIL wasm_run: ${error.stack ?? error}`);
    process.exitCode = 1;
  },
);
