// Moves every live figure of the built book in headless Chromium and says what is wrong.
//
//   node live.mjs [--book DIR] [--screenshots DIR] [--only TEXT]

import { mkdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { launch, options, pagesUnder, serve } from './common.mjs';

const server = await serve(options.book);
const origin = `http://127.0.0.1:${server.address().port}/`;
const browser = await launch();
const failures = [];
let tried = 0;

async function open(view, url, more = {}) {
    const context = await browser.newContext({
        viewport: { width: view.width, height: 900 }, ...more,
    });
    await context.addInitScript((theme) => {
        try { localStorage.setItem('mdbook-theme', theme); } catch { /* file:// */ }
        window.print = () => {};
        window.shifts = 0;
        new PerformanceObserver((list) => {
            for (const e of list.getEntries()) {
                if (!e.hadRecentInput) { window.shifts += e.value; }
            }
        }).observe({ type: 'layout-shift', buffered: true });
    }, view.theme);
    const page = await context.newPage();
    page.faults = [];
    page.on('console', (m) => {
        if (['error', 'warning'].includes(m.type())) { page.faults.push(m.text()); }
    });
    page.on('pageerror', (e) => page.faults.push(e.message));
    await page.goto(url, { waitUntil: 'load' });
    return page;
}

function check(what, ok, seen = '') {
    tried += 1;
    if (!ok) { failures.push(`not so: ${what} ${seen}`); }
}

// What a reader of a figure sees and hears.
const state = (figure) => figure.evaluate((f) => [
    f.querySelector('svg').outerHTML.replace(/<title.*<\/desc>/s, ''),
    f.querySelector('.said').textContent]);

async function changes(figure, before, parts = [0, 1]) {
    const end = Date.now() + 10000;
    while (Date.now() < end) {
        const now = await state(figure);
        if (parts.every((k) => now[k] !== before[k])) { return now; }
        await new Promise((done) => { setTimeout(done, 20); });
    }
    return null;
}

const live = pagesUnder(options.book)
    .map((path) => relative(options.book, path).split(sep).join('/'))
    .filter((name) => name !== 'print.html'
    && name.includes(options.only)
    && readFileSync(join(options.book, name), 'utf8').includes('data-live='));

for (const view of [
    { theme: 'light', width: 1280 }, { theme: 'navy', width: 390 },
]) {
    for (const name of live) {
        const page = await open(view, origin + name);
        for (const figure of await page.locator('figure:has(> form.live)').all()) {
            const title = `${name} ${await figure.getAttribute('id')} [${view.width}]`;
            await figure.scrollIntoViewIfNeeded();
            await figure.and(page.locator('[data-ready]')).waitFor({ timeout: 20000 });
            const initial = await state(figure);
            const steps = figure.getByRole('button', { name: 'Step' });
            const runs = await steps.count() > 0;
            // Every control, with the keyboard alone. Another rate shows in the
            // picture of a run with the next step only.
            for (const control of await figure.locator('form.live [name]').all()) {
                const before = await state(figure);
                await control.focus();
                const kind = await control.evaluate((e) => e.type);
                const drawn = await control.evaluate((e) => 'side' in e.dataset);
                if (kind === 'text' && !drawn) { continue; }
                if (kind.startsWith('select')) {
                    await page.keyboard.press('ArrowDown');
                } else if (drawn) {
                    for (let k = 0; k < 8; k += 1) { await page.keyboard.press('ArrowDown'); }
                } else {
                    const at = await control.evaluate((e) => e.value === e.max);
                    await page.keyboard.press(at ? 'Home' : 'End');
                }
                const knob = await control.getAttribute('name');
                check(`${title}: ${knob} moves picture and read-out`,
                    await changes(figure, before, runs ? [1] : [0, 1]),
                    (await state(figure))[1]);
            }
            if (runs) {
                const before = await state(figure);
                await steps.press('Enter');
                check(`${title}: a step`, await changes(figure, before));
            }
            const moved = await state(figure);
            await figure.getByRole('button', { name: 'Reset' }).press('Enter');
            const back = await changes(figure, moved);
            check(`${title}: back`, back && back[1] === initial[1], back && back[1]);
            const wide = await page.evaluate(() => document.documentElement.scrollWidth
                - document.documentElement.clientWidth);
            check(`${title}: fits`, wide <= 1, `${wide} px too wide`);
            const unnamed = await figure.evaluate((f) => Array.from(f.querySelectorAll('[name]'))
                .filter((e) => !e.labels[0] || !e.labels[0].textContent.trim()).length);
            check(`${title}: labels`, unnamed === 0, unnamed);
            if (options.screenshots) {
                mkdirSync(options.screenshots, { recursive: true });
                const file = `${await figure.getAttribute('id')}.${view.theme}.png`;
                await figure.screenshot({ path: join(options.screenshots, file) });
            }
        }
        check(`${name}: no message`, page.faults.length === 0, page.faults.join('; '));
        await page.context().close();
    }
}

// A drill with the keyboard: right, unread, another problem with its seed in the address.
for (const name of pagesUnder(options.book)
    .map((path) => relative(options.book, path).split(sep).join('/'))
    .filter((page) => page !== 'print.html' && page.includes(options.only)
        && readFileSync(join(options.book, page), 'utf8').includes('data-drill='))) {
    const page = await open({ theme: 'navy', width: 390 }, origin + name);
    const drill = page.locator('[data-drill]').first();
    await drill.scrollIntoViewIfNeeded();
    await drill.and(page.locator('[data-ready]')).waitFor();
    const said = async (typed, wanted) => {
        await drill.locator('input').fill(typed);
        await page.keyboard.press('Enter');
        await page.waitForFunction((e) => e.textContent,
            await drill.locator('.said').elementHandle());
        const text = await drill.locator('.said').textContent();
        check(`${name}: to "${typed}" the drill says ${wanted}`, wanted.test(text), text);
    };
    const worked = await drill.locator('.worked').textContent();
    const truth = worked.match(/[-−]?\d+(?:\/\d+)?(?!.*\d)/s)[0];
    await said('1e', /./);
    check(`${name}: what cannot be read is not wrong`,
        !/^(Right|Not so)/.test(await drill.locator('.said').textContent()));
    await drill.locator('.said').evaluate((e) => { e.textContent = ''; });
    await said(truth, /^Right/);
    const asked = await drill.locator('.question').textContent();
    await drill.getByRole('button', { name: 'Another problem' }).press('Enter');
    await page.waitForFunction(([e, text]) => e.textContent !== text,
        [await drill.locator('.question').elementHandle(), asked]);
    const again = await drill.locator('.question').textContent();
    await page.goto(page.url(), { waitUntil: 'load' });
    await page.waitForFunction((text) => document.querySelector('[data-drill] .question')
        .textContent === text, again);
    check(`${name}: the address holds the seed`, /[?&]\w+=\d+/.test(page.url()), page.url());
    check(`${name}: no message`, page.faults.length === 0, page.faults.join('; '));
    await page.context().close();
}

// What runs plays, at its largest width.
for (const name of live.filter((page) =>
    readFileSync(join(options.book, page), 'utf8').includes('data-runs='))) {
    const page = await open({ theme: 'light', width: 1280 }, origin + name);
    const figure = page.locator('figure:has(> form.live button:text-is("Step"))').first();
    const toggle = figure.getByRole('button', { name: 'Play' });
    await figure.scrollIntoViewIfNeeded();
    await figure.and(page.locator('[data-ready]')).waitFor();
    const wide = figure.locator('input[name=width]');
    if (await wide.count()) { await wide.press('End'); }
    await toggle.press('Enter');
    await page.waitForTimeout(1000);
    const frames = await figure.evaluate((f) => new Promise((done) => {
        let count = 0;
        const observer = new MutationObserver((list) => {
            count += list.filter((m) => m.addedNodes[0]?.nodeName === 'svg').length;
        });
        observer.observe(f, { childList: true });
        setTimeout(() => { observer.disconnect(); done(count / 3); }, 3000);
    }));
    console.log(`${name}: ${frames.toFixed(0)} frames a second`);
    // Twenty are asked for; a machine that does other work beside may halve them.
    check(`${name}: it plays`, frames >= 10, frames);
    await figure.getByRole('button', { name: 'Pause' }).press('Enter');
    await page.context().close();
}

// Two hundred moves of one figure, and no growth.
const [first] = live;
if (first) {
    const view = { theme: 'light', width: 1280 };
    const page = await open(view, origin + first);
    const figure = page.locator('figure:has(> form.live)').first();
    await page.waitForTimeout(2000);
    const settled = await page.evaluate(() => window.shifts);
    await figure.scrollIntoViewIfNeeded();
    await figure.and(page.locator('[data-ready]')).waitFor();
    const shifts = await page.evaluate(() => window.shifts) - settled;
    check(`${first}: nothing jumps when the module arrives`, shifts < 0.005, shifts);
    const used = async () => {
        const session = await page.context().newCDPSession(page);
        await session.send('HeapProfiler.collectGarbage');
        const { metrics } = await (await session.send('Performance.enable'),
        session.send('Performance.getMetrics'));
        const of = (key) => metrics.find((m) => m.name === key).value;
        return [of('Nodes'), of('JSHeapUsedSize')];
    };
    const slider = figure.locator('input[type=range]').first();
    await slider.focus();
    const move = async (times) => {
        for (let k = 0; k < times; k += 1) {
            await page.keyboard.press(k % 20 < 10 ? 'ArrowLeft' : 'ArrowRight');
            await page.waitForTimeout(10);
        }
    };
    await move(40);
    const [nodes, heap] = await used();
    await move(200);
    const [after, grown] = await used();
    check('200 moves leave no nodes', after <= nodes + 50, `${nodes} to ${after}`);
    check('200 moves leave no memory', grown <= heap + 500000, `${heap} to ${grown}`);
    await page.context().close();

    // Without scripts, and as a file, the static figure is all there is.
    const silent = await open(view, origin + first, { javaScriptEnabled: false });
    check('without scripts: a figure', await silent.locator('figure > svg').count() > 0);
    check('without scripts: no control', await silent.locator('form.live').count() === 0);
    await silent.context().close();
    const file = await open(view, pathToFileURL(join(options.book, first)).href);
    check('as a file: a figure', await file.locator('figure > svg').count() > 0);
    check('as a file: no control', await file.locator('form.live').count() === 0);
    await file.context().close();

    // From navigation to the first figure that can be moved.
    const times = [];
    for (let k = 0; k < 3; k += 1) {
        const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
        const fresh = await context.newPage();
        await fresh.goto(`${origin}${first}#${await figureId(fresh)}`);
        await fresh.locator('figure[data-ready]').first().waitFor();
        times.push(await fresh.evaluate(() => performance.now()));
        await context.close();
    }
    times.sort((a, b) => a - b);
    console.log(`first live figure after ${times.map((t) => t.toFixed(0)).join(', ')} ms`);
}

async function figureId(page) {
    const text = readFileSync(join(options.book, first), 'utf8');
    return text.match(/<figure[^>]* id="([^"]+)"[^>]*>\s*<svg[^>]*data-live/)?.[1]
        ?? (await page.title());
}

await browser.close();
server.close();
for (const failure of failures) { console.log(failure); }
if (live.length === 0) { console.log('no live figure: run cargo book build first'); }
console.log(`${live.length} pages, ${tried - failures.length} passed, ${failures.length} failed`);
process.exit(failures.length > 0 || live.length === 0 ? 1 : 0);
