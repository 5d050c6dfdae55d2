// Starts `cargo book` on grades made up for it and looks, in headless Chromium,
// at what the pages show of them: states, reports, heat maps, side bar,
// preface; in light and dark, on a wide and a narrow screen, by keyboard, on
// paper, in many tabs, of a book that does not build, and from a file.
//
//   node grade.mjs [--server FILE] [--screenshots DIR]
//
// CHROMIUM names the browser; /usr/bin/chromium is the default. The server is
// the built tool: cargo build -p book.

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync,
    rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const repository = resolve(here, '../../..');
const target = process.env.CARGO_TARGET_DIR ?? join(repository, 'target');
const options = { server: join(target, 'debug/book'), screenshots: null };
for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in options) || process.argv[i + 1] === undefined) {
        console.error(`unknown or incomplete option ${process.argv[i]}`);
        process.exit(2);
    }
    options[name] = process.argv[i + 1];
}

const SLUG = 'network/linear';
const EVIL = '<script>window.hacked = true</script><img src=x onerror=alert(1)>';

// A repository with the book of this one and with exercises of its own.
const root = mkdtempSync(join(tmpdir(), 'grade-'));
for (const name of ['book.toml', 'book', 'src', 'solutions', 'tools']) {
    symlinkSync(join(repository, name), join(root, name));
}
cpSync(join(repository, 'exercises/src'), join(root, 'exercises/src'),
    { recursive: true });
const source = join(root, 'exercises/src', `${SLUG}.rs`);

function fingerprint(text) {
    let hash = 0xcbf29ce484222325n;
    for (const byte of Buffer.from(text)) {
        hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
    }
    return hash.toString(16).padStart(16, '0');
}

// Written aside and renamed, as the grader does.
function keep(tasks, errors = '') {
    const file = join(root, 'exercises/.grade/kept', `${SLUG}.json`);
    mkdirSync(dirname(file), { recursive: true });
    const print = fingerprint(readFileSync(source));
    const all = tasks.map((t) => ({ source: print, report: null, ...t }));
    writeFileSync(`${file}.new`, JSON.stringify({
        schema: 'backprop-by-hand/kept/1', exercise: SLUG, errors, tasks: all,
    }));
    renameSync(`${file}.new`, file);
}

const report = (more) => ({
    compared: 'dw against differences of your forward', inputs: 'x (2,3)\n[ 1 2 3 ]\n[ 4 5 6 ]',
    got: '(2,2)\n[   1.0000   2.0000 ]\n[   3.0000   4.0000 ]',
    expected: '(2,2)\n[   1.0000   3.0000 ]\n[   2.0000   4.0000 ]',
    scope: '', remark: '', hint: '', evidence: 'Structure',
    mistakes: [{ code: 'TRANSPOSED', sentence: 'It is transposed.',
        rule: 'Look at the shapes.', page: 'network/linear.md#the-bias-gradient' }],
    ...more,
});
const part = (numbers) => ({ shape: [2, 2], start: [0, 0], columns: 2, numbers });
const wide = (numbers) => ({ shape: [3, 20, 40], start: [4, 24], columns: 16, numbers });
const many = (f) => Array.from({ length: 256 }, (_, k) => f(k).toExponential(4)).join(' ');

const server = spawn(options.server, ['serve', '--no-open', '--port', '45100'],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
let said = '';
server.stdout.on('data', (d) => { said += d; });
server.stderr.on('data', (d) => { said += d; });
server.on('error', (e) => { said += `\n${e.message}: build it first`; });

async function until(what, happens, limit = 5000) {
    const start = Date.now();
    for (;;) {
        const result = await happens();
        if (result) { return Date.now() - start; }
        if (Date.now() - start > limit || server.exitCode !== null) {
            throw new Error(`not within ${limit} ms: ${what}`);
        }
        await new Promise((done) => setTimeout(done, 10));
    }
}

let passed = 0;
const failures = [];
function check(what, is) {
    if (is) { passed += 1; } else { failures.push(what); }
}

// A page that counts what goes wrong in it.
async function open(context, address, faults) {
    const page = await context.newPage();
    // A page that is a file may not fetch its font first; the style sheet gets it.
    const early = (text) => address.startsWith('file:')
        && /woff2|Failed to load resource: net::ERR_FAILED$/.test(text);
    page.on('console', (m) => {
        if (['error', 'warning'].includes(m.type()) && !early(m.text())) {
            faults.push(m.text());
        }
    });
    page.on('pageerror', (e) => faults.push(e.message));
    page.on('dialog', (d) => { faults.push('a dialog'); d.dismiss(); });
    page.on('response', (r) => {
        if (r.status() >= 400) { faults.push(`${r.status()} ${r.url()}`); }
    });
    await page.goto(address, { waitUntil: 'load' });
    return page;
}

// Runs in the page: everything of a grade that a reader would see go wrong.
function inspect() {
    const faults = [];
    const clear = (e) => {
        for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if (c !== 'rgba(0, 0, 0, 0)') { return c; }
        }
        return 'rgb(255, 255, 255)';
    };
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\d.]+/g).map((v) => {
            const c = v / 255;
            return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    for (const e of document.querySelectorAll('.task-kind, .grade-state, .grade-changed, .grade-caption, '
        + '.grade-report dt, .grade-report dd, .grade-status, .grade-progress, .grade-passed')) {
        const [a, b] = [light(getComputedStyle(e).color), light(clear(e))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) {
            faults.push(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(1)} of .${e.className}`);
        }
    }
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth + 1) { faults.push('the page scrolls sideways'); }
    for (const e of document.querySelectorAll('.exercises *')) {
        const box = e.getBoundingClientRect();
        if (box.width > 0 && !e.parentElement.closest('pre, .grade-scroller, svg')
            && (box.right > root.clientWidth + 1 || box.left < -1)) {
            faults.push(`<${e.tagName} class="${e.className}"> leaves the screen`);
        }
    }
    for (const svg of document.querySelectorAll('.grade-map svg')) {
        const box = svg.getBoundingClientRect();
        const scale = box.width / svg.viewBox.baseVal.width;
        for (const t of svg.querySelectorAll('text')) {
            const size = parseFloat(getComputedStyle(t).fontSize) * scale;
            if (size < 9) { faults.push(`text of ${size.toFixed(1)} px`); break; }
        }
        if (svg.namespaceURI !== 'http://www.w3.org/2000/svg' || box.width < 40) {
            faults.push('a heat map is not drawn');
        }
    }
    for (const e of document.querySelectorAll('.grade-scroller, .grade-report pre')) {
        if (e.scrollWidth > e.clientWidth + 1 && e.tabIndex !== 0) {
            faults.push('what scrolls cannot be focused');
        }
    }
    const ids = Array.from(document.querySelectorAll('[id]'), (e) => e.id);
    if (new Set(ids).size < ids.length) { faults.push('an id stands twice'); }
    return faults;
}

let browser;
try {
    await until('the server starts', () => /http:\S+/.test(said), 300_000);
    const origin = said.match(/http:\S+/)[0];
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
            '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync'],
    });
    const view = async (theme, width) => {
        const context = await browser.newContext({
            viewport: { width, height: 900 }, reducedMotion: 'reduce',
        });
        await context.addInitScript((name) => {
            localStorage.setItem('mdbook-theme', name);
        }, theme);
        return context;
    };
    const context = await view('light', 1280);
    const faults = [];
    const page = await open(context, `${origin}${SLUG}.html`, faults);
    const preface = await open(context, `${origin}preface.html`, faults);
    const count = (selector) => page.locator(selector).count();
    const text = async (selector, p = page) =>
        (await p.locator(selector).allTextContents()).join(' ');
    const state = (name) => text(`[data-task="${name}"] .grade-state`);

    // Without a grade: the list, and nothing else.
    const tasks = await page.locator('.tasks [data-task]').evaluateAll(
        (all) => all.map((e) => e.dataset.task));
    check('the list has the tasks', tasks.length >= 5);
    check('the list has kinds and points', (await text('.task-kind')).includes('build, '));
    await page.waitForTimeout(400);
    check('no state without a grade', await count('.grade-state, .grade-details') === 0);
    check('no words without a grade', await text('.grade-status') === '');
    check('no progress without a grade', await text('.grade-progress', preface) === '');
    const below = (p) => p.locator('main p:not(.grade-progress)').first().evaluate(
        (e) => e.getBoundingClientRect().top);
    const before = await below(preface);

    // A grade arrives.
    for (const one of [page, preface]) { await one.evaluate(() => { window.stays = true; }); }
    const [first, second, third] = tasks;
    const wrong = { task: second, status: 'wrong', report: report({
        arrays: { got: part('1 2 3 4'), expected: part('1 3 2 4'),
            difference: part('0 -1 1 0') } }) };
    const large = { task: third, status: 'wrong', printed: EVIL, report: report({
        got: `a panic: ${EVIL}`, mistakes: [], evidence: null,
        arrays: { got: wide(many((k) => Math.sin(k))), expected: wide(many((k) => Math.cos(k))),
            difference: wide(many((k) => 1e-7 * Math.sin(k))) } }) };
    const rest = tasks.slice(3).map((task) => ({ task, status: 'not attempted' }));
    const times = [];
    for (let i = 0; i < 5; i += 1) {
        const grade = [{ task: first, status: i % 2 ? 'wrong' : 'passed' }, wrong, large, ...rest];
        keep(grade);
        times.push(await until('the page shows the grade', async () =>
            (await state(first)).includes(i % 2 ? 'wrong' : 'passed')));
    }
    console.log(`from result to page: ${times.join(', ')} ms`);
    check(`states: ${await state(second)}, ${await state(tasks[3])}`,
        (await state(second)).includes('wrong') && (await state(tasks[3])).includes('not begun'));
    check('the sum', (await text('.grade-status')).includes(`1 of ${tasks.length} tasks passed`));
    check('the page was not loaded again', await page.evaluate(() => window.stays));
    check('the first wrong report is open',
        await page.locator(`[data-task="${second}"] details[open]`).count() === 1);
    check('the report has the arrays',
        (await text(`[data-task="${second}"] pre`)).includes('3.0000   4.0000'));
    check('three heat maps', await count(`[data-task="${second}"] .grade-map svg`) === 3);
    const link = page.locator(`[data-task="${second}"] .grade-report a`).first();
    check('the mistake is a link', await link.textContent() === 'TRANSPOSED');
    const section = new URL(await link.getAttribute('href'), origin);
    const reply = await (await fetch(section)).text();
    check(`it leads to a section: ${section}`, reply.includes(`id="${section.hash.slice(1)}"`));
    const told = await page.locator(`[data-task="${third}"] dd`).allTextContents();
    check('a script in a report is text', told.filter((t) => t.includes(EVIL)).length === 2
        && await count('.exercises script, .exercises img') === 0
        && !await page.evaluate(() => window.hacked));
    check('a cut array says so', (await text(`[data-task="${third}"] .grade-caption`))
        .includes('rows 4 to 19 of 60, columns 24 to 39 of 40'));

    // By keyboard: open a report, which stays open when another grade arrives.
    const summary = page.locator(`[data-task="${third}"] summary`);
    await summary.focus();
    await page.keyboard.press('Enter');
    const opened = () => page.locator(`[data-task="${third}"] details[open]`).count();
    check('a report opens with Enter', await opened() === 1);
    keep([{ task: first, status: 'passed' }, wrong,
        { ...large, remark: 'another word' }, ...rest]);
    await until('the remark', async () =>
        (await text(`[data-task="${third}"] dd`)).includes('another word'));
    check('it stays open', await opened() === 1);
    check('the focus stays', await summary.evaluate((e) => e === document.activeElement));
    await page.keyboard.press('Tab');
    check('Tab leads into the report', await page.evaluate((name) =>
        document.activeElement.closest(`[data-task="${name}"]`) !== null, third));
    const scroller = page.locator(`[data-task="${third}"] .grade-scroller[tabindex]`).first();
    await page.bringToFront();
    await scroller.focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForTimeout(300);
    const moved = await scroller.evaluate((e) => e.scrollLeft);
    check(`an arrow key scrolls a wide heat map: by ${moved} in ${page.url()}`,
        page.url().includes(SLUG) && moved > 0);

    // Everything that is shown, on every screen.
    for (const [theme, width] of
        [['light', 1280], ['navy', 1280], ['light', 390], ['navy', 390]]) {
        const other = await view(theme, width);
        const seen = await open(other, `${origin}${SLUG}.html`, faults);
        await until('states', () => seen.locator('.grade-state').count());
        await seen.evaluate(() => {
            for (const d of document.querySelectorAll('.grade-details')) { d.open = true; }
        });
        await seen.waitForTimeout(200);
        for (const fault of await seen.evaluate(inspect)) {
            failures.push(`${theme} ${width}: ${fault}`);
        }
        if (options.screenshots) {
            mkdirSync(options.screenshots, { recursive: true });
            await seen.locator('.exercises').screenshot({
                path: join(options.screenshots, `grade.${theme}-${width}.png`) });
        }
        await other.close();
    }

    // On paper the list alone.
    await page.emulateMedia({ media: 'print' });
    const hidden = await page.locator('.grade-state, .grade-details, .grade-status')
        .evaluateAll((all) => all.every((e) => e.getClientRects().length === 0));
    const listed = await page.locator('.task-kind').first().isVisible();
    check('on paper the list alone', hidden && listed);
    await page.emulateMedia({ media: 'screen' });

    // What was graded is no longer what the file holds.
    writeFileSync(source, '// something else\n');
    await until('changed since', async () => (await state(first)).includes('changed since'));
    keep(tasks.map((task) => ({ task, status: 'does not compile' })),
        `error: \u001b[1mno\u001b[0m ${EVIL}`);
    await until('the compiler', async () => (await text('.grade-errors')).includes('error: no <'));
    check('it does not compile', (await state(first)).includes('does not compile')
        && !(await state(first)).includes('changed'));

    // Done: the side bar and the preface say so.
    keep(tasks.map((task) => ({ task, status: 'passed' })));
    const mark = `#mdbook-sidebar a[href$="${SLUG}.html"] .grade-passed`;
    await until('the mark', () => page.locator(mark).count());
    check('one mark', await count('.grade-passed') === 1);
    check('it is read aloud', (await text(`${mark} .grade-spoken`)).includes('passed'));
    check('no error is left', await count('.grade-errors') === 0);
    await until('the progress', async () =>
        (await text('.grade-progress', preface)).startsWith('1 of'));
    const words = await text('.grade-progress', preface);
    check(`the progress: ${words}`, /^1 of \d+ exercises passed, \d+ of \d+ points$/.test(words));
    const after = await below(preface);
    check(`the preface moves from ${before} to ${after}`, Math.abs(after - before) < 0.5);
    check('the mark is on every page', await preface.locator(mark).count() === 1);
    const narrow = await view('navy', 390);
    const small = await open(narrow, `${origin}preface.html`, faults);
    const reserved = await below(small);
    await until('the progress', async () => (await text('.grade-progress', small)) !== '');
    check('nor on a phone', Math.abs(await below(small) - reserved) < 0.5);
    for (const fault of await small.evaluate(inspect)) { failures.push(`preface: ${fault}`); }

    // Twelve more tabs of one browser: all load, and all hear of a grade.
    const tabs = [];
    while (tabs.length < 12) {
        tabs.push(await open(context, `${origin}${SLUG}.html`, faults));
    }
    const shows = async (tab, word) =>
        (await text(`[data-task="${first}"] .grade-state`, tab)).includes(word);
    keep(tasks.map((task) => ({ task, status: 'wrong' })));
    for (const tab of tabs) { await until('the grade in every tab', () => shows(tab, 'wrong')); }
    passed += 1;

    // A hidden tab asks nothing; shown again, it asks at once.
    const [tab] = tabs;
    const hide = (hidden) => tab.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await hide(true);
    await tab.waitForTimeout(300);
    let questions = 0;
    tab.on('request', () => { questions += 1; });
    keep(tasks.map((task) => ({ task, status: 'passed' })));
    await until('a tab that is not hidden', () => shows(tabs[1], 'passed'));
    await tab.waitForTimeout(300);
    check('a hidden tab asks nothing', questions === 0 && await shows(tab, 'wrong'));
    await hide(false);
    await until('the tab that is shown again', () => shows(tab, 'passed'));
    for (const one of tabs.slice(1)) { await one.close(); }

    // What does not build is told in the page, which stays; mended, it is loaded again.
    const book = join(root, 'book.toml');
    rmSync(book);
    writeFileSync(book, '[book]\ntitle = "<b>');
    await until('the fault', async () => (await text('.served-fault')).startsWith('error: '), 60_000);
    check('the page stays', await page.evaluate(() => window.stays)
        && await count('.grade-state') > 0 && await count('.served-fault *') === 0);
    rmSync(book);
    symlinkSync(join(repository, 'book.toml'), book);
    for (const one of [page, preface]) {
        await until('the new build', async () => await one.evaluate(() =>
            document.readyState === 'complete' && !window.stays
            && !document.querySelector('.served-fault')).catch(() => false), 300_000);
    }
    await until('the grade', async () => (await state(first)).includes('passed'));

    // A damaged file: a word in the terminal, nothing in the page.
    writeFileSync(join(root, 'exercises/.grade/kept', `${SLUG}.json`), '{"schema": 1');
    await until('nothing is left', async () => await count('.grade-state') === 0);
    check('a word about the damaged file', said.includes('linear.json is ignored'));

    // From a file, nothing asks and nothing fails.
    const builds = join(root, 'target/book-builds');
    const [build] = readdirSync(builds).filter((name) => name !== 'lock');
    const pages = join(builds, build, 'pages');
    const still = await open(context, pathToFileURL(join(pages, `${SLUG}.html`)).href, faults);
    await still.waitForTimeout(300);
    check('from a file the list alone', await still.locator('.tasks [data-task]').count()
        === tasks.length && await still.locator('.grade-state, .grade-status').count() === 0);
    for (const fault of new Set(faults)) { failures.push(`console: ${fault}`); }
} catch (e) {
    failures.push(e.message);
} finally {
    await browser?.close();
    server.kill();
    rmSync(root, { recursive: true, force: true });
}
for (const failure of failures) { console.log(failure); }
if (failures.length) { console.log(`the server said:\n${said}`); }
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
