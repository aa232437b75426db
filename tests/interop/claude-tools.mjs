// claude-tools.mjs -- what the real Claude Code's tools send and need back:
// agents, web, pictures, papers, MCP servers, errors, plans and lists.
//
// Each scenario names the rules it stands on: OA and AN of the translation,
// FN for a defect that users of other proxies reported.
//
// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join, resolve } from 'node:path';
import { MODELS, project, run, tap, target } from './claude.mjs';
import { assert, scenario, summary } from './harness.mjs';
import { play, talk } from './script.mjs';

const SHAPES = [...Object.keys(MODELS), 'anthropic'];
const DONE = 'JOB DONE \u2713';

const call = (name, args) => ({ name, args });
const load = (...names) => ({ calls: [call('ToolSearch',
	{ query: `select:${names.join(',')}` })] });

// The end of a play: done if what came back is what the script expects.
const done = (test) => (t) => {
	try {
		test(t.last, t);
		return { text: DONE };
	} catch (e) {
		return { text: `BROKEN: ${e.message}\n${
			JSON.stringify(t.last.results).slice(0, 3000)}` };
	}
};

function checkDone(s, r, refusals = []) {
	assert.equal(r.code, 0, `exit ${r.code} ${r.signal}: ${r.err}`);
	assert.equal(r.result.result, DONE);
	assert.equal(r.result.is_error, false);
	assert.deepEqual(s.up.refusals, refusals);
}

// Bodies of the part's requests, as conversations.
const asked = (s, name) => s.up.chats.filter((c) => c.job === name)
	.map((c) => talk(c.body, s.up.dialect));

// ---- agents ----

// Answers wait for each other: both children are on their way at once, or
// none of them ever ends.
function meeting(n) {
	let meet;
	const met = new Promise((r) => meet = r);

	return () => {
		if (--n === 0)
			meet();
		return met;
	};
}

const agent = (name, more) => call('Agent', { description: `child ${name}`,
	prompt: `Read your file. JOB[${name}]`, ...more });

function children(p, background) {
	const meet = meeting(2);
	const child = (name, file) => [
		async () => {
			await meet();
			return { text: `${name} looks.`, reasoning: 'Which file?',
				calls: [call('Read', { file_path: join(p.work, file) })] };
		},
		(t) => ({ text: `${name} SAW ${/saw (\w+)/.exec(
			t.last.results[0].text)?.[1]}` }),
	];

	return { one: child('one', 'a.txt'), two: child('two', 'b.txt'),
		main: [{ text: 'Two at once.', calls: [
			agent('one', { subagent_type: 'general-purpose',
				run_in_background: background }),
			agent('two', { subagent_type: 'Explore', model: 'haiku',
				run_in_background: background })] }] };
}

for (const shape of SHAPES)
	scenario(`tools ${shape}: two agents at once, OA-6 30 44 49 FN-4 37 52`, async (s) => {
		const p = project({ 'a.txt': 'saw apples\n', 'b.txt': 'saw pears\n' });
		const parts = children(p, false);
		parts.main.push(done(({ results }) => {
			assert.match(results[0].text, /one SAW apples/);
			assert.match(results[1].text, /two SAW pears/);
		}));
		const px = await target(s, shape, play(parts));
		const t = await tap(s, px.url);
		const r = await run(t.url, p, 'Send two. JOB[main]',
			{ tools: ['Read', 'Agent'] });

		checkDone(s, r);
		assert.equal(s.up.chats.length, 6);
		/* Who is who: header, hint and record agree. */
		const agents = new Set(t.got.map((e) =>
			e.headers['x-claude-code-agent-id']).filter(Boolean));
		assert.equal(agents.size, 2);
		const log = px.log.filter((l) => l.class !== 'count');
		assert.equal(log.filter((l) => l.class === 'main').length, 2);
		assert.equal(log.filter((l) => l.class === 'subagent').length, 4);
		assert.deepEqual(new Set(log.map((l) => l.agent).filter(Boolean)),
			agents);
		assert.equal(new Set(log.map((l) => l.session)).size, 1);
		assert.equal(log.filter((l) => l.model === 'claude-haiku-5-5').length, 2);
	});

for (const shape of ['openai', 'gemini', 'anthropic'])
	scenario(`tools ${shape}: agents in the background report later, OA-49 FN-37`, async (s) => {
		const p = project({ 'a.txt': 'saw apples\n', 'b.txt': 'saw pears\n' });
		const parts = children(p, true);
		let seen = '';
		const waits = (t) => {
			seen = t.steps.map((x) => x.ask.text).join('\n');
			return { text: /one SAW apples/.test(seen) &&
				/two SAW pears/.test(seen) ? DONE : 'Waiting.' };
		};
		parts.main.push(waits, waits, waits, waits);
		await target(s, shape, play(parts));
		const r = await run(s.px.url, p, 'Send two. JOB[main]',
			{ tools: ['Read', 'Agent'] });

		checkDone(s, r);
		assert.match(seen, /task-notification/);
	});

for (const shape of ['openai', 'gemini', 'anthropic'])
	scenario(`tools ${shape}: agents of agents and of a workflow, FN-52`, async (s) => {
		const p = project({ 'a.txt': 'saw apples\n' });
		const now = { subagent_type: 'general-purpose',
			run_in_background: false };
		const script = `export const meta = { name: 'flow', description: 'x', phases: [{ title: 'One' }] }\nphase('One')\nreturn await agent('Answer. JOB[flow]', { label: 'a' })`;
		const waits = (t) => ({ text: t.steps.some((x) =>
			/flow is done/.test(x.ask.text)) ? DONE : 'Waiting.' });
		await target(s, shape, play({
			main: [{ calls: [agent('outer', now)] }, (t) =>
				/inner is done/.test(t.last.results[0].text) ?
					{ calls: [call('Workflow', { script })] } :
					{ text: 'BROKEN' }, waits, waits, waits],
			outer: [{ calls: [agent('inner', now)] }, (t) => ({ text:
				`outer heard: ${t.last.results[0].text}` })],
			inner: [{ text: 'inner is done' }],
			flow: [{ text: 'flow is done' }],
		}));
		const t = await tap(s, s.px.url);
		const r = await run(t.url, p, 'Go. JOB[main]',
			{ tools: ['Agent', 'Workflow'] });

		checkDone(s, r);
		const hints = t.got.map((e) => e.headers['x-claude-code-request-class']);
		assert.deepEqual([...new Set(hints)].sort(),
			['main', 'subagent', 'workflow']);
		assert.deepEqual(s.px.log.map((l) => l.class).sort(), hints.sort());
		assert.equal(new Set(s.px.log.map((l) => l.agent).filter(Boolean))
			.size, 3);
	});

// A schema of the user's own becomes a tool; its value is the answer.
const SCHEMA = { type: 'object', required: ['lamps'], additionalProperties:
	false, properties: { lamps: { type: 'array', minItems: 1, items: {
	$ref: '#/$defs/lamp' } }, note: { type: ['string', 'null'] },
kind: { const: 'pier' } }, $defs: { lamp: { type: 'object', properties: {
	n: { type: 'integer', exclusiveMinimum: 0 },
	colour: { enum: ['red', 'green'] } }, required: ['n'] } } };

for (const shape of SHAPES)
	scenario(`tools ${shape}: an answer by --json-schema, OA-57 58 FN-35`, async (s) => {
		const p = project();
		const value = { lamps: [{ n: 3, colour: 'red' }], note: null,
			kind: 'pier' };
		await target(s, shape, play({ main: [(t) => ({ calls: [call(t.tools
			.find((x) => x === 'StructuredOutput') ?? 'missing', value)] }),
		{ text: DONE }] }));
		const r = await run(s.px.url, p, 'Lamps. JOB[main]',
			{ args: ['--json-schema', JSON.stringify(SCHEMA)] });

		assert.equal(r.code, 0, r.err);
		assert.deepEqual(r.result.structured_output, value);
		assert.deepEqual(s.up.refusals, []);
	});

// ---- the web ----

function fetchable(s, p) {
	const [key, cert] = ['k.pem', 'c.pem'].map((f) => join(p.home, f));

	execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes',
		'-days', '2', '-subj', '/CN=127.0.0.1', '-addext',
		'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
	{ stdio: 'ignore' });
	const server = https.createServer({ key: readFileSync(key),
		cert: readFileSync(cert) }, (req, res) => {
		res.writeHead(200, { 'content-type': 'text/html' });
		res.end(`<h1>Tides</h1><p>JOB[page] ${'High water at noon. '
			.repeat(500)}</p>`);
	});
	s.keep({ close: () => {
		server.closeAllConnections();
		server.close();
	} });
	mkdirSync(join(p.home, '.claude'));
	writeFileSync(join(p.home, '.claude', 'settings.json'),
		'{"skipWebFetchPreflight":true}');
	return new Promise((r) => server.listen(0, '127.0.0.1', () =>
		r({ url: `https://127.0.0.1:${server.address().port}/tides`,
			env: { NODE_EXTRA_CA_CERTS: cert } })));
}

for (const shape of SHAPES)
	scenario(`tools ${shape}: a search and a page, their side calls too, OA-16 53 54 FN-33 39`, async (s) => {
		const p = project();
		const page = await fetchable(s, p);
		await target(s, shape, play({
			main: [load('WebSearch', 'WebFetch'),
				(t) => t.tools.includes('WebSearch') ? { calls: [
					call('WebSearch', { query: 'JOB[search] tides' }),
					call('WebFetch', { url: page.url, prompt: 'When?' }),
					call('WebFetch', { url: 'https://127.0.0.1:1/',
						prompt: 'When?' })] } :
					{ text: `BROKEN: tools are ${t.tools}` },
				done(({ results }) => {
					assert.match(results[0].text, /no search here/);
					assert.match(results[1].text, /noon, it says/);
					assert.match(results[2].text, /connect|refused/i);
				})],
			search: [{ text: 'no search here' }],
			page: [{ text: 'noon, it says' }],
		}));
		const r = await run(s.px.url, p, 'Look it up. JOB[main]',
			{ tools: ['WebSearch', 'WebFetch'], env: page.env });

		checkDone(s, r);
		const [search] = s.up.chats.filter((c) => c.job === 'search');
		const [side] = s.up.chats.filter((c) => c.job === 'page');
		if (shape === 'anthropic') {
			assert.match(search.body.tools[0].type, /^web_search/);
			return;
		}
		/* No function that nobody runs; the model is told so instead. */
		assert.equal(search.body.tools, undefined);
		assert.match(talk(search.body).system, /search/);
		assert.equal(side.body.tools, undefined);
		assert.ok(s.px.log.some((l) => l.notes?.some((n) =>
			/web_search/.test(JSON.stringify(n)))), 'no note');
	});

// ---- pictures and papers ----

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

function paper() {
	const parts = ['<</Type/Catalog/Pages 2 0 R>>',
		'<</Type/Pages/Kids[3 0 R]/Count 1>>',
		'<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<<>>>>',
		'<</Length 8>>stream\n0 0 m S\n\nendstream'];
	let text = '%PDF-1.4\n';
	const at = parts.map((part, i) => {
		const n = text.length;
		text += `${i + 1} 0 obj${part}endobj\n`;
		return `${String(n).padStart(10, '0')} 00000 n \n`;
	});

	return `${text}xref\n0 5\n0000000000 65535 f \n${at.join('')}trailer<</Size 5/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF\n`;
}

for (const shape of SHAPES)
	scenario(`tools ${shape}: a picture and a paper are read, OA-33 34 39 FN-34 38`, async (s) => {
		const p = project({ 'x.png': PNG, 'y.pdf': paper() });
		const takesFiles = ['openai', 'anthropic'].includes(shape);
		await target(s, shape, play({ main: [
			{ calls: [call('Read', { file_path: join(p.work, 'x.png') }),
				call('Read', { file_path: join(p.work, 'y.pdf') })] },
			done(({ results, images, files, text }) => {
				assert.equal(results.length, 2);
				assert.equal(images.length, 1);
				assert.ok(Buffer.from(images[0], 'base64').includes('PNG'));
				assert.equal(files.length, takesFiles ? 1 : 0);
				if (takesFiles)
					assert.equal(Buffer.from(files[0], 'base64')
						.toString(), paper());
				else
					assert.match(text + results[1].text,
						/document .*not sent/);
			})] }));
		const r = await run(s.px.url, p, 'Look. JOB[main]');

		checkDone(s, r);
		if (!takesFiles)
			assert.ok(s.px.log.some((l) => l.notes?.some((n) =>
				/document/.test(JSON.stringify(n)))), 'no note');
	});

// ---- errors ----

for (const shape of SHAPES)
	scenario(`tools ${shape}: errors, denials and unknown tools come back, OA-38 51 AN-16`, async (s) => {
		const p = project();
		await target(s, shape, play({ main: [
			{ calls: [call('Read', { file_path: join(p.work, 'none.txt') }),
				call('Write', { file_path: join(p.work, 'no.txt'),
					content: 'x' }),
				call('Bash', { command: 'echo out; exit 3',
					description: 'Fail' }),
				call('Nonsense', { a: 1 }),
				call('Read', { file_path: 7 })] },
			done(({ results }) => {
				assert.match(results[0].text, /does not exist/);
				assert.match(results[1].text, /permission|denied/i);
				assert.match(results[2].text, /exit code 3[^]*out/i);
				assert.match(results[3].text, /no such tool/i);
				assert.match(results[4].text, /InputValidationError/);
				if (shape !== 'anthropic')
					for (const { text } of results)
						assert.match(text, /^(Error|<tool_use_error>)/i);
			})] }));
		const r = await run(s.px.url, p, 'Fail. JOB[main]',
			{ tools: ['Read', 'Bash'] });

		checkDone(s, r);
		assert.ok(!existsSync(join(p.work, 'no.txt')));
		assert.equal(r.result.permission_denials.length, 1);
	});

// ---- auto mode, in which a model judges what may run ----

// Anthropic's service judges by itself. Elsewhere nobody does, so the client
// is told to ask the model on its own: a first and a second look, both
// without a stream, the first of 64 tokens with a stop sequence.
const MONITOR = /security monitor/;

function judging(parts, verdict) {
	const usual = play(parts);

	return (body, entry, up) => {
		if (!MONITOR.test(talk(body, up.dialect).system))
			return usual(body, entry, up);
		entry.job = 'judge';
		return { text: `<severity>${verdict}</severity>${
			(body.max_tokens ?? body.max_completion_tokens) > 64 ?
				'<category>Data Exfiltration</category>' : ''}` };
	};
}

for (const shape of SHAPES)
	for (const [verdict, outcome] of [[3, 'not_flagged'], [97, 'flagged']])
		scenario(`tools ${shape}: auto mode, ${outcome}, OA-13 27 115 118 AN-9`, async (s) => {
			const p = project();
			const ours = shape === 'anthropic';
			await target(s, shape, judging({ main: [
				{ calls: [call('Bash', { description: 'Make', command:
					`touch ${join(p.work, 'made')} && python3 -c 1` })],
				judges: (id) => ({ [id]: { type: 'evaluated', outcome,
					explanation: 'because' } }) },
				{ text: DONE }] }, verdict));
			const r = await run(s.px.url, p, 'Make it. JOB[main]', {
				tools: [], args: ['--permission-mode', 'auto'],
				env: ours ? {} : { CLAUDE_CODE_AUTO_MODE_SERVER: '0' } });

			checkDone(s, r);
			assert.equal(existsSync(join(p.work, 'made')), verdict < 50,
				JSON.stringify(talk(s.up.chats.at(-1).body,
					s.up.dialect).last.results));
			const judged = s.up.chats.filter((c) => c.job === 'judge');
			assert.equal(judged.length > 0, !ours);
			for (const c of judged)
				assert.equal(c.body.stream ?? false, false);
			/* Where the client works is for Anthropic alone. */
			for (const c of s.up.chats)
				assert.equal('safeguards' in c.body, ours);
		});

// ---- MCP ----

const LONG = 'mcp__pier__tell_the_harbour_master_which_of_the_lamps_on_the_outer_pier_are_lit';
const mcp = JSON.stringify({ mcpServers: { pier: { command: process.execPath,
	args: [resolve('tests/interop/mcp.mjs')] } } });

for (const [shape, search] of [...SHAPES.map((x) => [x, 'false']),
	['openai', 'true']])
	scenario(`tools ${shape}: an MCP server's, ${search === 'true' ?
		'searched for' : 'with long names'}, OA-39 51 53 58 FN-30 33 35`, async (s) => {
		const p = project();
		const named = (t, part) => t.tools.find((x) => x.includes(part)) ??
			'missing';
		const uses = (t) => ({ calls: [
			call(named(t, 'harbour'), { pier: 7, which: ['red', 'green'] }),
			call(named(t, 'camera'), {}), call(named(t, 'fails'), {})] });
		const ends = done(({ results, images }) => {
			assert.match(results[0].text,
				/lamps of pier \{"pier":7,"which":\["red","green"\]\}/);
			assert.match(results[0].text, /second part/);
			assert.match(results[1].text, /the picture/);
			assert.equal(images.length, 1);
			assert.match(results[2].text, /the pier is gone/);
		});
		await target(s, shape, play({ main: search === 'true' ?
			[load(LONG, 'mcp__pier__camera', 'mcp__pier__fails'), uses, ends] :
			[uses, ends] }));
		const r = await run(s.px.url, p, 'Lamps. JOB[main]', {
			args: ['--strict-mcp-config', '--mcp-config', mcp],
			tools: ['mcp__pier'], env: { ENABLE_TOOL_SEARCH: search } });

		checkDone(s, r);
		/* The client sees its own names, the upstream ones it takes. */
		const used = r.blocks.filter((b) => b.type === 'tool_use')
			.map((b) => b.name).filter((n) => n !== 'ToolSearch');
		assert.deepEqual(used, [LONG, 'mcp__pier__camera',
			'mcp__pier__fails']);
		const names = asked(s, 'main').at(-1).steps.flatMap((x) =>
			x.answer?.calls ?? []).map((c) => c.name);
		assert.ok(names.some((n) => n.includes('harbour')));
		assert.ok(names.every((n) => n.length <=
			(shape === 'anthropic' ? 128 : 64)), String(names));
		assert.ok(s.px.log.some((l) => l.tools_called?.includes(LONG)),
			'the record has another name');
	});

// ---- plans, lists, thoughts ----

for (const shape of ['openai', 'ollama', 'anthropic'])
	scenario(`tools ${shape}: a plan and a list, OA-27 53 AN-9`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		await target(s, shape, play({ main: [
			load('TodoWrite'),
			{ calls: [call('TodoWrite', { todos: [{ content: 'look',
				status: 'in_progress', activeForm: 'Looking' }] }),
			call('Read', { file_path: join(p.work, 'a.txt') }),
			call('Write', { file_path: join(p.work, 'b.txt'),
				content: 'no' })] },
			done(({ results }, t) => {
				assert.match(results[0].text, /Todos have been modified/);
				assert.match(results[1].text, /apples/);
				assert.match(results[2].text, /plan|permission/i);
				assert.match(t.steps[0].ask.text, /Plan mode is active/);
			})] }));
		const r = await run(s.px.url, p, 'Plan. JOB[main]', {
			args: ['--permission-mode', 'plan'],
			tools: ['Read', 'TodoWrite'],
			env: { CLAUDE_CODE_ENABLE_TASKS: '0' } });

		checkDone(s, r);
		assert.ok(!existsSync(join(p.work, 'b.txt')));
		/* Where the client works is for Anthropic alone. */
		for (const c of s.up.chats)
			assert.equal('safeguards' in c.body, shape === 'anthropic');
	});

for (const shape of ['vllm', 'ollama', 'anthropic'])
	scenario(`tools ${shape}: thoughts are shown and come back whole, OA-62 64 65 FN-1 20 21 22`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		const thought = ['First \u6f22 "look" \\ \ud83d\ude42.', 'Then see.'];
		const env = shape === 'anthropic' ? {} :
			{ OPENAI_FLAGS: 'send_reasoning=1' };
		await target(s, shape, play({ main: [
			{ reasoning: thought[0], calls: [call('Read',
				{ file_path: join(p.work, 'a.txt') })] },
			{ reasoning: thought[1], text: 'Seen.', calls: [call('Read',
				{ file_path: join(p.work, 'a.txt') })] },
			done((_, t) => assert.deepEqual(t.steps.slice(0, 2)
				.map((x) => x.answer.thinking), thought))] }), { env });
		const r = await run(s.px.url, p, 'Think. JOB[main]');

		checkDone(s, r);
		const shown = r.blocks.filter((b) => b.type === 'thinking');
		assert.deepEqual(shown.map((b) => b.thinking), thought);
		assert.ok(shown.every((b) => b.signature));
	});

summary('claude-tools');
