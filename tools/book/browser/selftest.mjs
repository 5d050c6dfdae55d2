// The browser test is tested: each planted fault must be reported, and the
// sound page must pass.
//
//   node selftest.mjs

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOUND = '<p>Sound.</p>';
const PLANTED = {
    wide: ['<p style="width: 2000px">x</p>', /scrolls sideways|reaches from/],
    clipped: ['<p style="position: relative; left: 300px">x</p>',
        /reaches from/],
    error: ['<script>missing();</script>', /script: missing is not defined/],
    console: ['<script>console.error("no")</script>', /console: no/],
    network: ['<img alt="x" src="http://127.0.0.2:9/x.png">',
        /asks for http:\/\/127\.0\.0\.2/],
    lost: ['<img alt="x" src="nothing.png">', /404 .*nothing\.png/],
    formula: ['<span class="katex"><span class="katex-html"></span></span>',
        /a formula without size/],
    mathml: ['<span class="katex"><span class="katex-html">x</span></span>',
        /a formula without MathML/],
    font: ['<span class="katex"><math></math><span class="katex-html">xyz'
        + '</span></span>', /no KaTeX font is loaded/],
    figure: ['<figure id="f"><svg width="0" height="0"></svg></figure>',
        /figure f: 0 x 0 px/],
    small: ['<figure id="f"><svg viewBox="0 0 2000 400" width="350">'
        + '<text y="20" font-size="14">x</text></svg></figure>',
        /figure f: text of [\d.]+ px/],
    answer: ['<details><summary>q</summary>a</details>',
        /answers stay closed in print/],
    long: ['<div class="table-wrapper" style="overflow-x: auto; width: 90vw">'
        + '<div style="width: 1400px">x</div></div>', /px do not fit/],
    mark: ['<p style="width: 60px"><span style="display: inline-block">sixty px'
        + '</span><span style="display: inline-block">, x</span></p>',
        /a line begins with a mark: sixty px \/ , x/],
    paper: ['<style>html { background: #000 }</style>', /prints on/],
};

const dir = mkdtempSync(join(tmpdir(), 'book-selftest-'));
const page = (text) => '<!DOCTYPE html><html><head><meta name="viewport" '
    + 'content="width=device-width"><style>html { background: #fff; } '
    + 'body { overflow-x: hidden; }</style></head>'
    + `<body><main>${text}</main></body></html>`;
writeFileSync(join(dir, 'sound.html'), page(SOUND));
for (const [name, [text]] of Object.entries(PLANTED)) {
    writeFileSync(join(dir, `${name}.html`), page(text));
}
const here = dirname(fileURLToPath(import.meta.url));
const run = spawnSync(process.execPath,
    [join(here, 'visit.mjs'), '--book', dir], { encoding: 'utf8' });
rmSync(dir, { recursive: true });

let failed = 0;
const lines = run.stdout.split('\n');
for (const [name, [, words]] of Object.entries(PLANTED)) {
    const said = lines.filter((l) => l.startsWith(`${name}.html`));
    if (!said.some((l) => words.test(l))) {
        failed += 1;
        console.log(`${name}: not reported; said: ${said.join(' | ')}`);
    }
}
if (lines.some((l) => l.startsWith('sound.html'))) {
    failed += 1;
    console.log('the sound page was reported');
}
if (run.status !== 1) {
    failed += 1;
    console.log(`exit code ${run.status}: ${run.stderr}`);
}
const all = Object.keys(PLANTED).length + 2;
console.log(`${all - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
