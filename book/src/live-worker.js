// The worker of live.js: it keeps the module. A question is words, an answer is words;
// src/lib.rs of tools/live lists them.
'use strict';
let module = null, wasm = null, queue = Promise.resolve();
const files = new Map(), none = new Proxy(() => none, { get: () => none }); // never called
const bytes = (url) => fetch(url, { cache: 'no-cache' }) // served
    .then((r) => r.ok ? r.arrayBuffer() : Promise.reject(new Error(r.status + ' ' + url)))
    .then((buffer) => new Uint8Array(buffer));
const call = function (words) {
    const parts = words.map((w) => typeof w === 'string' ? new TextEncoder().encode(w) : w);
    const size = parts.reduce((sum, p) => sum + p.length + 1, -1);
    const to = wasm.question(size), memory = new Uint8Array(wasm.memory.buffer, to, size);
    parts.reduce((at, p) => { memory.set(p, at); return at + p.length + 1; }, 0);
    const length = wasm.ask(words.length);
    const text = new Uint8Array(wasm.memory.buffer, wasm.answer(), length);
    return new TextDecoder().decode(text).split('\0');
};
const answer = async function ({ words, root, file }) {
    try {
        const url = root + 'generated/live.wasm';
        module = module || await WebAssembly.compile(await bytes(url));
        if (!wasm) {
            wasm = (await WebAssembly.instantiate(module, none)).exports;
            for (const given of files) { call(['give', ...given]); }
        }
        if (file && !files.has(file)) {
            files.set(file, await bytes(root + file));
            call(['give', file, files.get(file)]);
        }
        postMessage(words.length ? call(words) : words);
    } catch (error) {
        // What trapped is started anew, with the next question.
        if (error instanceof WebAssembly.RuntimeError) { wasm = null; }
        postMessage(['error: ' + error.message]);
    }
};
onmessage = ({ data }) => { queue = queue.then(() => answer(data)); };
