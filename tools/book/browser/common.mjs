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

export function serve(dir) {
    const server = createServer((request, response) => {
        const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
        const file = normalize(join(dir, path.endsWith('/')
            ? path + 'index.html' : path));
        try {
            if (!file.startsWith(resolve(dir) + sep)) {
                throw new Error('outside');
            }
            const text = readFileSync(file);
            const type = TYPES[extname(file)] ?? 'application/octet-stream';
            response.writeHead(200, { 'Content-Type': type });
            response.end(text);
        } catch {
            response.writeHead(404).end();
        }
    });
    return new Promise((done) => {
        server.listen(0, '127.0.0.1', () => done(server));
    });
}

export function launch() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
            '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync'],
    });
}
