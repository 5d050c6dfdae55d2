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
