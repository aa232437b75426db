// page-shots.mjs -- the monitor's page as people see it: pictures to look at.
//
//	tests/interop/run page-shots
//
// Plays two sessions as a coding client makes them, over three models, and
// writes build/screenshots/TAB-THEME-WIDTH.png: seven tabs, two themes, three
// widths. No part of the tests: they don't look.
//
// SPDX-License-Identifier: MIT
import { mkdirSync } from 'node:fs';
import { scenario, sleep, summary } from './harness.mjs';
import { open, quit, show, until } from './browser.mjs';
import { Talk, agentCall, call, count, script } from './talk.mjs';

const TABS = (process.env.TABS ??
	'new tools system context wire timing compare').split(' ');
const WIDTHS = (process.env.WIDTHS ?? '1440 900 390').split(' ').map(Number);
const THEMES = (process.env.THEMES ?? 'light dark').split(' ');
const source = `static int session_end(struct session *s)
{
	if (s->locked)
		return E_BUSY;
	s->timer = 0;
	return close(s->fd);
}`;
const failing = `FAIL tests/login.test.ts
  ✕ keeps the session after a second click (41 ms)
    expected "signed in", got "expired"
      at tests/login.test.ts:58:11
1 failed, 22 passed`;
const system = `You are an interactive agent that helps users with software
engineering tasks. Use the tools at hand to do what is asked, and nothing else.

# Tone
Be concise. Do not explain code unless you are asked to.

# Tools
Prefer Grep and Read over shell commands. Run independent calls in parallel.`;
const used = (prompt, read, out) => ({ prompt_tokens: prompt,
	completion_tokens: out, total_tokens: prompt + out,
	prompt_tokens_details: { cached_tokens: read } });

async function login(px) {
	const main = new Talk(px, { system }), { session } = main, step = {};
	const side = new Talk(px, { session, cls: 'auxiliary', tools: [],
		model: 'claude-haiku-4-5', system: 'Generate a concise title.' });
	const ask = 'The login button does nothing when it is clicked twice. ' +
		'Find out why and mend it, with a test.';

	await side.ask(ask, { text: '{"title": "Mend the login button"}',
		usage: used(812, 0, 14) });
	await count(main, ask);
	await main.ask(ask, { wait: 120, delay: 8, reasoning: 'A second click ' +
		'may close the session before the first answer is there. The tests ' +
		'will tell; then I read the handler.', text:
		'I run the tests first.', calls: [call('Bash',
		{ command: 'npm test -- --runInBand' })], usage: used(18200, 0, 96) });
	await sleep(140);
	step.fail = await main.results([{ content: failing, is_error: true }],
		{ wait: 60, delay: 6, text: 'One test fails, as described. I look for ' +
			'the handler and read both files.', calls: [call('Grep', { pattern:
			'session_end' }), call('Read', { file_path: 'src/session.c' }),
		call('Read', { file_path: 'src/login.ts' })],
		usage: used(18900, 17900, 141) }, { times: 'Bash=742' });
	await sleep(30);
	await main.results(['src/session.c:112: session_end(s)', source,
		'button.onclick = () => post("/login")'], { wait: 90, text:
		'Two agents look further.', calls: [agentCall(
			'Find every caller of session_end.'), agentCall(
			'Plan a test for two clicks.', 'Plan')],
		usage: used(21400, 18800, 188) }, { times: 'Grep=12;Read=9;Read=11' });
	const spawn = (agent, type, more) => new Talk(px, { session, cls:
		'subagent', agent, type, system: 'You are a file search specialist.',
	model: 'claude-sonnet-5', ...more });
	const explore = spawn('a1f3', 'Explore'), plan = spawn('b7c2', 'Plan');
	await Promise.all([(async () => {
		await explore.ask('Find every caller of session_end.', { wait: 150,
			text: 'Searching.', calls: [call('Grep', { pattern:
				'session_end\\(' })], usage: used(9100, 0, 60) });
		await sleep(40);
		await explore.results(['src/session.c:112\nsrc/http.c:87'], { wait: 80,
			text: 'Two callers: session.c and http.c.',
			usage: used(9400, 9000, 44) }, { times: 'Grep=31' });
	})(), plan.ask('Plan a test for two clicks.', { wait: 330, text:
		'Click twice within 50 ms; expect one request and a session.',
	usage: used(8800, 0, 71) })]);
	step.edit = await main.results(['Two callers: session.c and http.c.',
		'Click twice within 50 ms; expect one request and a session.'], {
		wait: 70, delay: 5, reasoning: 'The timer is cleared before the lock ' +
			'is looked at.', text: 'The cause: `session_end` clears the ' +
		'timer although the session is locked. The order has to change:\n\n' +
		'```c\nif (s->locked)\n\treturn E_BUSY;\n```\n\nThen I add the test.',
		calls: [call('Edit', { file_path: 'src/session.c', old_string:
			'\ts->timer = 0;\n\tif (s->locked)\n\t\treturn E_BUSY;\n' +
			'\treturn close(s->fd);', new_string: '\tif (s->locked)\n' +
			'\t\treturn E_BUSY;\n\ts->timer = 0;\n\treturn close(s->fd);' })],
		usage: used(24100, 21200, 236) });
	await sleep(420);
	step.ok = await main.results(['The file has been edited.'], { wait: 60,
		text: 'Mended. Now the tests once more.', calls: [call('Bash',
			{ command: 'npm test -- --runInBand' })],
		usage: used(24600, 24000, 58) }, { times: 'Edit=18' });
	await sleep(90);
	await main.results(['23 passed'], { wait: 50, delay: 4, text: 'All 23 ' +
		'tests pass. A second click no longer ends the session.',
	usage: used(25100, 24500, 40) }, { times: 'Bash=611' });
	await main.ask('Good. Commit it.', { wait: 80, text: 'Committing.', calls:
		[call('Bash', { command: 'git commit -am "session: look at the lock ' +
			'first"' })], usage: used(25400, 25000, 52) });
	await sleep(60);
	step.last = await main.results(['[main 4f0c1d2] session: look at the ' +
		'lock first'], { wait: 40, delay: 4, text: 'Committed as 4f0c1d2.',
	usage: used(25700, 25300, 22) }, { times: 'Bash=57' });
	return { session, step };
}

/* A weak model: tools that there aren't, the same call again, an answer that
 * is cut off, a service that is busy. */
async function port(px) {
	const t = new Talk(px, { model: 'claude-sonnet-5', system: system + ' ' });

	await t.ask('Port the parser tests to the new runner.', { wait: 60, text:
		'I begin.', calls: [call('ReadFile', { path: 'tests/parser.py' })],
	usage: used(15100, 0, 40) });
	for (let i = 0; i < 4; i++)
		await t.results(['ModuleNotFoundError: No module named "runner"'], {
			wait: 30, text: 'Again.', calls: [call('Bash', { command:
				'python -m pytest tests/parser.py' })],
			usage: used(15400 + 300 * i, 15000, 31) }, { times: 'Bash=211' });
	await t.results(['ok'], { fail: { status: 503, body: { error: { message:
		'The model is overloaded.', type: 'server_error' } } } });
	await t.ask(null, { text: 'I go on with the', finish: 'length',
		usage: used(17100, 15900, 4096) },
	{ head: { 'x-stainless-retry-count': '1' } });
	for (let i = 0; i < 6; i++) {
		await t.ask(`Go on with part ${i + 2}.`, { wait: 20, text: 'Next.',
			calls: [call('Read', { file_path: `tests/part${i}.py` })],
			usage: used(17500 + 400 * i, 17000, 44) });
		await t.results([`def test_${i}(): pass`], { text: 'Ported.',
			usage: used(17700 + 400 * i, 17000, 30) }, { times: 'Read=7' });
	}
	return t.session;
}

await scenario('page-shots', async (s) => {
	const px = await s.pair('vllm', script, 'glm-5', { env: { MODEL_MAP:
		'claude-sonnet-*=qwen3-coder-30b,claude-haiku-*=gpt-5-mini' } });

	await port(px);
	await login(px);
	const { session, step } = await login(px);
	const id = { new: step.edit.id, wire: step.fail.id, compare: step.last.id };
	mkdirSync('build/screenshots', { recursive: true });
	for (const theme of THEMES)
		for (const width of WIDTHS) {
			const page = await open(s, px.url, { width, height: width < 500 ?
				844 : 900, colorScheme: theme });
			await until(page, () => document.querySelectorAll('[role=option]')
				.length > 8 || innerWidth < 900);
			for (const tab of TABS) {
				await show(page, session, id[tab] ?? step.ok.id, tab);
				await sleep(120);
				await page.screenshot({ path:
					`build/screenshots/${tab}-${theme}-${width}.png` });
			}
			for (const level of width < 900 ? [2, 1] : []) {
				await page.keyboard.press('Escape');
				await sleep(120);
				await page.screenshot({ path:
					`build/screenshots/level${level}-${theme}-${width}.png` });
			}
			if (page.trouble.length)
				throw new Error(page.trouble.join('\n'));
			await page.context().close();
		}
});
await quit();
await summary('page-shots');
