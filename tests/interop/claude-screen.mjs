// claude-screen.mjs -- the real Claude Code on a terminal, with all the
// traffic that it makes by itself there: probes, titles, dialogs.
//
// Each scenario names the rules it stands on, as in claude-tools.mjs.
//
// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MODELS, project, Screen, tap, target } from './claude.mjs';
import { assert, scenario, sleep, summary } from './harness.mjs';
import { play, talk } from './script.mjs';

const SHAPES = [...Object.keys(MODELS), 'anthropic'];

async function until(test, what) {
	for (let i = 0; i < 500; i++) {
		if (test())
			return;
		await sleep(20);
	}
	throw new Error(`never: ${what}`);
}

// Sessions are named by a side call that wants JSON by a schema.
function naming(parts) {
	const usual = play(parts);

	return (body, entry, up) => {
		if (!/naming a coding session/.test(talk(body, up.dialect).system))
			return usual(body, entry, up);
		entry.job = 'title';
		return { text: '{"title":"Apples \u6f22"}' };
	};
}

for (const shape of SHAPES)
	scenario(`screen ${shape}: asked, allowed, done, with what it asks by itself, OA-20 AN-1 10 FN-45 52`, async (s) => {
		const p = project();
		await target(s, shape, naming({ first: [
			{ text: 'Making.', calls: [{ name: 'Bash', args: { command:
				`touch ${join(p.work, 'made')} && sleep 0.1`,
			description: 'Make it' } }] }, { text: 'first is done' }] }));
		const t = await tap(s, s.px.url);
		const c = new Screen(s, t.url, p, { args: ['--permission-mode', 'default'] });

		await c.sees('❯');
		await c.type('Make it. JOB[first]');
		await c.sees('Do you want to proceed?');
		assert.ok(!existsSync(join(p.work, 'made')));
		c.key('\r');
		await c.sees('first is done');
		assert.ok(existsSync(join(p.work, 'made')));
		await until(() => s.up.chats.some((x) => x.job === 'title'), 'a title');
		await c.type('/exit');
		await c.ended;
		assert.deepEqual(s.up.refusals, []);
		/* Everything was answered, and counted under its class. */
		assert.deepEqual(t.got.filter((e) => e.status !== 200)
			.map((e) => `${e.method} ${e.url} ${e.status}`), []);
		const hints = t.got.filter((e) => /\/messages/.test(e.url))
			.map((e) => e.headers['x-claude-code-request-class']).sort();
		assert.deepEqual(s.px.log.map((l) => l.class).sort(), hints);
		const [title] = s.up.chats.filter((x) => x.job === 'title');
		if (shape !== 'anthropic')
			assert.equal(title.body.response_format.type, 'json_schema');
		/* A person's time to answer is no time of the tool's. */
		const last = t.got.findLast((e) =>
			e.headers['x-claude-code-prev-tool-durations']);
		assert.match(last.headers['x-claude-code-prev-tool-durations'],
			/^Bash=\d+$/);
	});

scenario('screen openai: /model changes the upstream\'s model, OA-6 AN-14 28', async (s) => {
	const p = project();
	await s.pair('openai', naming({ first: [{ text: 'first is done' }],
		second: [{ text: 'second is done' }] }), 'gpt-5.1', { env: { MODEL_MAP:
		'claude-sonnet-*=gpt-5,claude-haiku-*=gpt-5-mini' } });
	const c = new Screen(s, s.px.url, p);

	await c.sees('❯');
	await c.type('Go. JOB[first]');
	await c.sees('first is done');
	await c.type('/model sonnet');
	await c.sees('Switch model?');
	c.key('\r');
	await c.sees('Set model to');
	await c.type('Go. JOB[second]');
	await c.sees('second is done');
	assert.deepEqual(s.up.refusals, []);
	assert.deepEqual(s.up.chats.filter((x) => x.job !== 'title')
		.map((x) => [x.job, x.body.model]),
	[['first', 'gpt-5.1'], ['second', 'gpt-5']]);
});

for (const shape of ['openai', 'anthropic'])
	scenario(`screen ${shape}: Esc ends the upstream, and the session goes on, OA-41 AN-21 FN-43`, async (s) => {
		const p = project();
		await target(s, shape, naming({
			first: [{ text: 'on and on '.repeat(3000), delay: 20 }],
			second: [(t) => ({ text: t.steps[0].answer && 'second is done' })],
		}));
		const c = new Screen(s, s.px.url, p);

		await c.sees('❯');
		await c.type('Go. JOB[first]');
		await c.sees('on and on');
		assert.equal(s.up.closed.length, 0);
		c.key('\x1b');
		await until(() => s.up.closed.length === 1, 'the end upstream');
		await c.sees('Interrupted');
		await c.type('Go. JOB[second]');
		await c.sees('second is done');
		assert.deepEqual(s.up.refusals, []);
		assert.ok(await s.px.logged((l) => l.outcome === 'cancelled'));
	});

scenario('screen openai: /compact and /context, OA-126 AN-25 FN-16 17', async (s) => {
	const p = project();
	const parts = naming({ first: [{ text: 'first is done' }],
		second: [(t) => ({ text: /being continued/.test(t.steps[0].ask.text) ?
			'second is done' : 'BROKEN' })] });
	await target(s, 'openai', (body, entry, up) =>
		/CRITICAL: Respond with TEXT ONLY/.test(talk(body).last.text) ?
			{ text: '<summary>It was done.</summary>' } : parts(body, entry, up));
	const c = new Screen(s, s.px.url, p);

	await c.sees('❯');
	await c.type('Go. JOB[first]');
	await c.sees('first is done');
	await c.type('/context');
	await c.sees('Context usage');
	await c.type('/compact');
	await c.sees('Compacted');
	await c.type('Go. JOB[second]');
	await c.sees('second is done');
	assert.deepEqual(s.up.refusals, []);
	const count = s.px.log.filter((l) => l.class === 'count');
	assert.ok(count.length > 5, String(count.length));
	assert.ok(count.every((l) => l.status === 200));
	assert.equal(s.px.log.filter((l) => l.class === 'compaction').length, 1);
});

summary('claude-screen');
