// The built book as a host shows it, below a folder: nothing is asked for elsewhere,
// every link leads somewhere, the search finds, live figures move, a lost reader is
// led back, text stays where it is, and no line begins with a comma.
//
//   cargo book build --site-url /sub/path/ --dest-dir target/book-hosted
//   node hosted.mjs --book target/book-hosted --folder /sub/path/ [--only TEXT]

import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { launch, marksAtLineStarts, options, pagesUnder, serve } from './common.mjs';

// A page whose text moves more than this while it loads is called unstable.
const LARGEST_SHIFT = 0.05;
const WIDTHS = [390, 820, 1100, 1440];

const server = await serve(options.book, options.folder);
const host = `http://127.0.0.1:${server.address().port}`;
const root = host + options.folder;
const browser = await launch();
const failures = [];
let tried = 0;

function check(what, ok, seen = '') {
    tried += 1;
    if (!ok) { failures.push(`not so: ${what} ${seen}`); }
}

// A page that notes what goes wrong; a status of 404 is expected of `lost` only.
async function open(url, width, lost = '') {
    const page = await browser.newPage({
        viewport: { width, height: 900 }, reducedMotion: 'reduce',
    });
    page.faults = [];
    await page.addInitScript(() => {
        window.print = () => {};
        window.shifts = 0;
        new PerformanceObserver((list) => {
            for (const e of list.getEntries()) {
                if (!e.hadRecentInput) { window.shifts += e.value; }
            }
        }).observe({ type: 'layout-shift', buffered: true });
    });
    page.on('pageerror', (e) => page.faults.push(`script: ${e.message}`));
    page.on('request', (r) => {
        if (!/^(data|blob):/.test(r.url()) && !r.url().startsWith(root)) {
            page.faults.push(`asks for ${r.url()}`);
        }
    });
    page.on('response', (r) => {
        if (r.status() >= 400 && r.url() !== lost) {
            page.faults.push(`${r.status()} ${r.url()}`);
        }
    });
    await page.goto(url, { waitUntil: 'load' });
    await page.evaluate(() => document.fonts.ready);
    return page;
}

const names = pagesUnder(options.book)
    .map((path) => relative(options.book, path).split(sep).join('/'))
    .filter((name) => !['print.html', '404.html'].includes(name)
        && name.includes(options.only));
const links = new Map();
const shifts = [];
for (const name of names) {
    for (const width of WIDTHS) {
        const page = await open(root + name, width);
        for (const mark of await page.evaluate(marksAtLineStarts)) {
            page.faults.push(`a line begins with a mark: ${mark}`);
        }
        // On a busy machine the font may come late once: the best of three loads.
        let shift = await page.evaluate(() => window.shifts);
        for (let i = 0; i < 2 && shift >= LARGEST_SHIFT; i += 1) {
            const again = await open(root + name, width);
            shift = Math.min(shift, await again.evaluate(() => window.shifts));
            await again.close();
        }
        shifts.push([shift, `${name} [${width}]`]);
        if (shift >= LARGEST_SHIFT) {
            page.faults.push(`the text moves by ${shift.toFixed(3)}`);
        }
        if (width === WIDTHS.at(-1)) {
            const all = await page.evaluate(() => Array.from(
                document.querySelectorAll('a[href], link[rel="prev"], link[rel="next"]'),
                // In a drawing an address is an object.
                (a) => a.href.baseVal === undefined ? a.href
                    : new URL(a.href.baseVal, document.baseURI).href));
            for (const url of all) {
                if (!links.has(url)) { links.set(url, name); }
            }
        }
        check(`${name} [${width}] is sound`, page.faults.length === 0,
            Array.from(new Set(page.faults)).join('; '));
        await page.close();
    }
}

// Links, asked for one by one; a fragment has to be there.
const texts = new Map();
for (const [url, from] of links) {
    if (!url.startsWith(host)) { continue; }
    const [address, fragment] = url.split('#');
    if (!texts.has(address)) {
        const answer = address.startsWith(root) ? await fetch(address) : null;
        texts.set(address, answer?.ok ? await answer.text() : null);
    }
    const text = texts.get(address);
    const there = text !== null && (!fragment
        || text.includes(`id="${decodeURIComponent(fragment)}"`));
    check(`${from} leads to ${url}`, there);
}

// The search, from a page that is not at the top.
const deep = names.find((name) => name.includes('/'));
if (deep) {
    const page = await open(root + deep, 1280);
    await page.keyboard.press('/');
    await page.keyboard.type('transpose');
    const hit = page.locator('#mdbook-searchresults li a').first();
    await hit.waitFor({ timeout: 10000 }).catch(() => {});
    check('the search finds a word', await hit.count() > 0);
    if (await hit.count() > 0) {
        const said = await page.locator('#mdbook-searchresults li').allTextContents();
        check('no snippet has TeX', !said.some((t) => /\\[a-z]{2,}/.test(t)),
            said.find((t) => /\\[a-z]{2,}/.test(t)));
        await hit.click();
        await page.waitForLoadState('load');
        check('what it finds is there', page.url().startsWith(root)
            && page.faults.length === 0, page.faults.join('; '));
    }
    await page.close();
}

// A live figure answers to a slider.
const live = names.find((name) => readFileSync(join(options.book, name), 'utf8')
    .includes('data-live='));
if (live) {
    const page = await open(root + live, 1280);
    const figure = page.locator('figure:has(> form.live)').first();
    await figure.scrollIntoViewIfNeeded();
    await figure.and(page.locator('[data-ready]')).waitFor({ timeout: 20000 })
        .catch(() => {});
    const said = figure.locator('.said');
    const before = await said.textContent({ timeout: 5000 }).catch(() => null);
    await figure.locator('form.live [type="range"]').first()
        .press('End', { timeout: 5000 }).catch(() => {});
    await page.waitForFunction(([f, text]) => f.textContent !== text,
        [await said.elementHandle(), before], { timeout: 10000 }).catch(() => {});
    const after = await said.textContent().catch(() => null);
    check(`${live}: a live figure moves`, before !== null && before !== after, after);
    check(`${live}: and asks nobody else`, page.faults.length === 0,
        page.faults.join('; '));
    await page.close();
}

// A lost reader, two folders down, sees a page with its styles and a way back.
const lost = `${root}no/such/page.html`;
const page = await open(lost, 1280, lost);
check('the 404 page has its files', page.faults.length === 0, page.faults.join('; '));
const back = await page.locator('main a[href], #mdbook-sidebar a[href]').evaluateAll(
    (all) => all.map((a) => a.href));
check('and links', back.length > 0);
for (const url of new Set(back)) {
    const answer = await fetch(url.split('#')[0]);
    check(`the 404 page leads to ${url}`, url.startsWith(root) && answer.ok);
}
await page.close();
await browser.close();
server.close();

shifts.sort((a, b) => b[0] - a[0]);
for (const [shift, where] of shifts.slice(0, 3)) {
    console.log(`${shift.toFixed(3)} moved while ${where} loaded`);
}
for (const failure of failures) { console.log(failure); }
console.log(`${tried - failures.length} passed, ${failures.length} failed`);
process.exit(failures.length > 0 || names.length === 0 ? 1 : 0);
