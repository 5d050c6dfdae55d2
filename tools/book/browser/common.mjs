// What the browser tests share: options, a server for the built book, a browser.

import { createServer } from 'node:http';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, extname, join, normalize, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const options = {
    book: resolve(here, '../../../target/book'),
    screenshots: null,
    only: '',
    folder: '/',
};
for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in options) || process.argv[i + 1] === undefined) {
        console.error(`unknown or incomplete option ${process.argv[i]}`);
        process.exit(2);
    }
    options[name] = process.argv[i + 1];
}

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css',
    '.js': 'text/javascript',
    '.wasm': 'application/wasm',
    '.json': 'application/json',
    '.svg': 'image/svg+xml',
    '.png': 'image/png',
    '.woff2': 'font/woff2',
};

export function pagesUnder(dir) {
    const found = [];
    for (const name of readdirSync(dir).sort()) {
        const path = join(dir, name);
        if (statSync(path).isDirectory()) {
            found.push(...pagesUnder(path));
        } else if (extname(name) === '.html' && name !== 'toc.html') {
            found.push(path);
        }
    }
    return found;
}

// Serves a folder; below `folder` only, and with the book's own 404 page, as a host
// of static pages does.
export function serve(dir, folder = '/') {
    const server = createServer((request, response) => {
        const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
        const own = path.startsWith(folder) ? path.slice(folder.length) : '..';
        const file = normalize(join(resolve(dir), own === '' || own.endsWith('/')
            ? own + 'index.html' : own));
        const send = (status, from) => {
            const text = readFileSync(from);
            const type = TYPES[extname(from)] ?? 'application/octet-stream';
            response.writeHead(status, { 'Content-Type': type });
            response.end(text);
        };
        try {
            if (!file.startsWith(resolve(dir) + sep)) {
                throw new Error('outside');
            }
            send(200, file);
        } catch {
            try {
                send(404, join(dir, '404.html'));
            } catch {
                response.writeHead(404).end();
            }
        }
    });
    return new Promise((done) => {
        server.listen(0, '127.0.0.1', () => done(server));
    });
}

// Runs in the page: marks of punctuation that begin a line, each with what is around
// it. Only what follows an element without a space can be parted from it.
export function marksAtLineStarts() {
    const found = [];
    const texts = document.createTreeWalker(
        document.querySelector('main'), NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    let before = null;
    while (texts.nextNode()) {
        const node = texts.currentNode;
        if (node.parentElement.closest(
            '.katex-mathml, pre, svg, script, style, details:not([open])')) { continue; }
        if (/^[,.;:)?!\]”…]/.test(node.data) && before) {
            range.setStart(node, 0);
            range.setEnd(node, 1);
            const mark = range.getBoundingClientRect();
            range.selectNodeContents(before);
            const last = Array.from(range.getClientRects()).at(-1);
            if (last && mark.height > 0 && mark.top >= last.bottom - 2) {
                found.push(`${before.data.slice(-20)} / ${node.data.slice(0, 20)}`);
            }
        }
        if (node.data.trim()) { before = node; }
    }
    return found;
}

export function launch() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
            '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync'],
    });
}
