// Figures that move, and drills: the book's own Rust, compiled to generated/live.wasm.
// The module works on a thread of its own, live-worker.js; without it a page is static.
(function () {
    'use strict';
    if (location.protocol === 'file:' || !window.WebAssembly || !window.Worker) { return; }
    const root = new URL(path_to_root || './', location.href).href;
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    let worker = null, waiting = [];
    function ask(words, file) {
        if (!worker) {
            worker = new Worker(root + 'live-worker.js');
            worker.onmessage = function ({ data: words }) {
                const [done, failed] = waiting.shift();
                return /^error: /.test(words[0]) ? failed(new Error(words[0])) : done(words);
            };
            worker.onerror = function () {
                worker = null;
                waiting.splice(0).forEach(([, failed]) => failed(new Error('error: no worker')));
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
            const text = (e.value + ' ' + e.dataset.unit).trim().replace('-', '\u2212');
            e.nextSibling.textContent = text;
            e.setAttribute('aria-valuetext', text);
        });
        const read = () => elements.map((e) => e.value);
        const set = function (texts) {
            elements.forEach((e, k) => { e.value = texts[k]; });
            tell();
        };
        tell();
        return { elements, set, tell, read };
    }

    function liven(svg) {
        const figure = svg.closest('figure'), first = svg;
        const { live: name, file, runs, controls, said: words } = svg.dataset;
        const said = make('output', { className: 'said', textContent: words });
        let begun = false, playing = null, busy = false, wanted = null, epoch = 0, dragged = null;

        function put(fresh, line) {
            svg.replaceWith(fresh);
            [svg, said.textContent] = [fresh, line];
        }
        // Steps that come while an answer is awaited add up.
        async function show(steps) {
            wanted = (wanted || 0) + steps;
            while (wanted !== null && !busy) {
                const settings = [...knobs.values()].map((k) => k.read().join()), mark = epoch;
                const question = [name, ...settings, String(wanted)];
                [wanted, busy] = [null, true];
                try {
                    const fresh = !runs || !begun;
                    let answer = fresh && await ask([runs ? 'run' : 'draw', ...question], file);
                    begun = begun || mark === epoch;
                    if (runs && (!fresh || question.at(-1) !== '0')) {
                        answer = await ask(['step', ...question]);
                    }
                    const [text, line] = answer;
                    const made = make('template', { innerHTML: text }).content.firstChild;
                    if (mark === epoch) { put(made, line); }
                } catch (error) {
                    said.textContent = 'It does not move here: ' + error.message;
                    begun = false;
                    play(false);
                }
                busy = false;
            }
        }
        function redraw() {
            knobs.forEach((k) => k.tell());
            return show(0);
        }
        async function play(on) {
            const turn = on ? {} : null;
            playing = turn;
            toggle.textContent = on ? 'Pause' : 'Play';
            said.setAttribute('aria-live', on ? 'off' : 'polite');
            while (turn && playing === turn) {
                await show(1);
                await new Promise(requestAnimationFrame);
            }
        }
        const toggle = button('Play', () => play(!playing));
        // For a reader who asked for no motion the run jumps.
        const jump = button('Jump', () => show(50));
        const form = make('form', { className: 'live', innerHTML: controls });
        const knobs = new Map(Array.from(form.elements, (e) => [e.name,
            knob(Array.from(form.elements).filter((f) => f.name === e.name))]));
        const run = [still ? jump : toggle, button('Step', () => show(1))];
        form.append(...(runs ? run : []), button('Reset', null, 'reset'), said);
        form.onsubmit = (event) => event.preventDefault();
        form.oninput = redraw;
        form.onreset = () => setTimeout(function () {
            [epoch, begun, wanted] = [epoch + 1, false, null];
            play(false);
            put(first, words);
            knobs.forEach((k) => k.tell());
        });
        svg.after(form);
        // Arrow keys move a control, not the page. Where strokes are drawn they move the pen,
        // with Shift it is lifted.
        form.addEventListener('keydown', function (event) {
            event.stopPropagation();
            const { name: of, value, dataset: { side } } = event.target;
            if (!side || event.altKey || event.ctrlKey || event.metaKey) { return; }
            const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
                ArrowDown: [0, 1], Backspace: [], Delete: [] }[event.key];
            if (!way) { return; }
            event.preventDefault();
            const last = value.match(/([\d.]+),([\d.]+)\s*$/) || [0, side / 2, side / 2];
            const to = way.map((d, k) => Math.min(Math.max(Number(last[k + 1]) + d, 0), side));
            const trail = event.shiftKey ? value.replace(/;[^ ]* *[^ ]*$/, '') + '; ' : value + ' ';
            const less = event.key === 'Delete' ? '' : value.replace(/;? *[^ ;]+ *$/, '');
            knobs.get(of).set([way.length ? trail + to.join() : less]);
            redraw();
        });
        // Clicks and drags on the picture do what the controls do.
        function drag(event, begins) {
            const { target: { elements: [a, b], set, read }, box } = dragged;
            const part = (v) => Math.min(Math.max(v, 0), 1);
            const x = part((event.clientX - box.left) / box.width);
            const y = part((event.clientY - box.top) / box.height);
            const mix = ({ min, max }, t) => Number(min) + (max - min) * t;
            const at = [x, y].map((t) => (t * a.dataset.side).toFixed(1)).join();
            if (a.dataset.side) { set([read() + (begins ? '; ' : ' ') + at]); }
            else { set([mix(a, x), b && mix(b, 1 - y)]); }
            redraw();
        }
        figure.addEventListener('click', function (event) {
            const chosen = form.isConnected && event.target.closest('[data-set]');
            if (!chosen) { return; }
            const { elements, set } = knobs.get(chosen.dataset.knob), { set: to } = chosen.dataset;
            set(elements.length > 1 ? to.split(',') : [to]);
            redraw();
        });
        figure.addEventListener('pointerdown', function (event) {
            const handle = form.isConnected && !dragged && event.target.closest('.handle');
            if (!handle || event.button !== 0) { return; }
            const target = knobs.get(handle.dataset.knob), box = handle.getBoundingClientRect();
            dragged = { target, box, was: target.read(), id: event.pointerId };
            figure.setPointerCapture(event.pointerId);
            event.preventDefault();
            target.elements[0].focus({ preventScroll: true });
            drag(event, true);
        });
        figure.addEventListener('pointermove', (event) =>
            dragged && dragged.id === event.pointerId && drag(event, false));
        // A finger that scrolls moves nothing; one that draws, or moves a point, does not scroll.
        figure.addEventListener('pointercancel', function () {
            if (dragged) { dragged.target.set(dragged.was); redraw(); }
        });
        figure.addEventListener('lostpointercapture', () => { dragged = null; });
        figure.addEventListener('touchstart', function (event) {
            const handle = form.isConnected && event.target.closest('.handle');
            const [a, b] = handle ? knobs.get(handle.dataset.knob).elements : [];
            if (b || (a && a.dataset.side)) { event.preventDefault(); }
        }, { passive: false });
        new IntersectionObserver(([e]) => e.isIntersecting || play(false)).observe(figure);
        // Paper shows the figure that the caption speaks of.
        window.addEventListener('beforeprint', () => svg.replaceWith(first));
        window.addEventListener('afterprint', () => first.replaceWith(svg));
        return figure;
    }

    // What the browser keeps, where it may.
    function kept(key, value) {
        try {
            if (value !== undefined) { localStorage.setItem(key, value); }
            return localStorage.getItem(key);
        } catch { return null; }
    }

    // A problem of a drill; its seed stands in the address, so that it can be set.
    function practise(box) {
        const name = box.dataset.drill, short = name.split('/').pop(), key = 'drill-' + name;
        const question = box.querySelector('.question'), shown = box.querySelector('.worked');
        const input = make('input', { type: 'text', autocomplete: 'off', id: 'try-' + short });
        const label = make('label', { htmlFor: input.id, textContent: 'Your answer' });
        const said = make('output', { className: 'said' }), streak = make('span');
        const link = make('a', { textContent: 'Read about it' });
        const given = new URL(location.href).searchParams.get(short);
        let seed = /^\d{1,19}$/.test(given) ? given : box.dataset.seed, tried = false, row = 0;
        const count = function (n) {
            row = n;
            streak.textContent = n > 1 ? n + ' in a row' : '';
        };
        async function pose() {
            [input.disabled, question.textContent, said.textContent] = [true, '…', ''];
            link.remove();
            const [text, , hint] = await ask(['drill', name, seed]);
            [shown.textContent] = await ask(['shown', name, seed]);
            [question.textContent, label.textContent, input.value, tried] = [text, hint, '', false];
            input.disabled = shown.closest('details').open = false;
        }
        const form = make('form', { className: 'live' }, label, input,
            button('Check', null, 'submit'), button('Another problem', function () {
                const address = new URL(location.href);
                seed = String(1 + Math.floor(Math.random() * 1e6));
                address.searchParams.set(short, seed);
                history.replaceState(null, '', address);
                pose().then(() => input.focus(), (e) => { said.textContent = e.message; });
            }), streak, said);
        form.addEventListener('keydown', (event) => event.stopPropagation());
        form.addEventListener('submit', async function (event) {
            event.preventDefault();
            const about = seed;
            const [verdict, text, to] = await ask(['try', name, seed, input.value])
                .catch((error) => ['', error.message]);
            if (about !== seed) { return; }
            said.textContent = text;
            link.remove();
            if (to) { said.after(Object.assign(link, { href: root + to })); }
            if (!tried && /right|wrong/.test(verdict)) {
                count(verdict === 'right' ? row + 1 : 0);
                kept(key, row);
            }
            tried = verdict === 'right' || tried;
        });
        shown.closest('details').before(form);
        count(Number(kept(key)));
        if (seed !== box.dataset.seed) { pose().catch(() => {}); }
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
