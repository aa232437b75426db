// browser.mjs -- a real Chromium for the tests of the monitor's page.
//
// Whatever a page does that its policy forbids, or complains of, is kept in
// page.trouble: console errors, exceptions, violations of the policy, and
// requests to anybody but where the page came from.
//
// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const { chromium } = createRequire(join(process.env.NODE_MODULES,
	'x.js'))('playwright-core');
const found = [process.env.CHROMIUM, '/usr/bin/chromium',
	'/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) =>
	p && existsSync(p));
let browser;

export async function launch() {
	if (!found)
		throw new Error('no Chromium: set CHROMIUM to its path');
	browser ??= await chromium.launch({ executablePath: found, args: [
		'--no-sandbox', '--disable-gpu', '--disable-quic',
		'--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync',
		'--js-flags=--expose-gc'] });
	return browser;
}
export const quit = () => browser?.close();

// A page at a proxy's (or a mock's) dashboard.
export async function open(stage, url, { hash = '', width = 1440, height = 900,
	...options } = {}) {
	const context = await (await launch()).newContext({ viewport:
		{ width, height }, ...options });
	const page = await context.newPage();
	const origin = new URL(url).origin;

	stage.keep({ close: () => context.close().catch(() => 0) });
	page.trouble = [];
	page.on('console', (m) => m.type() === 'error' &&
		page.trouble.push(`console: ${m.text()} ${m.location().url}`));
	page.on('pageerror', (e) => page.trouble.push(`exception: ${e.stack}`));
	page.on('request', (r) => new URL(r.url()).origin !== origin &&
		!r.url().startsWith('data:') &&
		page.trouble.push(`off origin: ${r.url()}`));
	await page.exposeFunction('violated', (what) =>
		page.trouble.push(`policy: ${what}`));
	await page.addInitScript(() => addEventListener(
		'securitypolicyviolation', (e) => window.violated(
			`${e.violatedDirective} ${e.blockedURI} ${e.sample}`)));
	await page.goto(`${url}/dashboard${hash}`);
	return page;
}
// Until f, run in the page, gives something true.
export async function until(page, f, arg, what = String(f), ms = 15000) {
	const end = Date.now() + ms;

	for (;;) {
		const r = await page.evaluate(f, arg);
		if (r)
			return r;
		if (Date.now() > end)
			throw new Error(`not so after ${ms} ms: ${what}`);
		await sleep(20);
	}
}
export const textOf = (page, selector) => page.locator(selector).innerText();
export const at = (session, id, tab = 'new') =>
	`#/s/${encodeURIComponent(session)}/r/${id}/${tab}`;
// Opens a step by its address; its tab's text, once the tab is painted. A page
// that came there by following is told too, that it may stay. A step that is
// still in flight is waited for, for a while.
export async function show(page, session, id, tab = 'new') {
	await page.evaluate((hash) => location.hash === hash ? dispatchEvent(
		new Event('hashchange')) : location.hash = hash, at(session, id, tab));
	await until(page, ([id, tab]) => document.querySelector('#panel').dataset
		.is === id + tab && document.querySelector('#head').innerText
		.includes(id), [id, tab], `${tab} of ${id}`);
	/* Its answer has ended for who asked; the page hears it a moment later. */
	await until(page, () => !document.querySelector('#head').innerText
		.includes('in flight'), null, '', 2000).catch(() => 0);
	return textOf(page, '#panel');
}
export const rows = (page) => page.$$eval('#list [role=option]', (all) =>
	all.sort((a, b) => parseFloat(a.style.transform.slice(11)) -
		parseFloat(b.style.transform.slice(11))).map((e) => ({
		id: e.id.slice(2), text: e.innerText.replace(/\s+/g, ' '),
		on: e.ariaSelected === 'true' })));
// Every row, the heads of turns and lanes too, from top to bottom.
export const outline = (page) => page.$$eval('#rows > *', (all) => all.sort(
	(a, b) => parseFloat(a.style.transform.slice(11)) -
		parseFloat(b.style.transform.slice(11))).map((e) => ({
	kind: e.classList[1], depth: parseFloat(e.firstChild.style.paddingLeft) ||
		0, text: e.innerText.replace(/\s+/g, ' ') })));
