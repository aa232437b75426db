// page.mjs -- the monitor's page in a real browser, in front of the proxy.
//
// The numbers are those of the page's acceptance tests.
//
// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, figure, scenario, sleep, summary, timely } from './harness.mjs';
import { at, open, outline, quit, rows, show, textOf, until } from './browser.mjs';
import { TOOLS, Talk, call, day, evening, script } from './talk.mjs';

const TABS = ['new', 'tools', 'system', 'context', 'wire', 'timing', 'compare'];
const hostile = '<img src=x onerror="window.pwned=1"></script><script>' +
	'window.pwned=1</script>\u202egpj.exe\u2066';
const shown = hostile.replace('\u202e', '\\u{202e}').replace('\u2066',
	'\\u{2066}');
const stage = (s, env = {}) => s.pair('vllm', script, 'qwen3', { env });
const clean = (page) => assert.deepEqual(page.trouble, []);
const guessed = async (px) => (await (await fetch(
	`${px.url}/dashboard/data?limit=1000`)).json()).map((l) =>
	l['gen_ai.conversation.id']).filter((id) => /^guess-/.test(id));
const sessionRows = (page) => page.$$eval('#rail li', (all) => all.map((e) =>
	e.innerText.replace(/\s+/g, ' ')));

await scenario('page 1: offline, strict, and small', async (s) => {
	const px = await stage(s), d = await day(px);
	let bytes = 0;

	for (const name of ['', '/app.css', '/app.js']) {
		const r = await fetch(`${px.url}/dashboard${name}`);
		assert.equal(r.status, 200);
		const n = (await r.arrayBuffer()).byteLength;
		bytes += n;
	}
	assert.ok(bytes <= 61440, `${bytes} bytes`);
	const page = await open(s, px.url);
	await until(page, () => document.querySelectorAll('[role=option]').length);
	for (const tab of TABS)
		await show(page, d.session, d.step.bash.id, tab);
	await page.keyboard.press('?');
	await page.keyboard.press('Escape');
	clean(page);
	const csp = (await fetch(`${px.url}/dashboard`)).headers.get(
		'content-security-policy');
	for (const part of ["default-src 'none'", "script-src 'self'",
		"require-trusted-types-for 'script'", "trusted-types 'none'"])
		assert.ok(csp.includes(part), part);
	/* The page's policy holds: what it forbids is seen as trouble. */
	await page.evaluate(() => {
		try {
			document.body.innerHTML += '<i></i>';
		} catch {}
	});
	await sleep(100);
	assert.ok(page.trouble.some((t) => t.startsWith('policy:')), 'a violation goes unseen');
	figure('the page', `${bytes} bytes, of 61440`);
});

/* All of the test above once more, where there is no network but loopback;
 * the proxy sees a folder with nothing in it but itself. */
await scenario('page 1: the same, from a scratch image without a network', async (s) => {
	const image = mkdtempSync(join(tmpdir(), 'claudecodex-image-'));
	const binary = process.env.STATIC ?? 'build/static/claudecodex';
	const loopback = '$up = pack("a16sx22", "lo", 1); socket(S, PF_INET, ' +
		'SOCK_DGRAM, 0); ioctl(S, 0x8914, $up) or die; exec @ARGV';
	const alone = (flags, env, ...command) => new Promise((ok) => execFile(
		'unshare', [flags, 'perl', '-MSocket', '-e', loopback, ...command],
		{ env: { ...process.env, ...env } }, (e, out, err) => ok({ out:
		out + err, code: e?.code ?? 0 })));

	s.keep({ close: () => rmSync(image, { recursive: true }) });
	assert.ok(existsSync(binary), `no ${binary}: make static`);
	cpSync(binary, join(image, 'claudecodex'));
	let flags = '-n';
	if ((await alone(flags, {}, 'true')).code !== 0)
		flags = '-rn';
	if ((await alone(flags, {}, 'true')).code !== 0) {
		console.log('    NOT RUN: 1, without a network: this user may not ' +
			'make such a place');
		return;
	}
	const r = await alone(flags, { IMAGE: image, ONLY: 'page 1: offline' },
		process.execPath, ...process.execArgv, process.argv[1]);
	assert.match(r.out, /ok {5}page 1: offline/, r.out);
	assert.match(r.out, /page: 1 passed, 0 failed/, r.out);
	/* It wrote its journal there, and needed nothing else. */
	assert.deepEqual(readdirSync(image).sort(), ['claudecodex', 'log']);
	console.log(`    the namespaces of unshare ${flags} and a chroot stand ` +
		'in for a container');
});

await scenario('page 2: hostile text stays text', async (s) => {
	const px = await stage(s);
	const t = new Talk(px, { system: hostile, session: 'evil-<img src=x>',
		model: 'claude-' + hostile.replace(/[^ -~]/g, ''), type: hostile
			.replace(/[^ -~]/g, ''), agent: 'a<b>',
		tools: [{ ...TOOLS[1], description: hostile, input_schema: { type:
			'object', properties: { [hostile.slice(0, 20)]: { type: 'string',
			description: hostile } } } }, TOOLS[4]] });
	const one = await t.ask(hostile, { reasoning: hostile, text: hostile +
		'\n```html\n' + hostile + '\n```\n', calls: [call('Bash',
		{ [hostile.slice(0, 20)]: hostile })] });
	assert.equal(one.status, 200, one.text);
	const two = await t.results([{ content: hostile, is_error: true }],
		{ text: '<b>bold</b>' + hostile });
	await t.ask(hostile, { fail: { status: 400, body: { error: { message:
		hostile, type: hostile } } } });
	const page = await open(s, px.url);
	await until(page, () => document.querySelectorAll('[role=option]').length);
	for (const id of [one.id, two.id])
		for (const tab of TABS) {
			await show(page, t.session, id, tab);
			await page.evaluate(() => document.querySelectorAll('details')
				.forEach((d) => d.open = true));
			const text = await textOf(page, '#panel');
			if (['new', 'tools', 'system'].includes(tab))
				assert.ok(text.includes(shown), `${tab}: ${text.slice(0, 400)}`);
			assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(await page
				.evaluate(() => document.body.textContent)), `${tab}: bidi`);
			assert.equal(await page.evaluate(() => document.querySelectorAll(
				'img, iframe, object, script:not([src]), #panel script')
				.length), 0, tab);
		}
	assert.equal(await page.evaluate(() => window.pwned), undefined);
	clean(page);
});

await scenario('page 3: words and arguments as they come', async (s) => {
	const px = await stage(s), t = new Talk(px);
	const page = await open(s, px.url);
	let round = 0;

	await page.evaluate(() => {
		window.look = () => {
			const text = document.querySelector('#panel').innerText;
			for (const w of window.words)
				if (!window.seen[w] && text.includes(w))
					window.seen[w] = Date.now();
			const m = /"command":\s*"([^"]*)/.exec(text);
			if (m)
				window.grew.add(m[1].length);
		};
		window.words = [];
		new MutationObserver(() => window.look()).observe(document.body,
			{ subtree: true, childList: true, characterData: true });
	});
	const run = async () => {
		const words = Array.from({ length: 24 }, (_, i) =>
			`word${++round * 100 + i}`);

		await page.evaluate((words) => Object.assign(window, { words, seen: {},
			grew: new Set() }), words);
		await t.ask('Say the words.', { delay: 200, pieces: words.map((w) =>
			w + ' '), calls: [call('Bash', { command:
			'echo one two three four five' })] });
		const end = Date.now(), said = s.up.chats.at(-1).said;
		const { seen, grew } = await page.evaluate(() => ({ seen: window.seen,
			grew: [...window.grew] }));
		t.messages = [];
		assert.ok(grew.length >= 3, `arguments grew ${grew.length} times`);
		for (const w of words)
			assert.ok(seen[w] < end, `${w} came with the end`);
		return words.map((w, i) => seen[w] - said[i].at).sort((a, b) => a - b);
	};
	const { r: late, slack } = await timely(run, (l, slack) => l.at(-1) < 250 +
		slack, 3);
	assert.ok(late.at(-1) < 250 + slack, `a word was ${late.at(-1)} ms late`);
	figure('a word, from upstream to the page', `p50 ${late[12]} ms, p95 ${
		late[22]} ms, most ${late.at(-1)} ms, of 250`);
	clean(page);
});

await scenario('page 4: sessions, however they are told', async (s) => {
	const px = await stage(s);
	const two = [new Talk(px), new Talk(px)];

	for (const t of two) {
		await t.ask('hello', { text: 'hi' });
		await t.ask('again', { text: 'hi again' });
	}
	const page = await open(s, px.url);
	await until(page, () => document.querySelectorAll('#rail li').length === 2);
	for (const by of ['old', 'json', 'none'])
		for (const n of [1, 2]) {
			const t = new Talk(px, { by, hints: false });
			await t.ask(`told ${by} ${n}`, { text: 'hi' });
			await t.ask('and again', { text: 'hi' });
			await until(page, (text) => [...document.querySelectorAll(
				'#rail li')].some((e) => e.innerText.includes(text) &&
				/2 steps/.test(e.innerText)), `told ${by} ${n}`);
		}
	const all = await sessionRows(page);
	assert.equal(all.length, 8, all.join('\n'));
	for (const by of ['old', 'json', 'none'])
		assert.equal(all.filter((r) => r.includes(`told ${by}`) && (by ===
			'none' ? /by guess/ : /by body/).test(r)).length, 2, by);
	await page.click('#rail li:last-child a');
	await until(page, () => /by header/.test(document.querySelector('#strip')
		.innerText));
	assert.equal((await rows(page)).length, 2);
	/* Who says only later who it is goes on in the same row. */
	const late = new Talk(px, { by: 'none', hints: false });
	const first = await late.ask('told late', { text: 'hi' });
	await show(page, (await guessed(px)).at(-1), first.id);
	late.by = 'header';
	const second = await late.ask('and again', { text: 'hi' });
	await until(page, (id) => document.getElementById('r-' + id), second.id);
	assert.deepEqual((await rows(page)).map((r) => r.id), [first.id, second.id]);
	assert.match(await textOf(page, '#strip'), new RegExp(late.session
		.slice(0, 8) + ' by header'));
	assert.equal((await sessionRows(page)).length, 9);
	await until(page, (id) => location.hash.includes(id), late.session);
	clean(page);
});

await scenario('page 4: the whole fixture is two sessions', async (s) => {
	const px = await stage(s), d = await day(px), other = new Talk(px);

	await other.ask('another session', { text: 'hi' });
	await evening(px, d);
	const page = await open(s, px.url, { hash: at(d.session,
		d.step.after.id) });
	await until(page, (id) => document.getElementById('r-' + id),
		d.step.after.id);
	assert.equal((await sessionRows(page)).length, 2);
	await page.keyboard.press('.');
	await until(page, (id) => document.getElementById('r-' + id),
		d.step.probe.id);
	const all = await rows(page);
	const text = (step) => all.find((r) => r.id === d.step[step].id).text;
	assert.match(text('probe'), /probe/);
	assert.match(text('busy'), /error 400/);
	assert.match(text('again'), /retry 1/);
	assert.match(text('cut'), /cut/);
	assert.match(text('summary'), /compaction/);
	assert.match(text('after'), /compacted/);
	/* The fork's own lane is a guess: only its time gave it away. */
	const lanes = (await outline(page)).filter((r) => r.kind === 'lane');
	assert.equal(lanes.filter((r) => /~/.test(r.text)).length, 1,
		JSON.stringify(lanes));
	clean(page);
});

await scenario('page 5: only what is new', async (s) => {
	const px = await stage(s), t = new Talk(px);

	await t.ask('first words', { text: 'answer one', calls: [call('Bash',
		{ command: 'ls' })] });
	await t.results(['a b c'], { text: 'answer two' });
	const third = await t.ask([{ type: 'text', text:
		'<system-reminder>be kind</system-reminder>' }, { type: 'text', text:
		'third words' }], { text: 'answer three', calls: [call('Read',
		{ file_path: 'x.c' })] });
	const page = await open(s, px.url, { hash: at(t.session, third.id) });
	let text = await show(page, t.session, third.id);

	/* Before it: user, assistant, user; new: assistant, user. */
	assert.match(text, /\b3 earlier messages hidden/);
	assert.match(text, /third words/);
	assert.match(text, /answer three/);
	assert.ok(!text.includes('first words') && !text.includes('a b c'), text);
	assert.ok(!text.includes('be kind'), 'a reminder is folded');
	await page.keyboard.press('x');
	await until(page, () => /first words/.test(document.querySelector('#panel')
		.innerText));
	text = await textOf(page, '#panel');
	for (const w of ['first words', 'answer one', 'a b c', 'answer two',
		'third words', 'be kind'])
		assert.ok(text.includes(w), w);
	assert.ok(!/earlier messages hidden/.test(text));
	await page.keyboard.press('x');
	/* The client moved its cache mark at each step: nothing changed by it. */
	for (const tab of ['system', 'tools'])
		assert.ok(!/[±+−] ?(changed|added|removed)/.test(await show(page,
			t.session, third.id, tab)), tab);
	const one = await t.results(['int x;'], { text: 'answer four' });
	text = await show(page, t.session, one.id);
	assert.match(text, /\b5 earlier messages hidden/);
	clean(page);
});

const TREE = ['step 0 Agent', 'lane 0 Explore', 'step 14 Agent',
	'lane 14 general-purpose', 'lane 0 Plan', 'lane 0 side'];
const treeOf = async (page) => (await outline(page)).filter((r) => r.kind ===
	'lane' || /Agent/.test(r.text)).map((r) => `${r.kind} ${r.depth} ${
	/^\W*(?:\d )?(\S+)/.exec(r.text)[1]}`);

await scenario('page 6: agents, nested and side by side', async (s) => {
	const px = await stage(s), d = await day(px);
	const page = await open(s, px.url, { hash: at(d.session,
		d.step.nested.id) });

	await until(page, () => document.querySelectorAll('.row.lane').length === 4);
	assert.deepEqual(await treeOf(page), TREE);
	/* count_tokens is never a lane, and hidden until asked for. */
	assert.equal((await rows(page)).length, 9);
	await page.keyboard.press('.');
	await until(page, () => document.querySelectorAll('[role=option]').length
		=== 10);
	assert.equal(await page.$$eval('.row.lane', (e) => e.length), 4);
	await page.keyboard.press('.');
	/* Both ways between an agent and the call that started it. */
	await show(page, d.session, d.step.explore.id);
	await page.click('#panel a:has-text("step 3")');
	await until(page, (id) => location.hash.includes(id), d.step.reads.id);
	await until(page, (id) => document.querySelector('#panel').dataset.is ===
		id + 'new', d.step.reads.id);
	await page.click('#panel a:has-text("its agent") >> nth=0');
	await until(page, (id) => location.hash.includes(id), d.step.explore.id);
	/* Explore and Plan at the same time: their bars overlap on the axis. */
	await until(page, () => document.querySelector('#lanes .bar')
		?.getBoundingClientRect().width > 0);
	/* Found and measured in one go: in between they may be drawn anew. */
	const spans = await page.evaluate(() => Object.fromEntries(
		[...document.querySelectorAll('#lanes .band')].map((b) => {
			const bars = [...b.querySelectorAll('.bar')].map((e) =>
				e.getBoundingClientRect());
			return [b.firstChild.textContent.replace('└ ', ''), bars.length ?
				[Math.min(...bars.map((r) => r.left)), Math.max(...bars
					.map((r) => r.right))] : null];
		})));
	assert.ok(spans.Explore[0] < spans.Plan[1] && spans.Plan[0] <
		spans.Explore[1], JSON.stringify(spans));
	clean(page);
});

await scenario('page 6: agents without a header are marked as guesses', async (s) => {
	const px = await stage(s), d = await day(px, { hints: false });
	const page = await open(s, px.url, { hash: at(d.session,
		d.step.explore.id) });

	await until(page, () => document.querySelectorAll('.row.lane').length === 4);
	const lanes = (await outline(page)).filter((r) => r.kind === 'lane' &&
		!/side calls/.test(r.text));
	assert.equal(lanes.length, 3, JSON.stringify(lanes));
	for (const l of lanes)
		assert.match(l.text, /~/);
	/* The same tree, without the names. */
	assert.deepEqual(await treeOf(page), TREE.map((l) => l.replace(
		/^(lane \d+) [^s].*/, '$1 agent')));
	assert.ok((await textOf(page, '#side')).includes(
		'hints off: tool times are estimates'));
	clean(page);
});

await scenario('page 18: an address chosen while a painting is due', async (s) => {
	const px = await stage(s), d = await day(px), page = await open(s, px.url);
	const hash = at(d.session, d.step.bash.id, 'wire');

	await until(page, () => document.querySelectorAll('[role=option]').length
		> 3);
	/* The painting comes before the hashchange. */
	await page.evaluate((h) => {
		location.hash = h;
		document.querySelector('#filter').dispatchEvent(new Event('input'));
	}, hash);
	await until(page, (id) => document.querySelector('#panel').dataset.is ===
		id + 'wire', d.step.bash.id, 'the step asked for', 3000);
	assert.equal(await page.evaluate(() => location.hash), hash);
	assert.deepEqual(page.trouble, []);
});

await scenario('page 18: every key, and focus is never lost', async (s) => {
	const px = await stage(s), d = await day(px);
	const other = new Talk(px);
	await other.ask('another session', { text: 'hi' });
	await other.ask('fails', { fail: { status: 400 } });
	const page = await open(s, px.url, { permissions: ['clipboard-read',
		'clipboard-write'] });
	const key = async (k) => {
		await page.keyboard.press(k);
		await sleep(40);
		assert.notEqual(await page.evaluate(() =>
			document.activeElement.tagName), 'BODY', `after ${k}`);
	};
	const where = () => page.evaluate(() => decodeURIComponent(location.hash));
	const ids = async () => (await rows(page)).map((r) => r.id);
	const selected = async () => (await rows(page)).find((r) => r.on)?.id;
	const goes = async (k, id) => {
		await key(k);
		await until(page, (id) => location.hash.includes(id), id,
			`${k} goes to ${id}, not ${await selected()}`, 1000);
		assert.equal(await page.evaluate(() => document.activeElement.id),
			'r-' + id);
	};

	await until(page, () => document.querySelectorAll('#rail li').length === 2);
	await page.evaluate((h) => location.hash = h, '#/s/' + d.session);
	await until(page, (n) => document.querySelectorAll('[role=option]').length
		=== n, 9);
	const all = await ids(), step = d.step;
	await key('g');
	assert.equal(await selected(), all[0]);
	await key('G');
	assert.equal(await selected(), all.at(-1));
	await goes('g', all[0]);
	await goes('j', all[1]);
	await goes('j', all[2]);
	await goes('k', all[1]);
	await goes('ArrowDown', all[2]);
	await goes('ArrowUp', all[1]);
	await goes('g', all[0]);
	await goes('a', step.explore.id);
	await goes('a', step.nested.id);
	await goes('A', step.explore.id);
	await goes('l', step.nested.id);
	await goes('h', step.explore.id);
	await goes('g', all[0]);
	await goes('t', step.bash.id);
	await goes('T', step.first.id);
	await goes('e', step.bash.id);
	await goes('G', all.at(-1));
	await goes('E', step.bash.id);
	await goes('g', all[0]);
	await key('c');
	assert.notEqual(await selected(), all[0], 'c goes to a cache miss');
	await key('C');
	for (const [i, tab] of TABS.entries()) {
		await key(String(i + 1));
		await until(page, (tab) => location.hash.endsWith('/' + tab), tab);
		assert.equal(await page.getAttribute('#tab-' + tab, 'aria-selected'),
			'true');
	}
	await key('1');
	await key('[');
	await until(page, (s) => !location.hash.includes(s), d.session.slice(0, 8));
	await key('e');
	assert.equal((await rows(page)).find((r) => r.on).text.includes('error 400'),
		true);
	await key('J');
	await key('K');
	await key(']');
	await until(page, (s) => location.hash.includes(s), d.session.slice(0, 8));
	/* Enter goes in, Escape comes out, level by level. */
	await key('Enter');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'panel');
	await key('Escape');
	assert.match(await page.evaluate(() => document.activeElement.id), /^r-/);
	await key('Escape');
	assert.equal(await page.evaluate(() => !!document.activeElement.closest(
		'nav')), true);
	await key('g');
	/* The filter takes letters for itself. */
	await page.evaluate(() => document.querySelector('#list [tabindex="0"]')
		.focus());
	await key('/');
	const before = await where();
	await page.keyboard.type('class:subagent jkx?');
	await sleep(100);
	assert.equal(await page.inputValue('#filter'), 'class:subagent jkx?');
	assert.equal((await where()).split('?')[0], before.split('?')[0]);
	assert.equal(await page.locator('dialog[open]').count(), 0);
	await page.fill('#filter', 'class:subagent');
	await until(page, () => document.querySelectorAll('.row.step').length === 4);
	await page.fill('#filter', '');
	await key('Escape');
	await key('x');
	await key('x');
	await key('.');
	await key('.');
	await key('3');
	await key('d');
	await key('d');
	await key('m');
	assert.match(await textOf(page, '#strip'), /since mark/);
	await key('m');
	assert.doesNotMatch(await textOf(page, '#strip'), /since mark/);
	await key('1');
	await key('y');
	await until(page, async () => (await navigator.clipboard.readText())
		.length > 5);
	await key('Y');
	await until(page, async () => (await navigator.clipboard.readText())
		.startsWith('curl '));
	await key('p');
	assert.match(await textOf(page, '#state'), /paused/);
	await key('p');
	await until(page, () => /live/.test(document.querySelector('#state')
		.innerText));
	for (const k of ['?', 'o']) {
		await key(k);
		assert.equal(await page.locator('dialog[open]').count(), 1, k);
		await page.keyboard.press('Escape');
		assert.equal(await page.locator('dialog[open]').count(), 0, k);
	}
	await key('r');
	await until(page, () => document.activeElement.id === 'model');
	await key('Escape');
	/* Rows that arrive leave focus where it was; f goes with them. */
	await goes('g', all[0]);
	const more = await d.main.ask('one more', { text: 'done' });
	await until(page, (id) => document.getElementById('r-' + id), more.id);
	assert.equal(await page.evaluate(() => document.activeElement.id),
		'r-' + all[0]);
	await key('f');
	assert.equal(await selected(), more.id);
	const last = await d.main.ask('and one', { text: 'done' });
	await until(page, (id) => location.hash.includes(id), last.id);
	clean(page);
});

// Colours as numbers; contrast by WCAG 2.
const audit = () => {
	const out = [];
	const rgb = (c) => c.match(/[\d.]+/g).map(Number);
	const lum = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <=
		0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((a, v, i) =>
		a + v * [0.2126, 0.7152, 0.0722][i], 0);
	const under = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgb(getComputedStyle(e).backgroundColor);
			if ((c[3] ?? 1) > 0.9)
				return c;
		}
		return [255, 255, 255];
	};
	for (const e of document.querySelectorAll('button, a[href], input, select, [role=tab], [role=option], [role=listbox], [role=tabpanel], nav, aside, main, dialog')) {
		const name = e.ariaLabel || e.innerText?.trim() || e.title ||
			e.labels?.[0]?.innerText || document.getElementById(
			e.getAttribute('aria-labelledby'))?.innerText;
		if (!name && e.checkVisibility())
			out.push(`no name: ${e.outerHTML.slice(0, 120)}`);
	}
	const walk = document.createTreeWalker(document.body,
		NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || !e.checkVisibility())
			continue;
		const s = getComputedStyle(e);
		const [a, b] = [lum(rgb(s.color)), lum(under(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5)
			out.push(`contrast ${ratio.toFixed(2)}: "${walk.currentNode.data
				.trim().slice(0, 30)}" ${e.className} ${s.color}`);
	}
	for (const e of document.querySelectorAll('.bar, .col, .key')) {
		const [c, bg] = [rgb(getComputedStyle(e).backgroundColor),
			under(e.parentElement)];
		if (!e.checkVisibility() || (c[3] ?? 1) < 0.5 ||
		    e.className.includes('ttft'))
			continue;
		const [a, b] = [lum(c), lum(bg)].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 3)
			out.push(`graphic ${((a + 0.05) / (b + 0.05)).toFixed(2)}: ${
				e.className}`);
	}
	if (document.querySelectorAll('[role=option][tabindex="0"]').length !== 1)
		out.push('not one row to tab to');
	if (document.querySelectorAll('[role=tab][aria-selected=true]').length !== 1)
		out.push('not one tab selected');
	for (const e of document.querySelectorAll('[id]'))
		if (document.querySelectorAll('#' + CSS.escape(e.id)).length > 1)
			out.push(`twice: ${e.id}`);
	if (document.documentElement.lang !== 'en' || !document.title)
		out.push('no language or title');
	return [...new Set(out)];
};

await scenario('page 19: names, roles, contrast, zoom, motion', async (s) => {
	const px = await stage(s), d = await day(px);
	await d.main.ask('fails', { fail: { status: 400 } });

	for (const colorScheme of ['light', 'dark']) {
		const page = await open(s, px.url, { colorScheme,
			reducedMotion: 'reduce', hash: at(d.session, d.step.bash.id) });
		await until(page, () => document.querySelectorAll('[role=option]')
			.length > 5);
		for (const tab of TABS) {
			await show(page, d.session, d.step.bash.id, tab);
			await page.evaluate(() => document.querySelectorAll('details')
				.forEach((e) => e.open = true));
			assert.deepEqual(await page.evaluate(audit), [], `${colorScheme} ${tab}`);
		}
		const bad = (await rows(page)).find((r) => /error 400/.test(r.text));
		assert.ok(bad, 'a failed step says so');
		assert.equal(await page.evaluate(() => document.getAnimations()
			.length), 0, 'motion');
		assert.equal(await page.getAttribute('#alerts', 'role'), 'status');
		clean(page);
	}
	/* 200 %: half the pixels; nothing wider than the page, all reachable. */
	for (const width of [720, 420]) {
		const page = await open(s, px.url, { width, height: 450,
			hash: at(d.session, d.step.bash.id) });
		await until(page, () => document.querySelector('#panel').dataset.is);
		for (const selector of ['#panel', '#list', '#rail']) {
			assert.ok(await page.locator(selector).isVisible(), selector);
			assert.ok(await page.evaluate(() => document.documentElement
				.scrollWidth <= innerWidth), `${width}: wider than the page`);
			await page.evaluate(() => document.activeElement.blur());
			await page.keyboard.press('Escape');
		}
		clean(page);
	}
});

await scenario('page 23: another host, another origin', async (s) => {
	const px = await stage(s), d = await day(px), id = d.step.first.id;
	const ask = (path, headers, method = 'GET') => new Promise((ok, no) => {
		const r = http.request({ host: '127.0.0.1', port: px.port, path,
			method, headers }, (a) => {
			let text = '';
			a.on('data', (p) => {
				text += p;
				if (text.length > 4000)
					r.destroy();
			});
			a.on('close', () => ok({ status: a.statusCode, text }));
		});
		r.on('error', no);
		r.end();
	});
	const [sha] = Object.keys((await (await fetch(`${px.url
	}/dashboard/request/${id}`)).json()).blobs);
	assert.equal((await fetch(`${px.url}/dashboard/blob/${sha}`)).status, 200);
	const paths = ['/dashboard', '/dashboard/app.js', '/dashboard/app.css',
		'/dashboard/data', '/dashboard/events', '/dashboard/sessions',
		`/dashboard/session/${d.session}`, `/dashboard/request/${id}`,
		`/dashboard/request/${id}/raw?side=client&part=request`,
		'/dashboard/search?q=Bash', `/dashboard/export/${d.session}?as=jsonl`,
		'/metrics', `/dashboard/blob/${sha}`, '/dashboard/prices', '/'];

	for (const path of paths)
		for (const headers of [{ host: 'evil.test' }, { host:
			`evil.test:${px.port}` }]) {
			const r = await ask(path, headers);
			assert.ok([403, 421].includes(r.status), `${path} ${
				JSON.stringify(headers)}: ${r.status}`);
			assert.ok(!r.text.includes('npm test') && !r.text.includes('<html'),
				path);
		}
	for (const path of paths.slice(3, 11))
		for (const headers of [{ origin: 'http://evil.test' }, { origin: 'null' },
			{ 'sec-fetch-site': 'cross-site' }]) {
			const r = await ask(path, { host: `127.0.0.1:${px.port}`,
				...headers });
			assert.ok([403, 421].includes(r.status), `${path} ${
				JSON.stringify(headers)}: ${r.status}`);
		}
	const r = await ask('/dashboard/replay', { host: `127.0.0.1:${px.port}`,
		origin: 'http://evil.test', 'content-type': 'application/json' }, 'POST');
	assert.ok([403, 404, 421].includes(r.status), `replay: ${r.status}`);
});

await scenario('page 23: beyond this machine there is none without a token', async (s) => {
	const px = await stage(s, { SERVER_HOST: '0.0.0.0', PROXY_API_KEY:
		'client-key-0123456789' });

	for (const path of ['/dashboard', '/dashboard/data', '/dashboard/events'])
		assert.ok((await fetch(px.url.replace('localhost', '127.0.0.1') +
			path)).status >= 401, path);
});

await quit();
summary('page');
