// The learner's grade in the page: what `cargo grade` wrote last, asked of
// `cargo book` and of no other server. Texts from there become text, never
// markup; the pictures are drawn by the server.
(function () {
    'use strict';

    // A page with all chapters, for print, shows the lists alone.
    const lists = document.querySelectorAll('.exercises .tasks');
    const list = lists.length === 1 ? lists[0] : null;
    const slug = list ? list.dataset.exercise : '';
    const SIGNS = { passed: '✓', wrong: '✗', 'not begun': '·' };
    const shown = new Map();    // what a task shows, as JSON, by its name
    let status = null;
    let asked = 0;

    function element(name, className, text) {
        const made = document.createElement(name);
        if (className) { made.className = className; }
        if (text) { made.textContent = text; }
        return made;
    }

    // Text of which the beginning, or all of it, is a link.
    function linked(text, start, address) {
        const all = document.createDocumentFragment();
        const link = element('a', '', start);
        link.href = address;
        all.append(link, text.slice(start.length));
        return all;
    }

    function counted(passed, all, what, points, of) {
        return `${passed} of ${all} ${what} passed, ${points} of ${of} points`;
    }

    // The report as the terminal has it: labels and what they stand for.
    function reported(entries) {
        const report = element('dl', 'grade-report');
        for (const entry of entries) {
            report.append(element('dt', '', entry.label));
            const text = element('dd');
            // Arrays are aligned by spaces and scroll; sentences wrap.
            const start = entry.code || entry.text;
            const body = entry.link ? linked(entry.text, start, entry.link) : entry.text;
            if (entry.label === 'printed' || /^[[( ]/m.test(entry.text)) {
                const block = element('pre');
                block.append(body);
                text.append(block);
            } else {
                text.append(body);
            }
            report.append(text);
        }
        return report;
    }

    function drawn(maps) {
        const all = element('div', 'grade-maps');
        for (const map of maps) {
            const figure = element('div', 'grade-map');
            const parsed = new DOMParser().parseFromString(map.svg, 'text/html');
            const svg = document.importNode(parsed.querySelector('svg'), true);
            svg.style.maxWidth = 'none';
            svg.style.width = `${map.width}px`;
            const scroller = element('div', 'grade-scroller');
            scroller.append(svg);
            const caption = element('div', 'grade-caption', `${map.title} ${map.part}`.trim());
            figure.append(scroller, caption);
            all.append(figure);
        }
        return all;
    }

    // What scrolls sideways can be reached and scrolled by the keyboard.
    function markScrollers(inside) {
        for (const box of inside.querySelectorAll('pre, .grade-scroller')) {
            if (box.scrollWidth > box.clientWidth + 1) {
                box.tabIndex = 0;
                box.setAttribute('role', 'region');
                box.setAttribute('aria-label', 'scrolls sideways');
                box.addEventListener('keydown', function (event) {
                    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
                        event.stopPropagation();
                    }
                });
            }
        }
    }

    function stateOf(task) {
        const state = element('span', 'grade-state');
        state.dataset.state = task.state;
        const sign = element('span', '', (SIGNS[task.state] || '!') + ' ');
        sign.setAttribute('aria-hidden', 'true');
        state.append(sign, task.state);
        if (task.points) { state.append(`, +${task.points}`); }
        if (task.changed) {
            state.append(element('span', 'grade-changed', ' · changed since'));
        }
        return state;
    }

    function detailsOf(task, open) {
        const details = element('details', 'grade-details');
        details.open = open;
        details.append(element('summary', '', task.title));
        const inside = element('div');
        inside.append(reported(task.report));
        if (task.maps.length) { inside.append(drawn(task.maps)); }
        details.append(inside);
        details.addEventListener('toggle', () => markScrollers(details));
        return details;
    }

    // What is as it was stays: an opened report, the focus in it.
    function showTask(item, task, first) {
        const text = JSON.stringify(task);
        if (shown.get(item.dataset.task) === text) { return; }
        shown.set(item.dataset.task, text);
        const before = item.querySelector('details');
        const focused = before && before.contains(document.activeElement);
        for (const old of item.querySelectorAll('.grade-state, details')) { old.remove(); }
        if (!task) { return; }
        item.append(stateOf(task));
        if (task.state === 'passed' || !task.report.length) { return; }
        const details = detailsOf(task, before ? before.open : first);
        item.append(details);
        markScrollers(details);
        if (focused) { details.querySelector('summary').focus(); }
    }

    function showList(grade) {
        const here = grade.here;
        const sum = grade.exercises[slug];
        if (!status) {
            status = element('div', 'grade-status');
            status.setAttribute('role', 'status');
            list.before(status);
        }
        const words = grade.grading === slug ? 'grading … '
            : !here ? ''
            : here.errors ? 'does not compile: none of the tasks can pass'
            : counted(sum.passed, sum.tasks, 'tasks', sum.points, sum.of);
        if (status.textContent !== words) { status.textContent = words; }
        let errors = list.parentElement.querySelector('.grade-errors');
        if (!here || !here.errors) {
            if (errors) { errors.remove(); }
        } else {
            if (!errors) {
                errors = element('pre', 'grade-errors');
                list.after(errors);
            }
            if (errors.textContent !== here.errors) { errors.textContent = here.errors; }
            markScrollers(errors.parentElement);
        }
        const tasks = new Map((here ? here.tasks : []).map((t) => [t.task, t]));
        let first = true;
        for (const item of list.querySelectorAll('[data-task]')) {
            const task = tasks.get(item.dataset.task);
            const open = Boolean(task && task.report.length && task.state !== 'passed');
            showTask(item, task, open && first);
            if (open) { first = false; }
        }
    }

    // A tick behind every chapter whose exercise is passed.
    function markSidebar(exercises) {
        const done = new Set();
        for (const [name, sum] of Object.entries(exercises)) {
            if (sum.passed === sum.tasks) { done.add(`/${name}.html`); }
        }
        for (const link of document.querySelectorAll('#mdbook-sidebar a[href]')) {
            const mark = link.querySelector('.grade-passed');
            const wanted = !link.hash && done.has(link.pathname);
            if (mark && !wanted) { mark.remove(); }
            if (mark || !wanted) { continue; }
            const made = element('span', 'grade-passed');
            const sign = element('span', '', ' ✓');
            sign.setAttribute('aria-hidden', 'true');
            made.append(sign, element('span', 'grade-spoken', ' (exercise passed)'));
            link.append(made);
        }
    }

    function showProgress(grade) {
        const place = document.querySelector('main .grade-progress');
        if (!place) { return; }
        const words = Object.keys(grade.exercises).length === 0 ? ''
            : counted(grade.done, grade.all, 'exercises', grade.points, grade.of);
        if (place.textContent !== words) { place.textContent = words; }
    }

    async function ask() {
        asked += 1;
        const turn = asked;
        let grade;
        try {
            grade = await (await fetch(`/__grade?${slug}`)).json(); // served
        } catch {
            return;     // the server has ended: what is shown stays
        }
        if (turn !== asked) { return; }
        markSidebar(grade.exercises);
        showProgress(grade);
        if (list) { showList(grade); }
    }

    // Comes in the pages of `cargo book` alone, for every other grade.
    document.addEventListener('graded', ask);
    window.addEventListener('resize', function () {
        if (list) { markScrollers(list.parentElement); }
    });
})();
