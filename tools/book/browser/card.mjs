// Renders the card that is shown where somebody links to the book: from
// generated/title/card.svg, which the figures' kit writes, to book/src/card.png.
//
//   npm ci --prefix tools/book/browser && node tools/book/browser/card.mjs

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { launch } from './common.mjs';

const LIMIT = 80_000;
const pages = resolve(dirname(fileURLToPath(import.meta.url)), '../../../book/src');
const svg = readFileSync(join(pages, 'generated/title/card.svg'), 'utf8');

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1200, height: 630 } });
await page.setContent(`<body style="margin:0">${svg}</body>`);
const taken = await page.screenshot({ type: 'png' });
await browser.close();

// The lines of a PNG as they are, each after a zero: the browser writes differences
// to the pixels around, which for a flat drawing pack worse.
function plain(lines, width, bytes) {
    const row = width * bytes + 1, out = Buffer.alloc(lines.length);
    const nearest = (a, b, c) => [a, b, c].reduce((best, v) =>
        Math.abs(a + b - c - v) < Math.abs(a + b - c - best) ? v : best);
    for (let k = 0; k < lines.length; k += 1) {
        const x = k % row, from = k - x;
        if (x === 0) { continue; }
        const left = x > bytes ? out[k - bytes] : 0;
        const above = from > 0 ? out[k - row] : 0;
        const corner = x > bytes && from > 0 ? out[k - row - bytes] : 0;
        out[k] = lines[k] + [0, left, above, (left + above) >> 1,
            nearest(left, above, corner)][lines[from]];
    }
    return out;
}

function packed(png) {
    const chunks = [], pixels = [];
    for (let at = 8; at < png.length;) {
        const length = png.readUInt32BE(at), kind = png.toString('latin1', at + 4, at + 8);
        const data = png.subarray(at + 8, at + 8 + length);
        if (kind === 'IDAT') { pixels.push(data); } else { chunks.push([kind, data]); }
        at += length + 12;
    }
    const [width, bytes] = [png.readUInt32BE(16), png[25] === 6 ? 4 : 3];
    const lines = plain(inflateSync(Buffer.concat(pixels)), width, bytes);
    const image = deflateSync(lines, { level: 9, memLevel: 9 });
    chunks.splice(-1, 0, ['IDAT', image]);
    const written = chunks.map(([kind, data]) => {
        const body = Buffer.concat([Buffer.from(kind, 'latin1'), data]);
        const head = Buffer.alloc(4), tail = Buffer.alloc(4);
        head.writeUInt32BE(data.length);
        tail.writeUInt32BE(crc32(body));
        return Buffer.concat([head, body, tail]);
    });
    return Buffer.concat([png.subarray(0, 8), ...written]);
}

const card = packed(taken);
writeFileSync(join(pages, 'card.png'), card);
console.log(`card.png: ${card.length} bytes`);
process.exit(card.length < LIMIT ? 0 : 1);
