// Figures that move, and drills: the book's own Rust, compiled to generated/live.wasm.
// The module works on a thread of its own; without it a page shows its static figures.
(function () {
    'use strict';

    if (typeof document === 'undefined') { return work(); }
    if (location.protocol === 'file:' || !window.WebAssembly || !window.Worker) { return; }
    const script = document.currentScript.src;
    const root = new URL(path_to_root || './', location.href).href;
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

    // This same file is the worker. A question is words, an answer is words; src/lib.rs of
    // tools/live lists them. What traps is started anew.
    function work() {
        let module, wasm, queue = Promise.resolve();
        // What a dependency imports and nothing calls.
        const files = new Map(), none = new Proxy(() => none, { get: () => none });
        const bytes = (url) => fetch(url).then((r) => r.ok ? r.arrayBuffer() : Promise.reject(
            new Error(r.status + ' ' + url))).then((buffer) => new Uint8Array(buffer));
        const call = function (words) {
            const parts = words.map((w) => typeof w === 'string' ? new TextEncoder().encode(w) : w);
            const size = parts.reduce((sum, p) => sum + p.length + 1, -1);
            const to = wasm.question(size), memory = new Uint8Array(wasm.memory.buffer, to, size);
            parts.reduce((at, p) => { memory.set(p, at); return at + p.length + 1; }, 0);
            const length = wasm.ask(words.length);
            const text = new Uint8Array(wasm.memory.buffer, wasm.answer(), length);
            return new TextDecoder().decode(text).split('\0');
        };
        const start = async function () {
            wasm = (await WebAssembly.instantiate(module, none)).exports;
            for (const file of files) { call(['give', ...file]); }
        };
        const answer = async function ({ id, words, root, file }) {
            try {
                if (!module) {
                    module = await WebAssembly.compile(await bytes(root + 'generated/live.wasm'));
                    await start();
                }
                if (file && !files.has(file)) {
                    call(['give', file, files.set(file, await bytes(root + file)).get(file)]);
                }
                postMessage({ id, words: words.length ? call(words) : words });
            } catch (error) {
                postMessage({ id, words: ['error: ' + error.message] });
                if (module) { await start(); }
            }
        };
        onmessage = ({ data }) => { queue = queue.then(() => answer(data)); };
    }

    let worker = null, waiting = [];
    function ask(words, file) {
        if (!worker) {
            worker = new Worker(script);
            worker.onmessage = function ({ data: { words } }) {
                const [done, failed] = waiting.shift();
                return /^error: /.test(words[0]) ? failed(new Error(words[0])) : done(words);
            };
        }
        worker.postMessage({ words, root, file });
        return new Promise((done, failed) => { waiting.push([done, failed]); });
    }

    function make(name, properties, ...inside) {
        const element = Object.assign(document.createElement(name), properties);
        element.append(...inside);
        return element;
    }
    const button = (textContent, onclick, type) =>
        make('button', { type: type || 'button', textContent, onclick });
    // Those of `elements` that bear one name: a knob. What it stands at is text.
    function knob(elements) {
        const tell = () => elements.filter((e) => e.type === 'range').forEach(function (e) {
            const text = e.value.replace('-', '\u2212');
            e.nextSibling.textContent = e.dataset.unit ? text + ' ' + e.dataset.unit : text;
        });
        const set = function (texts) {
            elements.forEach((e, k) => { e.value = texts[k]; });
            tell();
        };
        tell();
        return { elements, set, tell, read: () => elements.map((e) => e.value).join() };
    }

    function liven(svg) {
        const figure = svg.closest('figure'), first = svg;
        const { live: name, file, runs, controls, said: words } = svg.dataset;
        const said = make('output', { className: 'said', textContent: words });
        let begun = false, playing = false, busy = false, next = null, dragged = null;

        async function show(verb, steps) {
            next = [verb, steps];
            while (next && !busy) {
                const settings = [...knobs.values()].map((k) => k.read());
                const question = [next[0], name, ...settings, String(next[1])];
                [next, busy] = [null, true];
                try {
                    const [text, line] = await ask(question, file);
                    const fresh = make('template', { innerHTML: text }).content.firstChild;
                    svg.replaceWith(fresh);
                    [svg, said.textContent] = [fresh, line];
                } catch (error) {
                    said.textContent = 'It does not move here: ' + error.message;
                    play(false);
                }
                busy = false;
            }
        }
        function redraw() {
            knobs.forEach((k) => k.tell());
            const verb = !runs ? 'draw' : begun ? 'step' : 'run';
            begun = true;
            return show(verb, 0);
        }
        async function step(steps) {
            if (!begun) { await redraw(); }
            await show('step', steps);
        }
        async function play(on) {
            playing = on;
            toggle.textContent = on ? 'Pause' : 'Play';
            while (playing) {
                await step(1);
                await new Promise(requestAnimationFrame);
            }
        }
        // For a reader who asked for no motion the run jumps.
        const toggle = button('Play', () => play(!playing));
        const jump = button('50 steps', () => step(50));
        const run = [still ? jump : toggle, button('Step', () => step(1))];
        const form = make('form', { className: 'live', innerHTML: controls });
        const knobs = new Map(Array.from(form.elements, (e) => [e.name,
            knob(Array.from(form.elements).filter((f) => f.name === e.name))]));
        form.append(...(runs ? run : []), button('Reset', null, 'reset'), said);
        form.onsubmit = (event) => event.preventDefault();
        form.oninput = redraw;
        form.onreset = () => setTimeout(function () {
            play(begun = false);
            redraw();
        });
        svg.after(form);

        // Arrow keys move a control, not the page. Where strokes are drawn they move the pen,
        // with Shift it is lifted.
        form.addEventListener('keydown', function (event) {
            event.stopPropagation();
            const { name, value, dataset: { side } } = event.target;
            const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
                ArrowDown: [0, 1] }[event.key];
            if (!side || !way) { return; }
            event.preventDefault();
            const last = value.match(/([\d.]+),([\d.]+)\s*$/) || [0, side / 2, side / 2];
            const to = way.map((d, k) => Math.min(Math.max(Number(last[k + 1]) + d, 0), side));
            const trail = event.shiftKey ? value.replace(/;[^ ]* *[^ ]*$/, '') + '; ' : value + ' ';
            knobs.get(name).set([trail + to.join()]);
            redraw();
        });

        // Clicks and drags on the picture do what the controls do.
        function drag(event, begins) {
            const { target: { elements: [a, b], set, read }, box } = dragged;
            const part = (v) => Math.min(Math.max(v, 0), 1);
            const x = part((event.clientX - box.left) / box.width);
            const y = part((event.clientY - box.top) / box.height);
            const mix = ({ min, max }, t) => Number(min) + (max - min) * t;
            if (a.dataset.side) {
                const at = [x, y].map((t) => (t * a.dataset.side).toFixed(1)).join();
                set([read() + (begins ? '; ' : ' ') + at]);
            } else { set([mix(a, x), b && mix(b, 1 - y)]); }
            redraw();
        }
        figure.addEventListener('pointerdown', function (event) {
            const chosen = event.target.closest('[data-set]');
            const handle = event.target.closest('.handle');
            if (chosen) {
                knobs.get(chosen.dataset.knob).set([chosen.dataset.set]);
                redraw();
            } else if (handle && event.button === 0) {
                const target = knobs.get(handle.dataset.knob);
                dragged = { target, box: handle.getBoundingClientRect() };
                figure.setPointerCapture(event.pointerId);
                event.preventDefault();
                drag(event, true);
            }
        });
        figure.addEventListener('pointermove', (event) => dragged && drag(event, false));
        figure.addEventListener('lostpointercapture', () => { dragged = null; });
        new IntersectionObserver(([e]) => e.isIntersecting || play(false)).observe(figure);
        // Paper shows the figure that the caption speaks of.
        window.addEventListener('beforeprint', () => svg.replaceWith(first));
        window.addEventListener('afterprint', () => first.replaceWith(svg));
        return figure;
    }

    // A problem of a drill; its seed stands in the address, so that it can be set.
    function practise(box) {
        const name = box.dataset.drill, short = name.split('/').pop();
        const address = new URL(location.href), said = make('output', { className: 'said' });
        const question = box.querySelector('.question'), shown = box.querySelector('details p');
        const input = make('input', { type: 'text', autocomplete: 'off', id: 'try-' + short });
        const label = make('label', { htmlFor: input.id, textContent: 'Your answer' });
        const link = make('a', { textContent: 'Read about it' }), streak = make('span');
        let seed = address.searchParams.get(short) || box.dataset.seed, tried = false;
        const count = function (n) {
            localStorage.setItem('drill-' + name, n);
            streak.textContent = n > 1 ? n + ' in a row' : '';
        };
        const row = () => Number(localStorage.getItem('drill-' + name));
        async function pose() {
            const [text, , hint] = await ask(['drill', name, seed]);
            [shown.textContent] = await ask(['shown', name, seed]);
            [question.textContent, label.textContent] = [text, hint];
            [tried, input.value, said.textContent, shown.parentNode.open] = [false, '', '', false];
            link.remove();
        }
        const form = make('form', { className: 'live' }, label, input,
            button('Check', null, 'submit'), button('Another problem', function () {
                seed = String(1 + Math.floor(Math.random() * 1e6));
                address.searchParams.set(short, seed);
                history.replaceState(null, '', address);
                pose().then(() => input.focus());
            }), streak, said);
        form.addEventListener('keydown', (event) => event.stopPropagation());
        form.addEventListener('submit', async function (event) {
            event.preventDefault();
            const [verdict, text, to] = await ask(['try', name, seed, input.value]);
            said.textContent = text;
            link.remove();
            if (to) { said.after(Object.assign(link, { href: root + to })); }
            if (verdict === 'wrong') { count(0); }
            if (verdict === 'right' && !tried) { count(row() + 1); }
            tried = verdict === 'right' || tried;
        });
        shown.closest('details').before(form);
        count(row());
        if (seed !== box.dataset.seed) { pose(); }
        return box;
    }

    // The module is fetched when the first of them comes near.
    const near = new IntersectionObserver(function (entries) {
        for (const { target } of entries.filter((e) => e.isIntersecting)) {
            near.unobserve(target);
            ask([]).then(() => { target.dataset.ready = ''; },
                () => document.querySelectorAll('form.live').forEach((e) => e.remove()));
        }
    }, { rootMargin: '600px' });
    document.querySelectorAll('figure > svg[data-live]').forEach((e) => near.observe(liven(e)));
    document.querySelectorAll('[data-drill]').forEach((e) => near.observe(practise(e)));
})();
