// The table of contents before it is first painted, so that nothing moves: the
// book's title leads home, and of each part the chapters that are not written
// yet are folded into one line.
(function () {
    'use strict';

    function fold(drafts, written, last) {
        if (drafts.length === 0) { return; }
        const line = document.createElement('li');
        line.className = 'chapter-item expanded planned';
        const details = document.createElement('details');
        const summary = document.createElement('summary');
        summary.textContent = `${drafts.length} ${written ? 'more ' : ''}`
            + 'in preparation';
        const list = document.createElement('ol');
        last.after(line);
        list.append(...drafts);
        details.append(summary, list);
        line.append(details);
    }

    function arrange(chapters) {
        const home = document.createElement('a');
        home.className = 'book-home';
        home.href = path_to_root + 'index.html';
        home.textContent = 'Backprop by Hand';
        chapters.closest('nav').prepend(home);
        let drafts = [];
        let written = false;
        let last = null;
        for (const li of Array.from(chapters.children)) {
            if (li.classList.contains('part-title')) {
                fold(drafts, written, last);
                drafts = [];
                written = false;
            } else if (li.querySelector('a')) {
                written = true;
            } else if (li.textContent.trim() !== '') {
                drafts.push(li);
            }
            last = li;
        }
        fold(drafts, written, last);
    }

    // The element fills itself when the parser reaches it.
    new MutationObserver(function (_, observer) {
        const chapters = document.querySelector('#mdbook-sidebar .chapter');
        if (chapters) {
            observer.disconnect();
            arrange(chapters);
        }
    }).observe(document, { childList: true, subtree: true });
})();
