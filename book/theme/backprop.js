// What mdBook leaves out for readers without a mouse, and for paper.
(function () {
    'use strict';

    // A link past the sidebar, the first thing that Tab reaches.
    const skip = document.createElement('a');
    skip.className = 'skip-link';
    skip.href = '#mdbook-content';
    skip.textContent = 'Skip to the text';
    document.body.prepend(skip);
    const content = document.getElementById('mdbook-content');
    content.tabIndex = -1;
    content.style.outline = 'none';
    skip.addEventListener('click', function (event) {
        event.preventDefault();
        content.focus();
        content.scrollIntoView();
    });

    // The sidebar toggle is a <label>: make it a button for the keyboard.
    const toggle = document.getElementById('mdbook-sidebar-toggle');
    toggle.tabIndex = 0;
    toggle.setAttribute('role', 'button');
    toggle.addEventListener('keydown', function (event) {
        if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            toggle.click();
        }
    });

    // The title leads home.
    const title = document.querySelector('.menu-title');
    const home = document.createElement('a');
    home.href = path_to_root + 'index.html';
    home.append(...title.childNodes);
    title.append(home);

    // On a phone a touch beside the open sidebar closes it.
    document.getElementById('mdbook-page-wrapper')
        .addEventListener('click', function (event) {
            const open = document.getElementById('mdbook-sidebar-toggle-anchor');
            if (event.target === event.currentTarget && open.checked
                && window.innerWidth < 620) {
                open.click();
            }
        });

    // What carries a bar in a formula is tinted in code: `d` before the name
    // of a quantity, and the deltas of a network. The words dot, dim, div, dev
    // and do are none.
    const COTANGENT = new RegExp('\\b(?:'
        + 'd(?:[a-np-zA-Z]\\d?|qk|gamma|beta|loss|lse|logits)(?:_\\w+)?'
        + '|deltas?(?:_\\w+)?)\\b', 'g');
    function tint(code) {
        const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        const texts = [];
        while (walker.nextNode()) { texts.push(walker.currentNode); }
        for (const text of texts) {
            const parts = [];
            let from = 0;
            for (const found of text.data.matchAll(COTANGENT)) {
                const span = document.createElement('span');
                span.className = 'q-cotangent';
                span.append(found[0]);
                parts.push(text.data.slice(from, found.index), span);
                from = found.index + found[0].length;
            }
            if (parts.length > 0) {
                text.replaceWith(...parts, text.data.slice(from));
            }
        }
    }
    content.querySelectorAll('pre > code.language-rust').forEach(tint);

    // The catalogue of mistakes: what is typed leaves only entries that have
    // all its words. The place for the field is in the page.
    function plain(text) { return text.toLowerCase().replaceAll('_', ' '); }
    for (const place of content.querySelectorAll('.filter')) {
        const entries = Array.from(
            content.querySelectorAll('.mistake, .mistake-names li'));
        const groups = Array.from(content.querySelectorAll(
            '.mistakes, .mistake-names'));
        const words = new Map(entries.map(
            (e) => [e, plain(e.textContent)]));
        const label = document.createElement('label');
        const field = document.createElement('input');
        const count = document.createElement('output');
        field.type = 'search';
        field.placeholder = content.querySelector('.mistake')
            ? 'a name, a word, a formula' : 'part of a name';
        label.append('Find ', field);
        place.append(label, count);
        const show = function () {
            const wanted = plain(field.value).trim().split(/\s+/);
            let shown = 0;
            for (const e of entries) {
                e.hidden = !wanted.every((w) => words.get(e).includes(w));
                if (!e.hidden) { shown += 1; }
            }
            for (const group of groups) {
                group.hidden = !group.querySelector(
                    '.mistake:not([hidden]), li:not([hidden])');
            }
            count.textContent = shown === entries.length
                ? `${shown} mistakes` : `${shown} of ${entries.length}`;
        };
        field.addEventListener('input', show);
        // Keys are letters here: mdBook would turn pages and open its search.
        field.addEventListener('keydown', function (event) {
            event.stopPropagation();
            if (event.key === 'Escape') { field.value = ''; show(); }
        });
        // A link to an entry that is hidden shows all of them again.
        window.addEventListener('hashchange', function () {
            const target = document.getElementById(location.hash.slice(1));
            if (target && target.closest('[hidden]')) {
                field.value = '';
                show();
                target.scrollIntoView();
            }
        });
        show();
    }

    // The neighbours of a chapter by name; mdBook gives arrows only.
    const titles = new Map();
    for (const a of document.querySelectorAll('#mdbook-sidebar a[href]')) {
        const address = a.href.split('#')[0];
        if (!titles.has(address)) { titles.set(address, a.textContent); }
    }
    for (const a of document.querySelectorAll('a.mobile-nav-chapters')) {
        const title = titles.get(a.href);
        if (title) {
            const name = document.createElement('span');
            name.textContent = title.trim();
            const back = a.classList.contains('previous');
            a[back ? 'append' : 'prepend'](name);
            a.setAttribute('aria-label',
                (back ? 'Previous: ' : 'Next: ') + name.textContent);
        }
    }

    // What scrolls sideways can be focused and scrolled with the arrow
    // keys, which otherwise turn pages.
    const wide = content.querySelectorAll(
        '.katex-display, .table-wrapper, pre > code, figure');
    function markScrollers() {
        for (const box of wide) {
            if (box.scrollWidth > box.clientWidth + 1) {
                box.tabIndex = 0;
                if (!box.hasAttribute('role') && box.tagName !== 'FIGURE') {
                    box.setAttribute('role', 'region');
                    box.setAttribute('aria-label', 'scrolls sideways');
                }
            }
        }
    }
    for (const box of wide) {
        box.addEventListener('keydown', function (event) {
            if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
                event.stopPropagation();
            }
        });
    }
    // Output that is wider than the text is as wide as a listing.
    function widen() {
        for (const pre of content.querySelectorAll('main > pre')) {
            if (pre.offsetWidth > pre.parentElement.offsetWidth + 1) {
                pre.classList.add('wide');
            }
        }
    }
    window.addEventListener('load', widen);
    window.addEventListener('load', markScrollers);
    window.addEventListener('resize', markScrollers);

    // On paper every answer is open; afterwards as it was.
    let opened = [];
    window.addEventListener('beforeprint', function () {
        opened = Array.from(document.querySelectorAll('details:not([open])'));
        for (const d of opened) { d.open = true; }
    });
    window.addEventListener('afterprint', function () {
        for (const d of opened) { d.open = false; }
    });
})();
