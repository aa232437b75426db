// app.js -- the monitor's page: sessions, turns and steps, one step.
//
// Journal lines come by SSE and are kept by request id (take). What changes
// makes a part stale, and one frame paints what is stale (paint). Text of models
// becomes text nodes, nothing else (h, show). Blobs are a cache, asked for again.
//
// SPDX-License-Identifier: MIT
'use strict';

const ROW = 28;			/* px */
const HELD = 12e6;		/* of blobs kept */
const home = '/dashboard', CALL = 'gen_ai.tool.call.id', TOOL = 'gen_ai.tool.name';
const $ = (id) => document.getElementById(id), uri = encodeURIComponent;
const page = document.body.dataset, tabs = [...$('tabs').children];
const focused = () => document.activeElement;
const on = (e, name, f) => e.addEventListener(name, f);

const sessions = new Map(), steps = new Map(), alerts = new Map();
const calls = new Map();	/* tool call id -> { st, name, arg, lane } */
const replays = new Map();	/* replayed id -> id it repeats */
const blobs = new Map();
const ui = { s: null, r: null, tab: 'new', q: '', follow: true, all: false,
	open: false, diff: true, paused: false, mark: null, against: 'prev', at: '' };
let seq = 0, boot, skew = 0, held = 0, stat = {}, hinted = false, prices = null;

/* -- text and elements */

// What could hide or reorder text is shown as its code point.
const show = (s) => String(s).replace(/\r\n/g, '\n').replace(
	/[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu,
	(c) => `\\u{${c.codePointAt(0).toString(16)}}`);

// h('p.a.b', { attributes }, children...): an element; strings become text.
function h(tag, attrs, ...kids) {
	const [name, ...classes] = tag.split('.');
	const e = document.createElement(name || 'div');

	e.className = classes.join(' ');
	if (attrs?.constructor !== Object)
		return fill(e, attrs, kids);
	for (const [k, v] of Object.entries(attrs))
		if (k.startsWith('on'))
			on(e, k.slice(2), v);
		else if (v != null && v !== false)
			e.setAttribute(k, v === true ? '' : show(v));
	return fill(e, kids);
}
function fill(e, ...kids) {
	e.replaceChildren(...kids.flat(9).filter((k) => k != null && k !== false).map((k) =>
		k.nodeType ? k : show(k)));
	return e;
}
function style(e, name, part) {
	e.style[name] = part * 100 + '%';
	return e;
}
const place = (e, left, width) => style(style(e, 'left', left), 'width', Math.max(0, width));
const tall = (e, part) => style(e, 'height', part);
const num = (n) => n == null ? '?' : n < 1e3 ? n.toFixed() : n < 1e6 ? (n / 1e3).toFixed(
	n < 1e4 ? 1 : 0) + 'k' : (n / 1e6).toFixed(2) + 'M';
const usd = (x) => x == null ? '?' : '$' + x.toFixed(x > 0 && x < 0.01 ? 4 : 2);
const span = (ms) => ms < 1e3 ? ms.toFixed() + ' ms' : ms < 6e4 ? (ms / 1e3).toFixed(1) +
	' s' : `${Math.floor(ms / 6e4)}:${(ms / 1e3 % 60 | 0).toString().padStart(2, '0')}`;
const pct = (a, b, places) => b ? (100 * a / b).toFixed(places) + '%' : '';
const many = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;
const line = (s, n = 140) => String(s ?? '').slice(0, 4 * n).replace(/\s+/g, ' ').trim()
	.slice(0, n);
const now = () => Date.now() - skew;
const took = (st) => (st.t1 ?? now()) - st.t0;
const sizeOf = (x) => JSON.stringify(x)?.length ?? 0;
const plus = (list, f) => list.reduce((a, x) => a + (f(x) || 0), 0);
// What steps cost; an unknown price shows as "?".
function bill(list) {
	const cost = plus(list, (x) => x.cost);

	return !list.some((x) => x.hole) ? usd(cost) : cost ? usd(cost) + ' + ?' : '?';
}

/* -- what is known */

async function get(path, as = 'json') {
	try {
		const r = await fetch(home + path);
		return r.ok ? await r[as]() : null;
	} catch {
		return null;
	}
}

function keep(sha, data) {
	if (blobs.has(sha))
		return;
	const n = sizeOf(data);
	blobs.set(sha, { data, n });
	held += n;
	for (const [old, b] of blobs) {
		if (held < HELD)
			break;
		blobs.delete(old);
		held -= b.n;
	}
}
// A blob's data, or undefined when it is gone.
async function blob(sha) {
	const data = blobs.get(sha)?.data ?? await get('/blob/' + sha) ?? undefined;

	if (data)
		keep(sha, data);
	return data;
}
const load = (shas) => Promise.all((shas ?? []).map(blob));
// The blocks of messages; undefined for what is gone.
const blocksOf = (list) => list.flatMap((x) => x?.role ? x.content : [x]).map((b) =>
	typeof b === 'string' ? { type: 'text', text: b } : b);

function session(id) {
	if (!sessions.has(id))
		sessions.set(id, { id, steps: [], lanes: new Map(), turn: 1, live: 0, last: 0 });
	ui.s ??= id;
	return sessions.get(id);
}
function laneOf(s, st) {
	const n = st.q['cdx.lane'] || 0;
	const base = st.side ? 'side calls' : st.agent ?? (st.cls === 'subagent' ? 'agent' :
		'main'), id = base + (n ? ' ' + n : '');
	let l = s.lanes.get(id);

	if (!l) {
		l = { id, first: st, side: st.side, agent: st.agent, main: id === 'main', call:
			calls.get(st.q['cdx.agent.call']), name: (st.side ? base :
			st.agent || !n ? st.q['gen_ai.agent.name'] ?? base : 'agent') + (n ? ' ' + n : '') };
		l.guess = !st.side && (n > 0 || st.q['cdx.link_by'] === 'guess' ||
			!l.main && !/^h/.test(st.q['cdx.class.by']));
		if (l.call)
			l.call.lane = l;
		s.lanes.set(id, l);
	}
	return l;
}

// A session that was guessed until now goes on under its name.
function rename(was, id) {
	const s = sessions.get(was);

	if (!s || sessions.has(id))
		return;
	sessions.delete(was);
	sessions.set(s.id = id, s);
	if (ui.s === was)
		go({ s: id });
}
function request(l, t) {
	const id = l['gen_ai.conversation.id'] ?? 'unknown';
	rename(l['cdx.session.was'], id);
	const s = session(id), cls = l['cdx.class'];
	const m = l['cdx.messages'] ?? {}, add = m.add ?? [], old = m.keep ?? 0;
	const st = { id: l.id, s, q: l, t0: t, cls, n: l['cdx.step'] || '',
		side: /^(auxiliary|probe|count|replay)$/.test(cls), agent: l['gen_ai.agent.id'],
		model: l['gen_ai.request.model'], most: l['gen_ai.request.max_tokens'],
		system: l['cdx.system'] ?? [], asked: l['cdx.preview'] ?? '', content: [],
		compacted: l['gen_ai.conversation.compacted'], offer: l['cdx.tools'] ?? {},
		prev: steps.get(l['cdx.prev']), ups: [],
		old: m.new ?? old, add: add.slice(Math.max(0, (m.new ?? old) - old)),
		len: m.n ?? old + add.length, shas: [l.id, ...add, ...l['cdx.system'] ?? []],
		results: l['cdx.tool_results'] ?? [] };

	steps.set(l.id, st);
	s.steps.push(st);
	s.live++;
	s.last = Math.max(s.last, t);
	s.by = l['cdx.session.by'];
	st.lane = laneOf(s, st);
	if (st.lane.main)
		s.turn = Math.max(s.turn, l['cdx.turn'] ?? 1);
	if (cls === 'main')
		s.name ??= line(st.asked);
	if (st.prev && !st.side)
		st.prev.next ??= st;
	st.T = s.turn;
	hinted ||= l['cdx.hints'];
	follow(st);
}

function response(st, l, t) {
	const s = st.s, made = l['cdx.tool_calls'] ?? [];
	const use = (k) => l[`gen_ai.usage.${k}_tokens`];

	Object.assign(st, { p: l, t1: t,
		code: l['http.response.status_code'], cut: l['cdx.aborted'],
		err: l['error.type'], cost: l['cdx.cost_usd'], in: use('input'),
		out: use('output'), read: use('cache_read.input'), write: use('cache_write.input'),
		stop: l['cdx.stop_reason'], cause: l['cdx.cache.cause'],
		served: l['gen_ai.response.model'] ?? st.served,
		content: l['cdx.content'] ?? [], tools: made.map((c) => c[TOOL]) });
	st.bad = st.code >= 400 || !!st.cut || !!st.err;
	st.hole = !st.bad && st.cost == null;
	st.shas.push(...st.content);
	s.live--;
	s.last = Math.max(s.last, st.t1);
	const flat = blocksOf(st.content.map((x) => blobs.get(x)?.data));
	if (flat.length && flat.every(Boolean))
		st.say = gist(flat);
	for (const c of made)
		calls.set(c[CALL], { st, name: c[TOOL],
			arg: argOf(flat.find((b) => b?.id === c[CALL])) });
}
const argOf = (b) => line(b?.input?.command ?? b?.input?.file_path ?? b?.input?.pattern ??
	b?.input?.description ?? b?.input?.url ?? Object.values(b?.input ?? {}).find((v) =>
	typeof v === 'string'), 80);
const gist = (list) => ({ calls: list.filter((b) => b.type === 'tool_use').map((b) =>
	[b.name, argOf(b)]), text: line(list.map((b) => b.text).join(' ')) });

// One journal line; any number of times, with the same effect.
function take(l) {
	const t = Date.parse(l.ts), st = steps.get(l.id);

	seq = Math.max(seq, l.seq ?? 0);
	switch (l.event) {
	case 'cdx.blob':
		return l.data && keep(l.sha, l.data);
	case 'cdx.request':
		st ?? request(l, t);
		break;
	case 'cdx.replay':
		replays.set(l.id, l.of);
		break;
	case 'cdx.alert':
		alerts.set(l.ts + l.seq, l);
	}
	if (st) {
		st.alert = l.rule ?? st.alert;
		st.first ??= st.t0 + l['gen_ai.response.time_to_first_chunk'] * 1e3 || null;
		st.served = l['cdx.model.served'] ?? st.served;
		if (l.attempt)
			st.ups[l.attempt - 1] = l;
		if (l.event === 'cdx.response' && !st.p)
			response(st, l, t);
	}
	touch('top', 'rail');
	if (!st || st.s.id === ui.s)
		touch('list', 'strip');
	if (l.id === ui.r || steps.get(l.id)?.prev?.id === ui.r)
		touch('detail');
}

// A piece of an answer in flight. b: its block begins, or begins anew.
function delta(d) {
	const st = steps.get(d.id);

	if (!st || st.p)
		return;
	const live = st.live ??= [];
	if (d.b)
		live[d.i]?.e?.remove();
	if (d.b || !live[d.i])
		live[d.i] = { k: d.k, s: '', name: d.name ?? '' };
	st.tail = live[d.i];
	st.tail.s += d.d;
	(st.beats ??= []).push(now() - st.t0);
	touch('live', 'rows', 'rail');
}

let source, retry;
function connect() {
	clearTimeout(retry);
	source?.close();
	if (ui.paused || document.hidden)
		return;
	source = new EventSource(home + '/events' + (seq ? '?after=' + seq : ''));
	const hear = (name, f) => on(source, name, (e) => f(JSON.parse(e.data)));
	hear('message', take);
	hear('delta', delta);
	hear('stat', (d) => {
		stat = d;
		boot ??= d.next;
		skew = Date.now() - d.now;
		ui.up = true;
		touch('top');
	});
	/* What lay between is not there any more, or the proxy began anew. */
	hear('gap', (d) => {
		seq = d.first - 1;
		ui.gap = true;
	});
	source.onerror = () => {
		source.close();
		ui.up = false;
		touch('top');
		retry = setTimeout(connect, 1000);
	};
}

/* -- where we are */

const peers = (st) => st.s.steps.filter((x) => x.lane === st.lane);
const shown = () => steps.get(ui.r);
const here = () => sessions.get(ui.s);
const hrefOf = (s, st, tab = 'new') => '#/s/' + uri(s) +
	(st ? `/r/${st}/${tab}` : '');
function go(to, push) {
	if (push)
		history.pushState(null, '');
	Object.assign(ui, to);
	touch('address', ...ALL);
}
function paintAddress() {
	const at = hrefOf(ui.s ?? '', ui.r, ui.tab) + (ui.q ? '?q=' + uri(ui.q) : '');

	if (location.hash !== ui.at)	/* its hashchange is on the way */
		return route();
	if (ui.at !== at)
		history.replaceState(null, '', ui.at = at);
}
function route() {
	const m = /^#\/s\/([^/?]*)(?:\/r\/([^/?]+))?(?:\/(\w+))?(?:\?q=(.*))?$/
		.exec(ui.at = location.hash);

	if (!m)
		return;
	boot = 0;
	Object.assign(ui, { s: decodeURIComponent(m[1]) || null, r: m[2] ?? null, tab:
		m[3] in PANEL ? m[3] : 'new', follow: !m[2],
	q: decodeURIComponent(m[4] ?? ''), reveal: true });
	page.level = m[2] ? 3 : 2;
	$('filter').value = ui.q;
	search();
	follow(lastStep());
	touch(...ALL);
}
const lastStep = (s = here()) => s?.steps.findLast((x) => !x.side);

// Goes along with what happens, but not away from a session that is at work.
function follow(st) {
	const s = here();

	if (ui.follow && st && !st.side && (seq + 1 < boot || !s || s === st.s || !s.live &&
	    st.t0 - s.last > 5e3))
		select(st, true);
}
function select(st, follow = false, push) {
	if (st)
		go({ s: st.s.id, r: st.id, follow, reveal: true }, push);
}
const focusOn = (e) => e?.focus({ preventScroll: true });
function level(n) {
	page.level = n;
	focusOn(n === 3 ? $('panel') : n === 2 ? drawn.get(ui.r) ?? $('list') :
		document.querySelector('#sessions [aria-current=true]'));
}

/* -- filter */

const quiet = (st) => /^(probe|count)$/.test(st.cls);
const hits = new Map();		/* word -> ids and shas */
const status = (st) => !st.p ? 'live' : st.cut ? 'cut' : st.bad ? 'err' : 'ok';
const fields = (st) => ({ class: st.cls, agent: `${st.lane.name} ${st.agent}`, model:
	`${st.model} ${st.served}`, status: `${status(st)} ${st.code}`, tool: st.tools,
stop: st.stop, err: st.err, cost: st.cost, ms: took(st), tok: st.in + st.out });
const words = (st) => `${st.id} ${st.asked} ${st.lane.name} ${st.say?.text} ${st.say?.calls} ${
	st.tools}`.toLowerCase();
function matcher() {
	const tests = ui.q.toLowerCase().split(/\s+/).filter(Boolean).map((w) => {
		const [, name, op, v] = /^(\w+)([:<>])(.*)$/.exec(w) ?? [], set = hits.get(v);

		return (st) => {
			const f = fields(st), x = f[name];
			return name === 'text' ? !v || set && st.shas.some((y) => set.has(y)) :
				!(name in f) ? words(st).includes(w) : op === ':' ?
				`${x ?? ''}`.toLowerCase().includes(v) : op === '>' ? x > +v : x < +v;
		};
	});

	return (st) => (ui.all || !quiet(st)) &&
		tests.every((t) => t(st));
}
async function search() {
	for (const [, w] of ui.q.toLowerCase().matchAll(/text:(\S+)/g)) {
		if (hits.has(w))
			continue;
		const r = await get('/search?q=' + uri(w));
		hits.set(w, new Set(r?.hits.flatMap((x) => [x.id, x.sha])));
		touch('list');
	}
}

/* -- rows: turns, lanes, steps */

let rows = [], order = [], drawn = new Map();

function build() {
	const want = matcher(), turns = new Map();

	rows = [];
	for (const st of here()?.steps ?? []) {
		if (!want(st))
			continue;
		if (!turns.has(st.T))
			turns.set(st.T, { key: 'T' + st.T, T: st.T, lanes: new Map(), steps: [],
				t0: st.t0, t1: st.t0 + 1 });
		const t = st.turn = turns.get(st.T);
		if (!t.lanes.has(st.lane))
			t.lanes.set(st.lane, []);
		t.lanes.get(st.lane).push(st);
		t.steps.push(st);
		t.t1 = Math.max(t.t1, st.t1 ?? now());
	}
	[...turns.values()].sort((a, b) => a.T - b.T).forEach(turnRows);
	order = rows.filter((r) => r.st);
}
function turnRows(t) {
	const under = new Map(), done = new Set(), all = [...t.lanes.keys()];
	const emit = (lane, depth) => {
		if (done.has(lane))
			return;
		done.add(lane);
		if (depth)
			rows.push({ key: t.key + lane.id, lane, depth, turn: t });
		for (const st of t.lanes.get(lane)) {
			rows.push({ key: st.id, st, depth, turn: t });
			under.get(st)?.forEach((l) => emit(l, depth + 1));
		}
	};

	rows.push({ key: t.key, turn: t });
	for (const l of all) {
		const at = l.call?.st;
		l.inner = at?.turn === t && t.lanes.has(at.lane);
		if (l.inner)
			under.set(at, [...under.get(at) ?? [], l]);
	}
	/* The main one first, side calls last; a circle of agents is broken up. */
	all.sort((a, b) => a.inner - b.inner || b.main - a.main || a.side - b.side)
		.forEach((l) => emit(l, l.main ? 0 : 1));
	t.order = [...done];
}

// Where a step's time went: the model, then its tools, then a person.
function phases(st) {
	const end = st.t1 ?? now(), tools = st.p && st.next ? st.next.results.map((r) =>
		({ ...r, id: r[CALL], ms: r.ms ?? st.next.t0 - end })) : [];
	const gap = tools.length ? st.next.t0 - end : 0;
	const known = tools.every((x) => x.by === 'client');
	const work = known ? Math.min(gap, Math.max(0, ...tools.map((x) => x.ms))) : gap;

	return { end, tools, known, model: end - st.t0, work, wait: gap - work };
}
function split(list) {
	const all = list.filter((st) => st.lane.main).map(phases);
	const [model, work, wait] = ['model', 'work', 'wait'].map((k) => plus(all, (p) => p[k]));

	return { model, work, wait, guess: all.some((p) => !p.known), all: model + work + wait || 1 };
}
function fall(st) {
	const t = st.turn, p = phases(st), all = t.t1 - t.t0;
	const bar = (c, a, ms) => place(h('i.bar.' + c, { 'data-key': st.id }),
		(a - t.t0) / all, ms / all);

	return [bar((st.bad ? 'bad' : 'model') + (st.id === ui.r ? '.on' : ''), st.t0, p.model),
		st.first && bar('ttft', st.t0, st.first - st.t0),
		p.tools.slice(0, 4).map((x, i) => bar(`tool.n${i}.${x.error ? 'bad' :
			x.by === 'client' ? '' : 'gap'}`, p.end, x.ms)),
		p.wait > 50 && bar('wait', p.end + p.work, p.wait)];
}

function badges(st) {
	const badge = (c, t) => h('b.badge' + c, line(t, 40));

	return [st.bad && badge('.err', st.cut ? `cut: ${st.cut}` :
		`error ${st.code} ${st.err ?? ''}`),
	st.q['cdx.retry'] > 0 && badge('', `retry ${st.q['cdx.retry']}`),
	!/^(main|subagent)$/.test(st.cls) && badge('', st.cls),
	st.compacted && badge('', 'compacted'),
	st.stop === 'max_tokens' && badge('.warn', 'max_tokens'),
	/_/.test(st.cause) && st.cause !== 'not_supported_upstream' &&
		badge('.warn', '◇ ' + st.cause),
	st.alert && badge('.warn', '⚠ ' + st.alert)];
}
const kindOf = (b) => ({ json: '⚙ ' + b.name, think: 'thinking' })[b.k];
function what(st) {
	const b = st.tail, say = st.say ?? { calls: (st.tools ?? []).map((n) => [n, '']),
		text: st.p?.['cdx.preview'] ?? '' };

	if (st.p)
		return h('.what', badges(st), say.calls.map(([n, arg]) => [h('b.call', n), ' ',
			h('i.arg', arg), ' ']), say.text);
	return h('.what.live', badges(st), !b ? (st.first ? 'answering' : 'waiting') + ' …' :
		[h('i.kind', kindOf(b), ' '),
			line(b.s.slice(-48))]);
}
function stepRow(r) {
	const st = r.st, on = st.id === ui.r;

	return h('.row.step.' + status(st), { role: 'option', id: 'r-' + st.id,
		'aria-selected': `${on}`, tabindex: on ? 0 : -1, 'data-key': r.key },
	h('.n', h('i.dot', st.bad ? '✕' : st.p ? '▪' : '●'), st.n), what(st),
	h('.tok', st.p && !st.bad && `${num(st.in)}→${num(st.out)}`),
	h('.hit', pct(st.read ?? 0, st.in)), h('.usd', st.p && !st.bad && usd(st.cost)),
	h('.ms', span(took(st))), h('.fall', fall(st)));
}
function headRow(r) {
	const t = r.turn, l = r.lane, list = l ? t.lanes.get(l) : t.steps;
	const nums = [h('.tok', many(list.length, 'step')), h('.hit'),
		h('.usd', bill(list)),
		h('.ms', span(Math.max(...list.map((x) => x.t1 ?? now())) - list[0].t0))];
	const attrs = { role: 'presentation', 'data-key': r.key };

	if (l)
		return h('.row.lane', attrs, h('.n', '└'), h('.what', h('b', l.name), ' ',
			l.agent, l.guess && ' ~', l.call && ` from step ${l.call.st.n}`), nums);
	const sp = split(list), first = list.find((x) => x.cls === 'main') ?? list[0];
	return h('.row.turn', attrs, h('.n', 'T' + t.T), h('.what',
		line(first.asked)), nums, h('.split', [['model', sp.model], [sp.guess ? 'gap' :
		'work', sp.work], ['wait', sp.wait]].map(([c, ms]) => place(h('i.' + c), 0, ms / sp.all))));
}

// Only what is in sight is in the page, and the selected row, for its focus.
function drawRows(fresh) {
	const list = $('list'), top = Math.floor(list.scrollTop / ROW) - 6;
	const end = top + Math.ceil(list.clientHeight / ROW) + 12, next = new Map();

	rows.forEach((r, i) => {
		if ((i < top || i > end) && r.key !== ui.r)
			return;
		let e = drawn.get(r.key);
		if (!e || fresh || r.st && !r.st.p) {
			const by = r.st ? stepRow(r) : headRow(r);
			by.firstChild.style.paddingLeft = (r.depth ?? 0) * 14 - (r.lane ? 14 : 0) +
				'px';
			if (e) {	/* in place: focus stays */
				for (const a of by.attributes)
					e.setAttribute(a.name, a.value);
				e.replaceChildren(...by.childNodes);
			} else {
				$('rows').append(e = by);
			}
		}
		e.style.transform = `translateY(${i * ROW}px)`;
		next.set(r.key, e);
	});
	drawn.forEach((e, k) => next.has(k) || e.remove());
	drawn = next;
}
function paintList() {
	build();
	const i = rows.findIndex((r) => r.key === ui.r), y = i * ROW, list = $('list');
	$('rows').style.height = rows.length * ROW + 'px';
	if (ui.reveal && i >= 0) {
		list.scrollTop = Math.max(Math.min(list.scrollTop, y - ROW),
			y + 2 * ROW - list.clientHeight);
		ui.reveal = false;
	}
	drawRows(true);
	list.tabIndex = i < 0 ? 0 : -1;
	if (list.contains(focused()) || focused() === document.body)
		focusOn(drawn.get(ui.r) ?? list);
	paintLanes();
}

/* -- strip, lanes, rail, top */

function paintStrip() {
	const s = here(), m = ui.mark;
	const fact = (label, value, c = '') => h('.fact', h('small', label), h('b' + c, value));

	if (!s)
		return fill($('strip'));
	const all = (k) => plus(s.steps, (x) => x[k]), sp = split(s.steps);
	const since = s.steps.filter((x) => m && x.t0 >= m);
	const part = (c, name, ms) => h('.part', h('i.key.' + c), `${name} ${
		pct(ms, sp.all)} `, h('small', span(ms)));
	fill($('strip'), h('.title', h('h2', s.name || s.id.slice(0, 8)), h('small',
		`${s.id.slice(0, 8)} by ${s.by}`)), h('.facts',
		fact('steps', plus(s.steps, (x) => !quiet(x))), fact('cost', bill(s.steps)),
		fact('input', num(all('in'))), fact('from cache', pct(all('read'), all('in')) ||
			'–'), fact('written', num(all('write'))), fact('output', num(all('out'))),
		fact('errors', all('bad'), all('bad') ? '.err' : ''), m && fact('since mark',
			`${many(since.length, 'step')}, ${bill(since)}, ${span(now() - m)}`)), h('.facts',
		part('model', 'model', sp.model),
		part(sp.guess ? 'gap' : 'work', sp.guess ? 'tools ≤' : 'tools', sp.work),
		part('wait', sp.guess ? 'human ≥' : 'human', sp.wait)));
}

// The turn of the selected step on one axis, a line for each lane.
function paintLanes() {
	const st = shown(), t = st?.turn;
	const band = (who, ...axis) => h('.band', h('.who', who), h('.axis', axis));

	if (!t?.lanes.has(st.lane))
		return fill($('lanes'));
	const grow = peers(st).filter((x) => x.in).slice(-120);
	const max = windowOf(Math.max(0, ...grow.map((x) => x.in)));
	fill($('lanes'), t.order.slice(0, 9).map((l) => band([l.call && '└ ', l.name,
		l.guess && ' ~'], t.lanes.get(l).slice(-300).map(fall))), band('time', [0, 0.25, 0.5, 0.75, 1].map((f) => place(h('i.tick',
		span((t.t1 - t.t0) * f)), f * 0.999, 0))), band(['context', h('br'),
		`${num(st.in)} / ${num(max)}`], grow.map((x) => tall(h('i.col' + (x === st ?
		'.on' : ''), { 'data-key': x.id }), x.in / max))));
	$('lanes').lastChild.classList.add('grow');
}
const windowOf = (n) => n > 2e5 ? 1e6 : 2e5;

function paintRail() {
	for (const s of sessions.values()) {
		if (!s.li)
			$('sessions').prepend(s.li = h('li', h('a')));
		const a = s.li.firstChild, warm = 3e5 - (now() - s.last);
		a.href = hrefOf(s.id);
		const warn = plus(s.steps, (x) => !!x.alert);
		const tail = s.live > 0 && s.steps.findLast((x) => !x.p)?.tail;
		a.setAttribute('aria-current', `${s.id === ui.s}`);
		fill(a, h('.name', s.name || 'side calls'), s.live > 0 && h('.dot', '●'),
			h('.sub', bill(s.steps), ' · ' + many(plus(s.steps, (x) => !quiet(x)), 'step'),
				s.by !== 'header' && ` · by ${s.by}`,
				warm > 0 && s.steps.some((x) => x.read) && ` · cache ${span(warm)}`,
				warn > 0 && h('b.warn', ` ⚠${warn}`)),
			tail && h('.sub.tail', line(tail.s.slice(-90))));
	}
	$('none').hidden = sessions.size > 0;
	$('hints').hidden = !steps.size || hinted;
	if (alerts.size !== paintRail.n)
		fill($('alerts'), [...alerts.values()].slice(-30).reverse().map((a) =>
			h('a.alert', { href: steps.has(a.id) &&
			hrefOf(steps.get(a.id).s.id, a.id) }, h('b', '⚠ ',
			line(a.rule.replace(/_/g, ' '), 60), a.count && ` ×${a.count}`),
		h('.sub', a.detail))));
	paintRail.n = alerts.size;
}

function paintTop() {
	const day = new Date().setHours(0, 0, 0, 0), n = stat.in_flight ?? 0;
	const word = ui.paused ? '❙❙ paused' : ui.up ? '● live' : '○ no connection';

	$('state').className = /live/.test(word) ? 'ok' : 'err';
	fill($('state'), h('b', word), h('i', `${n} in flight`), h('i', bill([...steps.values()]
		.filter((x) => x.t0 > day)) + ' today'), (stat.failing || stat.dropped) > 0 &&
		h('b', `log failing, ${stat.dropped} lines lost`), ui.gap && h('i', 'older lines gone'),
	ui.follow && h('i', 'following'));
	document.title = (n ? `● ${n} in flight – ` : '') + 'claudecodex';
	$('pause').setAttribute('aria-pressed', `${ui.paused}`);
}

/* -- the step */

let run = 0;			/* a later painting makes an earlier one void */
async function paintDetail() {
	const st = shown(), mine = ++run, panel = $('panel');

	fill($('head'), st ? heading(st) : h('small', 'Nothing selected.'));
	for (const t of tabs) {
		const on = t.id === 'tab-' + ui.tab;
		t.setAttribute('aria-selected', `${on}`);
		t.tabIndex = on ? 0 : -1;
	}
	panel.setAttribute('aria-labelledby', 'tab-' + ui.tab);
	const body = st && await PANEL[ui.tab](st), key = ui.r + ui.tab;
	if (mine !== run)
		return;
	const top = panel.dataset.is === key ? panel.scrollTop : 0;
	const inside = panel.contains(focused());
	panel.dataset.is = key;
	fill(panel, body);
	if (ui.open)
		panel.querySelectorAll('details').forEach((d) => d.open = true);
	panel.scrollTop = top;
	if (ui.want || inside)
		focusOn($(ui.want) ?? panel);
	ui.want = null;
	paintLive();
}
function heading(st) {
	const { 'cdx.cache.index': at, 'cdx.cache.cost_usd': lost } = st.p ?? {};

	return [h('b', `Step ${st.n} `), st.lane.name, ' ', badges(st), h('small', ' ', st.id),
		h('.note', st.model, st.served && st.served !== st.model && ` → ${st.served}`,
			` · ${st.cls} (by ${st.q['cdx.class.by']}) · `, st.p ? `${st.stop ??
			status(st)} · ${span(took(st))} · ${usd(st.cost)} at list price` :
			'in flight', st.cause && [` · cache miss: ${st.cause}`, at >= 0 &&
			` at message ${at}`, lost && `, ${usd(lost)}`])];
}
const note = (...t) => h('p.note', t);
const button = (text, onclick) => h('button', { onclick }, text);
const fold = (title, ...body) => h('details', h('summary', title), body);
const link = (st, t = `step ${st.n}`) => h('a', { href: hrefOf(st.s.id, st.id, ui.tab) }, t);
const json = (x) => JSON.stringify(x, null, 2);
const pre = (x) => h('pre', typeof x === 'string' ? x : json(x));
function pretty(t) {
	try {
		return json(JSON.parse(t));
	} catch {
		return t;
	}
}
// Heads that begin with > are of numbers.
const table = (heads, body) => {
	const cell = (tag, i, x) => h(tag + (heads[i][0] === '>' ? '.r' : ''), x);

	return h('table', h('tr', heads.map((x, i) => cell('th', i, x.replace('>', '')))),
		body.map((r) => h('tr', r.map((x, i) => cell('td', i, x)))));
};

// Text of a message: reminders folded, fenced code in monospace.
function prose(t) {
	const cut = /<system-reminder>([^]*?)<\/system-reminder>|```.*\n([^]*?)(?:```|$)/g;
	const s = String(t), plain = (x) => x.trim() && h('p.text', x.trim());
	let at = 0;

	return [...s.matchAll(cut)].map((m) => {
		const before = plain(s.slice(at, m.index));
		at = m.index + m[0].length;
		return [before, m[2] === undefined ? fold(h('i.chip', 'system-reminder'),
			pre(m[1].trim())) : pre(m[2])];
	}).concat(plain(s.slice(at)));
}
function block(b, results) {
	const c = b && calls.get(b.id ?? b.tool_use_id), i = b?.input;

	switch (b?.type) {
	case undefined:
		return note('no longer kept');
	case 'text':
		return prose(b.text);
	case 'thinking':
		return fold(`thinking, ${num(b.thinking?.length)} characters`,
			h('p.text', b.thinking));
	case 'tool_use':
		return h('.card', h('.cap', h('b.call', '⚙ ' + b.name), h('small', ' ', b.id, ' '),
			c?.lane && link(c.lane.first, 'its agent')),
		typeof i?.old_string === 'string' ? [h('small', i.file_path),
			lines(i.old_string, String(i.new_string))] :
			Object.entries(i ?? {}).map(([k, v]) => [h('small', k),
				pre(v)]), results?.get(b.id));
	case 'tool_result':
		return h('.card' + (b.is_error ? '.bad' : ''), h('.cap', h('b', b.is_error ?
			'✕ failed ' : '✓ result '), c?.name ?? b.tool_use_id, h('small', ' ',
			tookBy(results?.times?.find((x) => x.id === b.tool_use_id)))),
		pre((typeof b.content === 'string' ? b.content : (b.content ?? []).map((x) =>
			x.text ?? json(x)).join('\n')) || '(nothing)'));
	}
	return pre(b);
}
const tookBy = (x) => x && (x.by === 'client' ? '' : '≤ ') + span(x.ms);
function message(m, add) {
	const list = blocksOf([m]).map((b) => block(b));

	return add && m && m.role !== 'user' ? fold(m.role, list) :
		h('.msg.' + m?.role, h('small', m?.role), list);
}
const rawOf = (st, side, part) => `/request/${st.id}/raw?side=${side}&part=${part}`;
async function whole(st) {
	const w = await get(`/request/${st.id}?all=1`);

	for (const k in w?.blobs)
		w.blobs[k] = w.blobs[k].data;
	return w;
}

const PANEL = {
	async new(st) {
		const made = new Map(), times = made.times = phases(st).tools, c = st.lane.call;
		for (const b of blocksOf(await load(st.next?.add)))
			if (b?.type === 'tool_result')
				made.set(b.tool_use_id, block(b, { times }));
		const w = st.old && ui.open && await whole(st);
		const add = await load(st.add);
		const content = blocksOf(await load(st.content));
		st.say ??= content[0] && content.every(Boolean) ? gist(content) : null;

		return [c && st === st.lane.first && note(st.lane.guess && '~ ', 'started by ',
			link(c.st)), w ? w.messages.slice(0, st.old).map((x) => message(w.blobs[x])) :
			st.old > 0 && note(many(st.old, 'earlier message'), ' hidden ',
				button('show', KEYS.x)),
		add.map((m) => message(m, true)), h('.rule', h('small', 'answer')),
		st.bad && h('p.err', st.cut ? 'cut: ' + st.cut : `error ${st.code}: ${st.err}`,
			' ', st.p['cdx.error']), st.p ? h('.msg', content.map((b) => block(b, made))) :
			h('', { id: 'live', role: 'log', 'aria-live': 'off' })];
	},
	async tools(st) {
		const [a, b] = await load([st, st.prev].map((x) =>
			x?.offer.sha).filter(Boolean));
		const old = new Map((b ?? a ?? []).map((t) => [t.name, json(t)])), sums = {};
		const uses = st.s.steps.flatMap((x) => x.tools ?? []);
		let idle = 0;

		if (!a?.length)
			return note('no tools offered');
		const body = a.map((t) => {
			const n = sizeOf(t), was = old.get(t.name);
			const u = uses.filter((x) => x === t.name).length;
			const server = /^mcp__(.+?)__/.exec(t.name)?.[1] ?? 'built in';
			sums[server] = (sums[server] ?? 0) + n;
			idle += u ? 0 : n;
			old.delete(t.name);
			const same = was === json(t);
			return [fold(t.name, pre(t.description), was && !same ? lines(was, json(t)) :
				pre(t.input_schema)), server, n, '~' + num(n / 4), u || '',
			same ? '' : was ? '± changed' : '+ added'];
		});
		return [note(Object.entries(sums).map(([s, n]) => `${s} ${n} bytes`).join(' · ')),
			idle > 8e3 && note(`~${num(idle / 4)} tokens of tools that were never used; ` +
			'deferred loading (tool search) saves them'), [...old.keys()].map((n) =>
				h('p.warn', '− removed: ' + n)),
		table(['tool', 'server', '>bytes', '>~tokens', '>used', ''], body)];
	},
	async system(st) {
		const to = { 'the step before': st.prev, 'the first step': peers(st)[0] };
		for (const s of sessions.values())
			if (s !== st.s && lastStep(s))
				to['session ' + line(s.name || s.id, 30)] = lastStep(s);
		const shas = st.system, mine = await load(shas);
		const name = to[ui.against] ? ui.against : 'the step before', other = to[name];
		const text = (l) => l.filter((b) => b && !billing(b)).map((b) => b.text).join('\n');
		const diffs = other && ui.diff ? text(await load(other.system)) : null;

		return [h('p', 'against ', chooser(Object.keys(to).map((k) => [k, k]), name, 'against'), ' ',
			button(ui.diff ? 'whole text' : 'changes only', KEYS.d)),
		diffs !== null && (diffs === text(mine) ? note('the same in ', link(other)) :
			lines(diffs, text(mine))), mine.map((b, i) => {
			const d = fold(`${billing(b) ? 'attribution' : 'block ' + (i + 1)} · ${
				sizeOf(b?.text)} bytes · ${shas[i].slice(0, 8)}`, pre(b?.text ?? 'gone'));
			d.open = !billing(b) && diffs === null;
			return d;
		})];
	},
	async context(st) {
		const w = await whole(st), kinds = { system: 0, tools: st.offer.bytes ?? 0,
			user: 0, results: 0, assistant: 0, thinking: 0 }, items = [], grow = [];

		if (!w)
			return note('no longer kept');
		kinds.system = plus(st.system, (x) => sizeOf(w.blobs[x]));
		for (const x of w.messages) {
			for (const b of blocksOf([w.blobs[x]])) {
				const n = sizeOf(b), c = calls.get(b?.tool_use_id);
				const k = { tool_result: 'results', thinking: 'thinking' }[b?.type] ??
					(w.blobs[x]?.role === 'user' ? 'user' : 'assistant');
				kinds[k] += n;
				items.push([c ? `${c.name} ${c.arg}` : `${k}: ${line(b?.text ?? b?.name,
					60)}`, n]);
			}
			grow.push({ ...kinds });
		}
		const all = plus(Object.values(kinds), (n) => n) || 1, input = st.in || all / 4;
		const max = windowOf(input), share = (n) => '~' + num(input * n / all);
		const bar = (of) => h('.stack', Object.keys(kinds).map((k) => place(h('i.k-' + k),
			0, of[k] / all * input / max)));
		return [note(`${num(input)} tokens of ${num(max)}, ${pct(input, max)}; shares ` +
			`by bytes; room for output ${num(st.most)}`),
		bar(kinds), table(['part', '>tokens', '>'], Object.entries(kinds).map(([k, n]) =>
			[[h('i.key.k-' + k), k], share(n), pct(n, all)])), h('h3', 'Step by step'),
		peers(st).filter((x) => x.t0 <= st.t0).slice(-60).map((x) =>
			h('.steps', h('small', x.n, x.compacted && ' ⇊'),
				bar(grow[x.len - 1] ?? kinds))), h('h3', 'Biggest'), table(['item',
			'>tokens'], items.sort((a, b) => b[1] - a[1]).slice(0, 10).map(([k, n]) => [k,
			share(n)]))];
	},
	async wire(st) {
		const sides = ['client', 'upstream'], parts = ['request', 'response'];
		const raw = await Promise.all(sides.flatMap((s) => parts.map((p) =>
			get(rawOf(st, s, p), 'text'))));
		const notes = st.ups.flatMap((u) => u['cdx.notes'] ?? []), exact = raw[0];
		raw[0] ??= rebuilt(st, await whole(st));
		const part = (s, p, t) => {
			const at = t?.search(/\r?\n\r?\n/), body = t?.slice(at).trimStart();
			return [h('h3', `${s} ${p}`), t ? [fold(line(t.split('\n')[0]),
				pre(t.slice(0, at))), pre(ui.diff ? pretty(body) : body),
			h('a', { href: home + rawOf(st, s, p), download: true }, 'download')] :
				note('not kept')];
		};
		return [h('p', button('copy as curl', KEYS.Y), ' ', raw[2] &&
			[button('upstream as curl', async () => copy(await curl(st, st.ups.at(-1)))), ' '], button(ui.diff ? 'as sent' :
			'pretty', KEYS.d)), !exact && note('rebuilt from records; the bytes are gone'),
		h('h3', 'Translation'), notes.length ? table(['field', 'what',
			'why'], notes) : note('nothing was changed'),
		h('.sides', sides.map((s, i) => h('', parts.map((p, k) =>
			part(s, p, raw[2 * i + k])))))];
	},
	timing(st) {
		const t = st.p?.['cdx.t'] ?? {}, end = t.done || 1e-3, ms = (x) => span(x * 1e3);
		const at = ['accept', 'body', 'connect', 'sent', 'first', 'last', 'done'].filter((k) =>
			t[k] != null);
		const list = at.slice(1).map((k, i) => [{ body: 'request read', connect:
			'queue, connect', sent: 'sending', first: 'waiting', last: 'streaming', done:
			'closing' }[k], ms(t[at[i]]), ms(t[k] - t[at[i]]), h('.axis', place(h('i.bar.' +
			(k === 'first' ? 'ttft' : 'model')), t[at[i]] / end, (t[k] - t[at[i]]) / end))]);
		const tries = st.ups.map((u) => [`attempt ${u.attempt}: ${u['cdx.model.served']} at ${
			u['server.address']}`, span(Date.parse(u.ts) - st.t0), '', '']);
		const slots = Array(60).fill(0);
		for (const b of st.beats ?? [])
			slots[Math.min(59, Math.floor(b * 0.06 / end))]++;

		return !st.p ? note('in flight') : [note(`${t.last > t.first ? (st.out /
			(t.last - t.first)).toFixed(1) : '?'} tokens/s · first token ${t.first ?
			ms(t.first) : '–'} · ${st.p['cdx.chunks'] ?? '?'} chunks · longest stall ${
			ms(st.p['cdx.stall_max'] ?? 0)}`), table(['phase', '>from', '>took', ''],
			list.concat(tries)), st.beats && h('.grow', slots.map((n) =>
			tall(h('i.col'), n / Math.max(...slots))))];
	},
	async compare(st) {
		prices ??= await get('/prices');
		const s = st.s, all = (k) => plus(s.steps, (x) => x[k]);
		const twin = [...replays].findLast(([, of]) => of === st.id)?.[0];
		const other = steps.get(ui.beside ?? twin ?? replays.get(st.id));
		const side = async (x) => x && h('', h('h3', `Step ${x.n || x.cls}, ${
			x.model} → ${x.served}`), note(`${num(x.in)} → ${num(x.out)} tokens · ${usd(x.cost)} · ${
			span(took(x))} · ${x.stop ?? status(x)}`),
		blocksOf(await load(x.content)).map((b) => block(b)));
		const cost = Object.entries(prices?.models ?? {}).map(([m, p]) => [m, ((all('in') -
			all('read') - all('write')) * p[0] + all('out') * p[1] + all('read') *
			(p[2] ?? p[0]) + all('write') * (p[3] ?? p[0])) / 1e6])
			.sort((a, b) => a[1] - b[1]);
		return [h('form', { onsubmit: (e) => replay(e, st) }, h('label', 'Replay with ',
			h('input', { id: 'model', required: true })), ' ', h('label',
			h('input', { type: 'checkbox', required: true }), ' it may cost '), ' ',
		h('button', 'Replay'), h('p.note', { id: 'said', role: 'status' },
			'Tools are never run: it ends at the tool call.')), h('p', 'beside ', chooser(
			[['', ''], ...s.steps.filter((x) => x.p && x !== st).slice(-200).map((x) => [
				x.id, `${x.lane.name} ${x.n} ${x.served}`])], other?.id ?? '', 'beside')),
		other && h('.sides', await side(st), await side(other)),
		fitness((await get('/fitness'))?.models ?? []),
		h('h3', 'What if: this session’s tokens at list prices'), cost.length ? [table(
			['model', '>cost', ''], cost.map(([m, c]) => [m, usd(c), h('.axis', place(
				h('i.bar.model'), 0, c / cost.at(-1)[1]))])), note(`prices of ${prices.date
		}; an estimate that says nothing of quality`)] : note('no price list')];
	}
};
// What each model did, side by side; what went wrong with its share of all.
const OF_CALLS = ['bad_tool_json', 'unknown_tools', 'loops'];
const OF_ALL = ['truncated', 'errors', 'retries', 'stalls'];
function fitness(models) {
	const cell = { backend: (b) => h('small', b.replace('_', ' ')), fit: (f, m) => h('b.fit.' + f, m.verdict),
		first_byte_ms: span, answer_ms: span, cost_usd: usd };
	const told = (k, m, v = m[k]) => {
		const of = OF_CALLS.includes(k) ? m.tool_calls : OF_ALL.includes(k) && m.requests;
		return v == null ? '?' : cell[k] ? cell[k](v, m) : !v ? h('small', 0) :
			of ? [h('b.warn', v), h('small', ' ', pct(v, of, 1))] : num(v);
	};

	return models.length > 0 && [h('h3', 'Models, by what they did here'), h('.wide', table(
		['', ...models.map((m) => '>' + m.model)], ['fit', 'backend', 'requests', 'tool_calls',
			...OF_CALLS, ...OF_ALL, 'first_byte_ms', 'answer_ms', 'cost_usd'].map((k) => [
			k.replace(/_(ms|usd)?/g, ' '), ...models.map((m) => told(k, m))])))];
}
const billing = (b) => /^x-anthropic-billing-header:/.test(b?.text);
function chooser(list, value, name) {
	return h('select', { onchange: (e) => {
		ui[name] = e.target.value;
		touch('detail');
	} }, list.map(([v, t]) => h('option', { value: v, selected: v === value }, t)));
}
async function replay(e, st) {
	e.preventDefault();
	const r = await fetch(home + '/replay', { method: 'POST', headers: { 'content-type':
		'application/json' }, body: JSON.stringify({ of: st.id, model: $('model').value,
		confirm_cost: true }) });

	if (!r.ok)
		return fill($('said'), r.status === 404 ?
			'Replay is off; MONITOR_REPLAY=1 turns it on.' :
			`refused: ${r.status} ${line(await r.text())}`);
	ui.beside = (await r.json()).id;
	touch('detail');
}

function paintLive() {
	const box = $('live'), panel = $('panel');
	const tail = panel.scrollTop + panel.clientHeight > panel.scrollHeight - 60;

	for (const b of Object.values(box && shown()?.live || [])) {
		if (b.e?.parentNode !== box) {
			b.e = h('.live.' + b.k, h('small', kindOf(b)), h('pre'));
			b.at = 0;
			box.append(b.e);
		}
		b.e.lastChild.append(show(b.s.slice(b.at)));
		b.at = b.s.length;
	}
	if (box && tail)
		panel.scrollTop = 1e9;
}

/* -- differences by line (Myers) */

function diff(a, b) {
	const n = a.length, m = b.length, trace = [], out = [];
	let v = { 1: 0 }, d = 0;

	find: for (; d <= n + m; d++) {
		if (d > 1000)		/* too different to be worth the time */
			return [...a.map((l) => ['-', l]), ...b.map((l) => ['+', l])];
		trace.push({ ...v });
		for (let k = -d; k <= d; k += 2) {
			let x = k === -d || k !== d && v[k - 1] < v[k + 1] ? v[k + 1] : v[k - 1] + 1;
			while (x < n && x - k < m && a[x] === b[x - k])
				x++;
			v[k] = x;
			if (x >= n && x - k >= m)
				break find;
		}
	}
	for (let x = n, y = m; d >= 0; d--) {
		v = trace[d];
		const k = x - y, up = k === -d || k !== d && v[k - 1] < v[k + 1];
		const px = v[up ? k + 1 : k - 1], py = px - (up ? k + 1 : k - 1);
		for (; x > 0 && y > 0 && x > px && y > py; x--, y--)
			out.push([' ', a[x - 1]]);
		if (d)
			out.push(up ? ['+', b[--y]] : ['-', a[--x]]);
	}
	return out.reverse();
}
function lines(old, new_) {
	const a = old.split('\n'), b = new_.split('\n'), most = 2e4;
	const all = diff(a.slice(0, most), b.slice(0, most));
	const near = (i) => all.slice(Math.max(0, i - 2), i + 3).some((x) => x[0] !== ' ');

	return h('pre.diff', all.map(([op, l], i) => near(i) && h({ '+': 'ins', '-': 'del' }[
		op] ?? 'span', `${op} ${l}\n`)), Math.max(a.length, b.length) > most &&
		`cut at ${most} lines`);
}

/* -- copying */

// The client's request, made again from the records.
const rebuilt = (st, w) => w && 'POST /v1/messages HTTP/1.1\nx-api-key: [redacted]\n' +
	'anthropic-version: 2023-06-01\ncontent-type: application/json\n\n' +
	JSON.stringify({ model: st.model, max_tokens: st.most,
		stream: st.q['gen_ai.request.stream'], system: st.system.map((x) =>
			w.blobs[x]), tools: w.blobs[st.offer.sha],
		messages: w.messages.map((x) => w.blobs[x]) });
// Keys become variables; what belonged to that connection alone is left out.
const KEY = { anthropic: 'ANTHROPIC_API_KEY', bedrock: 'AWS_BEARER_TOKEN_BEDROCK' };
const NOT_SENT =
	/redacted|^(host|connection|expect|accept-encoding|content-length|x-amz.*|authorization):/i;
async function curl(st, up) {
	const t = await get(rawOf(st, up ? 'upstream' : 'client', 'request'), 'text') ??
		rebuilt(st, await whole(st)) ?? '', at = t.search(/\r?\n\r?\n/);
	const [first, ...heads] = t.slice(0, at).split(/\r?\n/);
	const quote = (s) => `'${s.replace(/'/g, "'\\''")}'`, signed = /\nx-amz-date:/i.test(t);
	const key = '$' + (KEY[up ? up['cdx.upstream.backend'] : 'anthropic'] ?? 'OPENAI_API_KEY');

	return ['curl -sN ' + quote((up ? `${up['url.scheme']}://${up['server.address']}:${
		up['server.port']}` : location.origin) + first.split(' ')[1]), ...heads.map((x) => {
		const name = x.split(':')[0].toLowerCase(), bearer = name === 'authorization';
		return bearer && !signed || /api-key$/.test(name) ? `-H "${name}: ${
			bearer ? 'Bearer ' : ''}${key}"` : NOT_SENT.test(x) ? '' : '-H ' + quote(x);
	}).filter(Boolean), ...signed ? ['--aws-sigv4 aws:amz:' + up['server.address'].split('.')[1] +
		':bedrock', '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
	'-H "x-amz-security-token: $AWS_SESSION_TOKEN"'] : [],
	'--data-binary ' + quote(t.slice(at).trimStart())].join(' \\\n  ');
}
async function copy(t) {
	try {
		await navigator.clipboard.writeText(t);
		$('state').append(h('i', 'copied'));
	} catch {		/* not allowed: to be copied by hand */
		$('copied').value = t;
		$('copy').showModal();
		$('copied').select();
	}
}

/* -- keys */

function move(by, test = () => true) {
	const from = order.findIndex((r) => r.key === ui.r);

	for (let i = from < 0 && by < 0 ? order.length - 1 : from + by; order[i]; i += by)
		if (test(order[i].st, order[from]?.st))
			return select(order[i].st);
}
function toLane(by) {
	const st = shown(), t = st?.turn;

	select(t?.lanes.get(t.order[t.order.indexOf(st.lane) + by])?.[0]);
}
function toSession(by) {
	const list = [...sessions.values()], s = list[list.indexOf(here()) - by];

	select(s && (lastStep(s) ?? s.steps.at(-1)), true, true);
}
const otherTurn = (a, b) => a.T !== b?.T;
const flip = (name, part) => () => {
	ui[name] = !ui[name];
	touch(part);
};
const pair = (key, test) => ({ [key]: () => move(1, test), [key.toUpperCase()]: () =>
	move(-1, test) });
const KEYS = {
	j: () => move(1), k: () => move(-1), J: () => move(1, otherTurn), K: () => move(-1, otherTurn),
	h: () => toLane(-1), l: () => toLane(1),
	'[': () => toSession(-1), ']': () => toSession(1), g: () => select(order[0]?.st),
	G: () => select(order.at(-1)?.st), f: () => select(lastStep(), true),
	...pair('e', (a) => a.bad || a.results.some((r) => r.error)),
	...pair('a', (a) => a === a.lane.first && !a.lane.main && !a.side),
	...pair('t', (a) => a.tools?.length), ...pair('c', (a) => a.cause),
	Enter: () => level(3),
	Escape: () => level($('detail').contains(focused()) ||
		page.level === '3' ? 2 : 1),
	'/': () => $('filter').select(),
	'.': flip('all', 'list'), x: flip('open', 'detail'), d: flip('diff', 'detail'),
	y: () => copy($('panel').innerText),
	Y: async () => steps.has(ui.r) && copy(await curl(shown())),
	m() {
		ui.mark = ui.mark ? null : now();
		touch('strip');
	},
	r() {
		ui.want = 'model';
		go({ tab: 'compare' });
	},
	o() {
		for (const a of $('export').querySelectorAll('a'))
			a.href = `${home}/export/${uri(ui.s)}?as=${a.textContent}`;
		$('export').showModal();
	},
	p() {
		flip('paused', 'top')();
		connect();
	},
	'?': () => $('keys').showModal()
};
tabs.forEach((b, i) => {
	KEYS[i + 1] = () => go({ tab: b.id.slice(4) });
	on(b, 'click', KEYS[i + 1]);
});

on(document, 'keydown', (e) => {
	const at = e.target, list = $('list').contains(at), i = tabs.indexOf(at);
	let k = e.key;

	if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]'))
		return;
	if (/^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) {
		if (k !== 'Escape' && (k !== 'Enter' || at.id !== 'filter'))
			return;
		k = 'Escape';
	} else if (i >= 0 && /^Arrow(Left|Right)$/.test(k)) {
		k = (i + (k === 'ArrowLeft' ? 6 : 1)) % 7 + 1;
	} else if (list) {
		k = { ArrowDown: 'j', ArrowUp: 'k', Home: 'g', End: 'G' }[k] ?? k;
	}
	if (!Object.hasOwn(KEYS, k) || k === 'Enter' && /^(A|BUTTON|SUMMARY)$/.test(at.tagName))
		return;
	e.preventDefault();
	if (at.id === 'filter')
		return level(2);
	KEYS[k]();
	touch('list');
	paint();
	if (i >= 0 && k > 0)
		tabs[k - 1].focus();
});

/* -- painting */

const stale = new Set(), ALL = ['top', 'rail', 'list', 'strip', 'detail'];
let frame = 0, slow = 0;	/* what a long painting costs is paid in rest */
function touch(...parts) {
	parts.forEach((p) => stale.add(p));
	frame ||= setTimeout(requestAnimationFrame, slow, paint);
}
function paint() {
	const is = new Set(stale), began = performance.now();

	frame = 0;
	stale.clear();
	for (const [part, f] of [['address', paintAddress], ['top', paintTop],
	    ['rail', paintRail], ['list', paintList], ['strip', paintStrip], ['rows', drawRows],
	    ['detail', paintDetail], ['live', paintLive]])
		if (is.has(part))
			f();
	slow = performance.now() - began;
	slow = slow > 20 ? Math.min(3 * slow, 200) : 0;
}

$('origin').textContent = location.origin;
on($('filter'), 'input', (e) => {
	ui.q = e.target.value.trim();
	touch('address', 'list');
	paint();
	search();
});
on($('pause'), 'click', KEYS.p);
on($('help'), 'click', KEYS['?']);
on($('back'), 'click', KEYS.Escape);
const theme = (t) => document.documentElement.dataset.theme = t;
theme(localStorage.theme ?? '');
on($('theme'), 'click', () => localStorage.theme = theme({ dark: 'light', light: 'dark' }[
	localStorage.theme] ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'light' :
	'dark')));
on($('list'), 'scroll', () => drawRows());
for (const id of ['list', 'lanes'])
	on($(id), 'click', (e) => {
		const key = e.target.closest('[data-key]')?.dataset.key;
		const r = rows.find((x) => x.key === key);
		select(r?.st ?? r?.turn.lanes.get(r.lane)?.[0] ?? r?.turn.steps[0]);
		paint();
		if (innerWidth < 900 && r?.st)
			level(3);
		else
			focusOn(drawn.get(ui.r));
	});
on(window, 'hashchange', route);
on(window, 'resize', () => touch('list'));
on(document, 'visibilitychange', connect);
setInterval(() => touch('rail', here()?.live && 'list', 'strip'), 1000);	/* clocks */
page.level = 2;
focusOn($('list'));
touch(...ALL);
route();
connect();
