// Holds the module against the native build: every live figure, at four places of
// its knobs, has the same SVG and the same read-out, and drills set the same problems.
//
//   cargo run --quiet -p live --example answers | node compare.mjs MODULE
//
// Standard input has a question and its answer a line, as JSON. Words have to be
// equal, numbers nearly: exp and tanh of two platforms differ in their last digits,
// and what is written is rounded.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const pages = resolve(dirname(fileURLToPath(import.meta.url)), '../../../book/src');
const path = process.argv[2] ?? join(pages, 'generated/live.wasm');
const bytes = readFileSync(path);
const none = new Proxy(() => none, { get: () => none });
const { instance } = await WebAssembly.instantiate(bytes, none);
const wasm = instance.exports;

function ask(words) {
    const parts = words.map((w) =>
        typeof w === 'string' ? new TextEncoder().encode(w) : w);
    const size = parts.reduce((sum, p) => sum + p.length + 1, -1);
    const start = wasm.question(size), memory = new Uint8Array(wasm.memory.buffer, start, size);
    parts.reduce((at, p) => { memory.set(p, at); return at + p.length + 1; }, 0);
    const length = wasm.ask(words.length);
    const answer = new Uint8Array(wasm.memory.buffer, wasm.answer(), length);
    return new TextDecoder().decode(answer).split('\0');
}

const NUMBER = /[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/g;
const value = (text) => Number(text.replace('−', '-'));

// How much two numbers may differ: in an SVG a tenth of a unit, in a read-out one in
// the last digit that is written.
const last = (text) => 1.001 * 10 ** -(text.split('.')[1]?.match(/^\d*/)[0].length ?? 0);

// The first place where two texts disagree.
function differ(native, wasm, line) {
    if (native === wasm) { return null; }
    const [words, others] = [native, wasm].map((t) => t.replace(NUMBER, '#'));
    if (words !== others) {
        const at = [...words].findIndex((c, k) => c !== others[k]);
        return `${words.slice(at - 20, at + 40)} / ${others.slice(at - 20, at + 40)}`;
    }
    const texts = native.match(NUMBER);
    const [a, b] = [texts, wasm.match(NUMBER)].map((t) => t.map(value));
    const at = a.findIndex((x, k) => Math.abs(x - b[k])
        > (line ? last(texts[k]) : 0.1001 + 1e-3 * Math.max(Math.abs(x), Math.abs(b[k]))));
    return at < 0 ? null : `${a[at]} / ${b[at]}`;
}

let [asked, equal] = [0, 0];
let one = null;
const faults = [];
const slow = new Map();
const given = new Set();
for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    const { question, answer, file } = JSON.parse(line);
    if (file && !given.has(file)) {
        ask(['give', file, readFileSync(join(pages, file))]);
        given.add(file);
    }
    const began = performance.now();
    const got = ask(question);
    const took = performance.now() - began;
    if (/^(draw|run|step)$/.test(question[0])) {
        slow.set(question[1], Math.max(took, slow.get(question[1]) ?? 0));
    }
    asked += 1;
    one ??= question;
    equal += Number(got.join() === answer.join());
    const fault = answer[0].startsWith('error: ') ? answer[0]
        : answer.map((text, k) => differ(text, got[k] ?? '', k > 0)).find(Boolean);
    if (fault) { faults.push(`${question.join(' ')}: native / wasm: ${fault}`); }
}
// Two hundred more, and no memory is taken for them.
if (one) {
    const size = wasm.memory.buffer.byteLength;
    for (let k = 0; k < 200; k += 1) { ask(one); }
    if (wasm.memory.buffer.byteLength !== size) { faults.push('the memory grows'); }
}
for (const [name, ms] of slow) { console.log(`${ms.toFixed(1).padStart(7)} ms  ${name}`); }
for (const fault of faults) { console.log(fault); }

// What a reader waits for: 350 kB for the first eleven chapters, 10 kB for each after.
const zipped = gzipSync(bytes, { level: 9 }).length;
const chapters = new Set(Array.from(slow.keys(), (name) => name.replace(/\/[^/]*$/, ''))).size;
const limit = 1000 * (350 + 10 * Math.max(chapters - 11, 0));
console.log(`${bytes.length} bytes, ${zipped} gzipped, of ${limit} for ${chapters} chapters`);
if (zipped > limit) { faults.push('the module is too large'); console.log(faults.at(-1)); }
console.log(`${asked} asked, ${equal} equal to the byte, ${faults.length} differ`);
process.exit(faults.length > 0 || asked === 0 ? 1 : 0);
