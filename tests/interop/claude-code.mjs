// claude-code.mjs -- the real Claude Code, headless, through the proxy, doing
// a job of several steps against strict upstreams of four kinds and against
// one that speaks as Anthropic does.
//
// The model's script: read two files at once, write a third from what the
// results said, edit it, report. Its job is done only if every result came
// back whole, so the files and the last line prove the round trips.
//
// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEY, MODELS, project, run, tap, target } from './claude.mjs';
import { assert, scenario, summary } from './harness.mjs';
import { play } from './script.mjs';

// What JSON, shells and terminals stumble over.
const TRICKY = 'tab\there "quoted" back\\slash \u00fc \u6f22 \ud83d\ude42 </x> $HOME %s';
const FILES = { 'a.txt': `alpha ${TRICKY}\n`, 'b.txt': 'the number is 4711\n' };
const OUT = `number=4711\n${TRICKY}\nedited "line" \\ ${TRICKY}\n`;

function writes(dir, { last: { results } }) {
	if (results.length !== 2 || !results[0].text.includes(TRICKY))
		return { text: `BROKEN results: ${JSON.stringify(results)}` };
	const n = /number is (\d+)/.exec(results[1].text)?.[1];

	return { reasoning: `The number is ${n}.`, calls: [{ name: 'Write',
		args: { file_path: `${dir}/out.txt`,
			content: `number=${n}\n${TRICKY}\nlast line\n` } }] };
}

const job = (dir, first) => play({ main: [
	{ reasoning: 'Two files, so both at once.', text: 'Reading both files.',
		calls: [first(dir), { name: 'Read',
			args: { file_path: `${dir}/b.txt` } }] },
	(t) => writes(dir, t),
	{ text: 'Now the edit.', calls: [{ name: 'Edit', args: {
		file_path: `${dir}/out.txt`, old_string: 'last line',
		new_string: `edited "line" \\ ${TRICKY}` } }] },
	({ last: { results } }) => ({ reasoning: 'All done.',
		text: results.length === 1 ? `JOB DONE \u2713 ${TRICKY}` :
			`BROKEN: ${results.length} results` }),
] });

const reads = (dir) => ({ name: 'Read', args: { file_path: `${dir}/a.txt` } });
const shows = (dir) => ({ name: 'Bash', args: { command: `cat ${dir}/a.txt`,
	description: 'Show a.txt' } });

function checkJob(p, r) {
	assert.equal(r.code, 0, `exit ${r.code} ${r.signal}: ${r.err}\n${
		JSON.stringify(r.result)}`);
	assert.equal(r.result.result, `JOB DONE \u2713 ${TRICKY}`);
	assert.equal(r.result.is_error, false);
	assert.equal(readFileSync(join(p.work, 'out.txt'), 'utf8'), OUT);
}

// The console and the log tell the same story.
function checkRecord(px, up) {
	const { begin, end } = px.lines;
	const chats = px.log.filter((l) => l.class !== 'count');

	assert.equal(end.length, begin.length);
	assert.ok(begin.length >= 4);
	assert.equal(end.filter((l) => /calls (Read|Bash) Read/.test(l)).length, 1);
	assert.ok(end.some((l) => /200 tool_use.*calls Write/.test(l)), end);
	assert.equal(chats.length, up.chats.length);
	for (const l of chats) {
		assert.equal(l.outcome, 'done');
		assert.equal(l.class_by, 'hint');
		assert.equal(l.usage_estimated, false);
	}
	/* Who else may log in here is the machine's affair. */
	assert.doesNotMatch(px.console, /warning: (?!this machine has other)/);
	return chats;
}

for (const [shape, first, reasons] of [
	['openai', shows, false], ['gemini', reads, false],
	['ollama', reads, true], ['vllm', shows, true]])
	scenario(`claude code ${shape}: a job of four steps, OA-29 30 43 60-67 111 FN-3 4 13 40`, async (s) => {
		const p = project(FILES);
		const px = await target(s, shape, job(p.work, first));
		const r = await run(px.url, p, 'Two files, a third, an edit. JOB[main]');

		checkJob(p, r);
		assert.deepEqual(s.up.refusals, []);
		const jobs = s.up.chats.filter((c) => c.job);
		assert.equal(jobs.length, 4, 'four steps, four requests');
		for (const c of s.up.chats) {
			assert.equal(c.body.model, MODELS[shape]);
			assert.equal(c.body.stream, true);
			assert.ok(!JSON.stringify(c).includes(KEY),
				'the client\'s key went upstream');
			assert.ok(!JSON.stringify(c.body).includes('x-anthropic-billing'));
		}
		/* Both calls in one assistant message, both results behind it. */
		const since = jobs[1].body.messages;
		const at = since.findIndex((m) => m.tool_calls);
		assert.equal(since[at].tool_calls.length, 2);
		assert.deepEqual(since.slice(at + 1, at + 3).map((m) => m.tool_call_id),
			since[at].tool_calls.map((t) => t.id));
		if (shape === 'gemini')
			assert.equal(JSON.stringify(s.up.chats.map((c) => c.body))
				.includes('skip_thought'), false, 'a signature was lost');
		/* Prefix caches need the same bytes again. */
		for (let i = 1; i < jobs.length; i++) {
			assert.deepEqual(jobs[i].body.tools.slice(0, jobs[0].body.tools.length),
				jobs[0].body.tools);
			assert.deepEqual(jobs[i].body.messages.slice(0, 2),
				jobs[0].body.messages.slice(0, 2));
		}
		assert.equal(r.blocks.some((b) => b.type === 'thinking'), reasons);
		const chats = checkRecord(px, s.up);
		assert.ok(chats.some((l) => l.notes?.length), 'no notes');
	});

scenario('claude code socket: the job without a port', async (s) => {
	const p = project(FILES);
	const path = join(p.home, 'proxy.sock');
	const px = await target(s, 'openai', job(p.work, reads),
		{ env: { SERVER_SOCKET: path } });
	/* Nobody listens on that port: it can't have come by it. */
	const r = await run('http://localhost:1', p,
		'Two files, a third, an edit. JOB[main]',
		{ env: { ANTHROPIC_UNIX_SOCKET: path } });

	checkJob(p, r);
	assert.deepEqual(s.up.refusals, []);
	checkRecord(px, s.up);
});

scenario('claude code anthropic: the job, byte for byte, FN-20 21 26 40 48', async (s) => {
	const p = project(FILES);
	const px = await target(s, 'anthropic', job(p.work, reads));
	const t = await tap(s, px.url);
	const r = await run(t.url, p, 'Two files, a third, an edit. JOB[main]');
	const sent = t.got.filter((e) => e.url.startsWith('/v1/messages?'));

	checkJob(p, r);
	assert.deepEqual(s.up.refusals, []);
	assert.deepEqual(s.up.chats.map((c) => c.text), sent.map((e) => e.text));
	for (const [i, c] of s.up.chats.entries()) {
		assert.equal(sent[i].answer, Buffer.from(c.sent).toString('latin1'));
		for (const name of ['anthropic-beta', 'anthropic-version',
			'x-api-key', 'user-agent', 'x-claude-code-session-id'])
			assert.equal(c.headers[name], sent[i].headers[name], name);
	}
	assert.ok(r.blocks.some((b) => b.type === 'thinking'));
	const chats = checkRecord(px, s.up);
	for (const [i, l] of chats.entries()) {
		assert.equal(l.output_tokens, s.up.chats[i].usage.output_tokens);
		assert.equal(l.cache_read_tokens, 512);
	}
});

summary('claude-code');
