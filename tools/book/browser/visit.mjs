// Opens every page of the built book in headless Chromium, in light and dark,
// on a wide and on a narrow screen, and as print, and says what is wrong.
//
//   node visit.mjs [--book DIR] [--screenshots DIR] [--only TEXT]
//
// CHROMIUM names the browser; /usr/bin/chromium is the default.

import { mkdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { launch, marksAtLineStarts, options, pagesUnder, serve } from './common.mjs';

const VIEWS = [
    { name: 'light-1280', theme: 'light', width: 1280 },
    { name: 'dark-1280', theme: 'navy', width: 1280 },
    { name: 'light-390', theme: 'light', width: 390 },
    { name: 'dark-390', theme: 'navy', width: 390 },
    { name: 'print', theme: 'navy', width: 794, print: true },
];

// Runs in the page: everything a reader would see go wrong.
function inspect(view) {
    const faults = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth + 1) {
        const wide = Array.from(document.querySelectorAll('main *'))
            .filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1
                && !e.closest('.katex-display, .table-wrapper, pre, figure'))
            .slice(0, 3)
            .map((e) => `<${e.tagName.toLowerCase()} class="${e.className}">`);
        faults.push(`scrolls sideways: ${root.scrollWidth} of `
            + `${root.clientWidth} px (${wide.join(', ')})`);
    }
    // mdBook clips the body, so text may leave the screen without a scroll bar.
    if (!view.print) {
        for (const e of document.querySelectorAll(
            'main > *, main p, main figure, main .table-wrapper, main pre, '
            + 'main .katex-display, main .sidenote, main details')) {
            const box = e.getBoundingClientRect();
            const inScroller = e.parentElement.closest(
                'pre, figure, .table-wrapper, .katex-display');
            if (box.width > 0 && !inScroller
                && (box.right > root.clientWidth + 1 || box.left < -1)) {
                faults.push(`<${e.tagName.toLowerCase()} class="`
                    + `${e.getAttribute('class') ?? ''}"> reaches from `
                    + `${Math.round(box.left)} to ${Math.round(box.right)} of `
                    + `${root.clientWidth} px`);
            }
        }
    }
    const open = (e) => e.closest('details:not([open])') === null;
    const formulas = Array.from(document.querySelectorAll('main .katex-html'));
    for (const e of formulas.filter(open)) {
        const box = e.getBoundingClientRect();
        if (box.width < 2 || box.height < 2) {
            faults.push(`a formula without size: ${e.textContent}`);
        }
        if (!e.parentElement.querySelector('math')) {
            faults.push(`a formula without MathML: ${e.textContent}`);
        }
    }
    if (formulas.some(open)) {
        const loaded = Array.from(document.fonts)
            .filter((f) => f.family.replace(/"/g, '').startsWith('KaTeX')
                && f.status === 'loaded');
        if (loaded.length === 0) { faults.push('no KaTeX font is loaded'); }
    }
    // On a wide screen and on paper nothing needs to be scrolled sideways.
    if (view.width >= 1280 || view.print) {
        for (const e of document.querySelectorAll('main .katex-display, '
            + 'main .table-wrapper, main pre > code, main figure')) {
            if (open(e) && e.scrollWidth > e.clientWidth + 1) {
                faults.push(`${e.scrollWidth} px do not fit into `
                    + `${e.clientWidth}: ${e.textContent.trim().slice(0, 40)}`);
            }
        }
    }
    for (const font of document.fonts) {
        if (font.status === 'error') {
            faults.push(`font ${font.family} failed to load`);
        }
    }
    const hidden = document.querySelectorAll('main .katex-error');
    if (hidden.length) { faults.push(`${hidden.length} formulas with errors`); }
    for (const svg of document.querySelectorAll('main figure svg')) {
        if (!open(svg)) { continue; }
        const id = svg.closest('figure').id;
        const box = svg.getBoundingClientRect();
        if (box.width < 40 || box.height < 40) {
            faults.push(`figure ${id}: ${box.width} x ${box.height} px`);
        }
        // Legible: no text smaller than 9 px on the screen.
        const scale = svg.viewBox.baseVal?.width
            ? box.width / svg.viewBox.baseVal.width : 1;
        let least = Infinity;
        for (const t of svg.querySelectorAll('text')) {
            least = Math.min(least,
                parseFloat(getComputedStyle(t).fontSize) * scale);
        }
        if (!view.print && least < 9) {
            faults.push(`figure ${id}: text of ${least.toFixed(1)} px`);
        }
        // Every drawn line is inside the page's colours, not black on navy.
        const ink = getComputedStyle(svg).color;
        const paper = getComputedStyle(document.body).backgroundColor;
        if (ink === paper) { faults.push(`figure ${id}: ink equals paper`); }
    }
    for (const image of document.querySelectorAll('main img')) {
        if (!image.complete || image.naturalWidth === 0) {
            faults.push(`image ${image.getAttribute('src')} did not load`);
        }
    }
    if (view.print && !document.querySelector('main')) {
        faults.push('no text');
    }
    return faults;
}

const server = await serve(options.book);
const origin = `http://127.0.0.1:${server.address().port}/`;
const browser = await launch();

let passed = 0;
const failures = [];
const pages = pagesUnder(options.book)
    .map((p) => relative(options.book, p).split(sep).join('/'))
    .filter((p) => p.includes(options.only));

for (const view of VIEWS) {
    const context = await browser.newContext({
        viewport: { width: view.width, height: 900 },
        reducedMotion: 'reduce',
    });
    await context.addInitScript((theme) => {
        localStorage.setItem('mdbook-theme', theme);
        window.print = () => {};
    }, view.theme);
    for (const name of pages) {
        const page = await context.newPage();
        const faults = [];
        page.on('console', (m) => {
            if (m.type() === 'error' || m.type() === 'warning') {
                faults.push(`console: ${m.text()}`);
            }
        });
        page.on('pageerror', (e) => faults.push(`script: ${e.message}`));
        page.on('request', (r) => {
            if (!r.url().startsWith(origin) && !r.url().startsWith('data:')) {
                faults.push(`asks for ${r.url()}`);
            }
        });
        page.on('requestfailed', (r) => faults.push(`no ${r.url()}`));
        page.on('response', (r) => {
            if (r.status() >= 400) { faults.push(`${r.status()} ${r.url()}`); }
        });
        await page.goto(origin + name, { waitUntil: 'load' });
        if (view.print) {
            await page.evaluate(
                () => window.dispatchEvent(new Event('beforeprint')));
            await page.emulateMedia({ media: 'print' });
            const closed = await page.locator('details:not([open])').count();
            if (closed) { faults.push(`${closed} answers stay closed in print`); }
            const paper = await page.evaluate(
                () => getComputedStyle(document.documentElement).backgroundColor);
            if (paper !== 'rgb(255, 255, 255)') {
                faults.push(`prints on ${paper}`);
            }
        }
        await page.evaluate(() => document.fonts.ready);
        faults.push(...await page.evaluate(inspect, view));
        for (const mark of await page.evaluate(marksAtLineStarts)) {
            faults.push(`a line begins with a mark: ${mark}`);
        }
        if (options.screenshots) {
            mkdirSync(options.screenshots, { recursive: true });
            const file = name.replace(/\.html$/, '').replaceAll('/', '-');
            await page.screenshot({
                path: join(options.screenshots, `${file}.${view.name}.png`),
                fullPage: true,
            });
        }
        await page.close();
        if (faults.length === 0) {
            passed += 1;
        } else {
            for (const fault of new Set(faults)) {
                failures.push(`${name} [${view.name}]: ${fault}`);
            }
        }
    }
    await context.close();
}
// The keyboard reaches everything: tried on the page with the most formulas.
const KEYBOARD = {
    'Tab reaches the skip link first, Enter leads to the text':
        async (page) => {
            await page.keyboard.press('Tab');
            const first = await focused(page);
            await page.keyboard.press('Enter');
            const then = await focused(page);
            return first.includes('skip-link')
                && then.includes('mdbook-content') || `${first}, ${then}`;
        },
    'Enter on the sidebar toggle closes and opens it': async (page) => {
        const shown = () => page.evaluate(() => document.documentElement
            .classList.contains('sidebar-visible'));
        await page.focus('#mdbook-sidebar-toggle');
        const seen = [await shown()];
        for (let i = 0; i < 2; i += 1) {
            await page.keyboard.press('Enter');
            await page.waitForTimeout(100);
            seen.push(await shown());
        }
        return seen.join() === 'true,false,true' || seen.join();
    },
    'the search finds a word of the text': async (page) => {
        await page.keyboard.press('/');
        await page.waitForTimeout(200);
        await page.keyboard.type('gradient');
        const hit = page.locator('#mdbook-searchresults li').first();
        await hit.waitFor({ timeout: 5000 });
        return true;
    },
    'an answer opens with Enter': async (page) => {
        const question = page.locator('main summary').first();
        if (await question.count() === 0) { return true; }
        await question.focus();
        await page.keyboard.press('Enter');
        return await page.locator('main details[open]').count() > 0
            || 'it stays closed';
    },
    'arrow keys scroll a wide formula and do not turn the page':
        async (page) => {
            await page.setViewportSize({ width: 390, height: 800 });
            await page.evaluate(() => dispatchEvent(new Event('resize')));
            const wide = page.locator(
                'main .katex-display[tabindex], main pre > code[tabindex]')
                .first();
            if (await wide.count() === 0) { return true; }
            const before = page.url();
            await wide.focus();
            await page.keyboard.press('ArrowRight');
            // A busy machine scrolls late.
            let moved = 0;
            for (let i = 0; i < 20 && moved === 0; i += 1) {
                await page.waitForTimeout(150);
                moved = await wide.evaluate((e) => e.scrollLeft);
            }
            return page.url() === before && moved > 0
                || `${page.url()}, scrolled by ${moved}`;
        },
};

function focused(page) {
    return page.evaluate(() => {
        const e = document.activeElement;
        return `${e.tagName} ${e.id} ${e.className}`;
    });
}

const formulas = (name) =>
    readFileSync(join(options.book, name), 'utf8').split('katex-html').length;
const chapters = pages.filter(
    (p) => !['print.html', 'index.html', '404.html'].includes(p));
const richest = chapters.sort((a, b) => formulas(b) - formulas(a))[0];
for (const [what, tryIt] of Object.entries(richest ? KEYBOARD : {})) {
    const page = await browser.newPage({
        viewport: { width: 1280, height: 800 },
        reducedMotion: 'reduce',
    });
    await page.goto(origin + richest, { waitUntil: 'load' });
    let result;
    try { result = await tryIt(page); } catch (e) { result = e.message; }
    await page.close();
    if (result === true) {
        passed += 1;
    } else {
        failures.push(`${richest} [keyboard]: not so: ${what} (${result})`);
    }
}
await browser.close();
server.close();

for (const failure of failures) { console.log(failure); }
const tried = pages.length * VIEWS.length
    + (richest ? Object.keys(KEYBOARD).length : 0);
const failed = tried - passed;
if (pages.length === 0) {
    console.log(`no pages in ${options.book}: run cargo book build first`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || pages.length === 0 ? 1 : 0);
