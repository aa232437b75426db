// bedrock-credentials.mjs -- every way AWS users sign in, each against a small
// stand-in for the service behind it, and what each gets when it is broken.
//
// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync,
	writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Bedrock, KEYS } from './bedrock-upstream.mjs';
import { assert, scenario, summary } from './harness.mjs';

const from = createRequire(join(process.env.NODE_MODULES, 'x.js'));
const { SignatureV4 } = from('@smithy/signature-v4');
const { HttpRequest } = from('@smithy/protocol-http');
const { Sha256 } = from('@aws-crypto/sha256-js');
const BASE = { accessKeyId: 'AKIABASEBASEBASE0001', secretAccessKey: 'base/secret+aaaaaaaaaaaaaaaaaaaaaaaaaaaa' };
const ROLE = { accessKeyId: 'ASIAROLEROLEROLE0001', secretAccessKey: 'role/secret+bbbbbbbbbbbbbbbbbbbbbbbbbbbb',
	sessionToken: 'role//token+cccccccccccccccc==' };
const in1h = () => new Date(Date.now() + 3600e3).toISOString().replace(/\.\d+/, '');

// Bedrock's control plane, STS, the SSO portal and its OIDC, a container's and an instance's endpoint.
const HIDES = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6';
const OTHER = HIDES.replace('a1b2', 'ffff'), MODEL = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
class Services {
	constructor() {
		this.got = [];
		this.server = http.createServer((req, res) => this.serve(req, res));
	}
	async listen() {
		await new Promise((r) => this.server.listen(0, '127.0.0.1', r));
		this.url = `http://127.0.0.1:${this.server.address().port}`;
		return this;
	}
	close() {
		this.server.closeAllConnections();
		this.server.close();
	}
	async signed(req, body, service = 'sts') {
		const m = /Credential=([^/]+)\/\d+\/([^/]+)\/(?:sts|bedrock)\/aws4_request, SignedHeaders=([^,]+)/.exec(req.headers.authorization ?? '');
		if (m?.[1] !== BASE.accessKeyId)
			return false;
		const signer = new SignatureV4({ credentials: BASE, region: m[2],
			service, sha256: Sha256, applyChecksum: false });
		const d = req.headers['x-amz-date'].replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5');
		const again = await signer.sign(new HttpRequest({ method: req.method, protocol: 'http:',
			hostname: '127.0.0.1', path: req.url, body, headers: Object.fromEntries(m[3].split(';')
				.filter((n) => !n.startsWith('x-amz-date')).map((n) => [n, req.headers[n]])) }),
		{ signingDate: new Date(d) });
		return again.headers.authorization === req.headers.authorization;
	}
	async serve(req, res) {
		const parts = [];
		for await (const p of req)
			parts.push(p);
		const body = Buffer.concat(parts).toString();
		const json = (o, status = 200) => {
			res.writeHead(status, { 'content-type': 'application/json' });
			res.end(JSON.stringify(o));
		};
		const keys = { AccessKeyId: ROLE.accessKeyId, SecretAccessKey: ROLE.secretAccessKey,
			Token: ROLE.sessionToken, Expiration: in1h(), Code: 'Success' };
		const [path] = req.url.split('?');

		this.got.push({ method: req.method, url: req.url, headers: req.headers, body });
		if (this.refuse)
			return json(this.refuse.body, this.refuse.status);
		if (this.hang)
			return;
		if (req.method === 'POST' && path === '/') {
			const form = new URLSearchParams(body);
			const action = form.get('Action');
			if (action === 'AssumeRole' && !await this.signed(req, body))
				return json({ message: 'signature' }, 403);
			res.writeHead(200, { 'content-type': 'text/xml' });
			return res.end(`<${action}Response><${action}Result><Credentials><AccessKeyId>${ROLE.accessKeyId}</AccessKeyId><SecretAccessKey>${ROLE.secretAccessKey}</SecretAccessKey><SessionToken>${ROLE.sessionToken}</SessionToken><Expiration>${in1h()}</Expiration></Credentials></${action}Result></${action}Response>`);
		}
		const hidden = /^\/inference-profiles\/([^/]+)$/.exec(path)?.[1];
		if (hidden && decodeURIComponent(hidden) === HIDES && await this.signed(req, body, 'bedrock'))
			return json({ inferenceProfileArn: HIDES, type: 'APPLICATION', status: 'ACTIVE', models: ['us-east-1', 'us-west-2'].map((r) =>
				({ modelArn: `arn:aws:bedrock:${r}::foundation-model/${MODEL}` })) });
		if (hidden)
			return json({ message: 'not authorized' }, 403);
		if (path === '/federation/credentials')
			return req.headers['x-amz-sso_bearer_token'] === 'sso-token' ?
				json({ roleCredentials: { accessKeyId: ROLE.accessKeyId, secretAccessKey: ROLE.secretAccessKey,
					sessionToken: ROLE.sessionToken, expiration: Date.now() + 3600e3 } }) :
				json({ message: 'Session token not found or invalid' }, 401);
		if (path === '/container')
			return req.headers.authorization === 'container-token' ? json(keys) : json({}, 401);
		if (path === '/latest/api/token' && req.method === 'PUT') {
			res.writeHead(200);
			return res.end('imds-token');
		}
		if (path.startsWith('/latest/') && req.headers['x-aws-ec2-metadata-token'] === 'imds-token') {
			if (/security-credentials(-extended)?\/?$/.test(path)) {
				res.writeHead(200);
				return res.end('my-role');
			}
			if (path.endsWith('/my-role'))
				return json(keys);
			if (path.endsWith('/placement/region')) {
				res.writeHead(200);
				return res.end('us-east-1');
			}
		}
		json({}, 404);
	}
}

async function world(s, { config = '', credentials = '', env = {}, keys = [BASE, ROLE], region = 'us-east-1',
    prepare = () => {}, refuse = null, hang = false } = {}) {
	const home = mkdtempSync(join(tmpdir(), 'claudecodex-aws-'));
	const svc = s.keep(await new Services().listen());
	Object.assign(svc, { refuse, hang });
	const b = s.keep(await new Bedrock({ model: () => ({ text: 'signed in' }), keys, region,
		hides: { [HIDES]: MODEL, [OTHER]: MODEL } }).listen());
	const write = (c, k) => {
		writeFileSync(join(home, '.aws', 'config'), c);
		writeFileSync(join(home, '.aws', 'credentials'), k);
	};

	s.keep({ close: () => rmSync(home, { recursive: true, force: true }) });
	mkdirSync(join(home, '.aws', 'sso', 'cache'), { recursive: true });
	write(config.replaceAll('HOME', home), credentials);
	prepare(home);
	const px = await s.proxy({ HOME: home, LLM_BACKEND: 'bedrock', AWS_EC2_METADATA_DISABLED: 'true',
		AWS_ENDPOINT_URL_BEDROCK_RUNTIME: b.url, AWS_ENDPOINT_URL_STS: svc.url,
		AWS_ENDPOINT_URL_SSO: svc.url, AWS_ENDPOINT_URL_SSO_OIDC: svc.url,
		...Object.fromEntries(Object.entries(env).map(([k, v]) => [k, v.replace('SVC', svc.url).replace('HOME', home)])) });
	const ask = async () => {
		const r = await fetch(`${px.url}/v1/messages`, { method: 'POST',
			headers: { 'content-type': 'application/json', 'x-api-key': 'k' },
			body: JSON.stringify({ model: 'claude-sonnet-5-5', max_tokens: 50,
				messages: [{ role: 'user', content: 'x' }] }) });
		return { status: r.status, retry: r.headers.get('x-should-retry'), body: await r.json() };
	};
	return { home, svc, b, px, ask, write };
}

function who(b) {
	return b.requests.map((r) => /Credential=([^/]+)/.exec(r.headers.authorization)?.[1]);
}

function quiet(px) {
	for (const k of [BASE, ROLE, KEYS])
		assert.ok(!px.console.includes(k.secretAccessKey), 'a secret on the console');
	assert.ok(!px.console.includes(ROLE.sessionToken));
}

const stat = `aws_access_key_id = ${BASE.accessKeyId}\naws_secret_access_key = ${BASE.secretAccessKey}\n`;
const cache = (home, name, more = {}) => writeFileSync(join(home, '.aws', 'sso', 'cache',
	`${createHash('sha1').update(name).digest('hex')}.json`), JSON.stringify({ accessToken: 'sso-token',
	expiresAt: in1h(), region: 'us-east-1', startUrl: 'https://x.awsapps.com/start', ...more }));
const sso = 'sso_account_id = 123456789012\nsso_role_name = Dev\n';

const WORKS = [
	['environment', BASE, { env: { AWS_ACCESS_KEY_ID: BASE.accessKeyId, AWS_SECRET_ACCESS_KEY: BASE.secretAccessKey, AWS_REGION: 'us-east-1' } }],
	['the default profile, AW-51', BASE, { credentials: `[default]\n${stat}`, config: '[default]\nregion = us-east-1\n' }],
	['saml where it exists and none is named', ROLE, { credentials: `[default]\n${stat}[saml]\naws_access_key_id = ${ROLE.accessKeyId}\naws_secret_access_key = ${ROLE.secretAccessKey}\naws_session_token = ${ROLE.sessionToken}\n` }],
	['a named profile with its region', BASE, { credentials: `[other]\n${stat}`, config: '[profile other]\nregion = eu-west-1\n', env: { AWS_PROFILE: 'other' }, region: 'eu-west-1' }],
	['credential_process', ROLE, { config: '[default]\ncredential_process = /bin/sh HOME/p.sh "an arg"\n', prepare: (home) => writeFileSync(join(home, 'p.sh'), `echo '{"Version":1,"AccessKeyId":"${ROLE.accessKeyId}","SecretAccessKey":"${ROLE.secretAccessKey}","SessionToken":"${ROLE.sessionToken}","Expiration":"${in1h()}"}'\necho noise >&2\n`) }],
	['source_profile and role_arn: AssumeRole', ROLE, { config: '[profile a]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\nexternal_id = e x\nregion = us-east-1\n', credentials: `[b]\n${stat}`, env: { AWS_PROFILE: 'a' } }],
	['credential_source = Environment', ROLE, { config: '[profile a]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Environment\nregion = us-east-1\n', env: { AWS_PROFILE: 'a', AWS_ACCESS_KEY_ID: BASE.accessKeyId, AWS_SECRET_ACCESS_KEY: BASE.secretAccessKey } }],
	['SSO, the old form', ROLE, { config: `[default]\n${sso}sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\nregion = us-east-1\n`, prepare: (home) => cache(home, 'https://x.awsapps.com/start') }],
	['SSO, with a session', ROLE, { config: `[default]\n${sso}sso_session = corp\n[sso-session corp]\nsso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\n`, prepare: (home) => cache(home, 'corp') }],
	['web identity', ROLE, { env: { AWS_WEB_IDENTITY_TOKEN_FILE: 'HOME/token', AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/w' }, prepare: (home) => writeFileSync(join(home, 'token'), 'a.b.c\n') }],
	['a container\'s endpoint', ROLE, { env: { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'SVC/container', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-token' } }],
	['an instance\'s metadata, version 2', ROLE, { env: { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: 'SVC' } }],
];

for (const [name, keys, w] of WORKS)
	await scenario(`aws sign-in: ${name}`, async (s) => {
		const x = await world(s, w);
		const r = await x.ask();

		assert.equal(r.status, 200, JSON.stringify(r.body));
		assert.deepEqual(who(x.b), [keys.accessKeyId]);
		assert.deepEqual(x.b.refusals, []);
		assert.match(x.px.console, /AWS: /);
		quiet(x.px);
	});

const signs = { AWS_ACCESS_KEY_ID: BASE.accessKeyId, AWS_SECRET_ACCESS_KEY: BASE.secretAccessKey,
	AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_BEDROCK: 'SVC' };

await scenario('aws: the model behind an application inference profile, BR-2', async (s) => {
	const x = await world(s, { env: { ...signs, BEDROCK_MODEL_ID: HIDES } });

	for (let i = 0; i < 3; i++)
		assert.equal((await x.ask()).status, 200);
	assert.deepEqual(new Set(x.b.requests.map((r) => decodeURIComponent(r.path ?? r.url))),
		new Set([`/model/${HIDES}/invoke`]), 'Claude, so by InvokeModel');
	assert.equal(x.svc.got.length, 1, 'asked once');
	const count = await fetch(`${x.px.url}/v1/messages/count_tokens`, { method: 'POST',
		body: JSON.stringify({ model: 'claude-sonnet-5-5', messages: [{ role: 'user', content: 'x' }] }) });
	assert.deepEqual(await count.json(), { input_tokens: 4321 }, 'counted by the model\'s name');
	assert.equal(x.b.requests.at(-1).id, MODEL);
	x.b.requests.pop();
	const { stdout: out } = await promisify(execFile)(process.env.CLAUDECODEX, ['--check'],
		{ cwd: x.home, env: { ...x.px.env, PATH: '/usr/bin:/bin' } });
	assert.match(out, /stands for anthropic\.claude-sonnet-4-5/);
});

await scenario('aws: a profile that may not be looked at goes by Converse, BR-2', async (s) => {
	const x = await world(s, { env: { ...signs, BEDROCK_MODEL_ID: OTHER } });

	for (let i = 0; i < 3; i++)
		assert.equal((await x.ask()).status, 200);
	assert.ok(x.b.requests.every((r) => /converse$/.test(r.path ?? r.url)));
	assert.equal(x.svc.got.length, 1, 'asked once');
	assert.match(x.px.console, /bedrock:GetInferenceProfile[^]*BEDROCK_API=invoke/);
});

const BROKEN = [
	['nothing anywhere', {}, /AWS_PROFILE|AWS_ACCESS_KEY_ID/],
	['a profile that is not there', { env: { AWS_PROFILE: 'ghost' } }, /ghost/],
	['a broken file', { config: '[default\nregion = x\n' }, /config line 1/],
	['a circle of source_profile', { config: '[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = a\n', env: { AWS_PROFILE: 'a' } }, /source_profile/],
	['a process that fails', { config: '[default]\ncredential_process = /bin/false\n' }, /credential_process/],
	['a process that says no JSON', { config: '[default]\ncredential_process = /bin/echo hello\n' }, /credential_process/],
	['SSO without a login', { config: `[profile corp]\n${sso}sso_start_url = https://x\nsso_region = us-east-1\n`, env: { AWS_PROFILE: 'corp' } }, /aws sso login --profile corp/],
	['a token file that is not there', { env: { AWS_WEB_IDENTITY_TOKEN_FILE: '/nowhere/t', AWS_ROLE_ARN: 'r' } }, /\/nowhere\/t/],
	['a region that is none', { credentials: `[default]\n${stat}`, env: { AWS_REGION: 'us east' } }, /AWS_REGION/],
];

for (const [name, w, text] of BROKEN)
	await scenario(`aws sign-in, broken: ${name}`, async (s) => {
		const x = await world(s, w);
		const r = await x.ask();

		assert.equal(r.status, 401, JSON.stringify(r.body));
		assert.equal(r.body.error.type, 'authentication_error');
		assert.equal(r.retry, 'false');
		assert.match(r.body.error.message, text);
		assert.equal(x.b.requests.length, 0);
		assert.equal((await fetch(`${x.px.url}/health`)).status, 200);
		quiet(x.px);
	});

await scenario('aws sign-in: keys that expired are looked up anew, once, AW-91', async (s) => {
	const old = { ...BASE, accessKeyId: 'AKIAOLDOLDOLDOLD0001', expired: true };
	const x = await world(s, { keys: [old, BASE], config: '[default]\nregion = us-east-1\n',
		credentials: `[default]\naws_access_key_id = ${old.accessKeyId}\naws_secret_access_key = ${BASE.secretAccessKey}\n` });
	const bad = await x.ask();

	assert.equal(bad.status, 401, JSON.stringify(bad.body));
	assert.equal(bad.retry, 'false');
	assert.deepEqual(who(x.b), [old.accessKeyId], 'not again with the same keys');
	assert.match(bad.body.error.message, /profile default/);
	x.write('[default]\nregion = us-east-1\n', `[default]\n${stat}`);
	assert.equal((await x.ask()).status, 200);
	assert.equal(who(x.b).at(-1), BASE.accessKeyId);
});

await scenario('aws sign-in: an instance that never answers delays nobody', async (s) => {
	const x = await world(s, { env: { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: 'SVC' }, hang: true });
	const slow = x.ask();
	const began = Date.now();
	for (let i = 0; i < 20; i++)
		assert.equal((await fetch(`${x.px.url}/health`)).status, 200);
	assert.ok(Date.now() - began < 2000, 'health waited');
	const r = await slow;
	assert.equal(r.status, 401, JSON.stringify(r.body));
});

await scenario('aws sign-in: a process that hangs holds up who needs it alone', async (s) => {
	const x = await world(s, { config: '[default]\ncredential_process = sleep 50\n' });
	const gone = new AbortController();
	const slow = fetch(`${x.px.url}/v1/messages`, { method: 'POST', signal: gone.signal,
		body: JSON.stringify({ model: 'claude-sonnet-5-5', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] }) })
		.then(() => 'answered', () => 'gone');
	const began = Date.now();

	assert.equal((await fetch(`${x.px.url}/health`)).status, 200);
	assert.ok(Date.now() - began < 1000, 'health waited');
	const count = await fetch(`${x.px.url}/v1/messages/count_tokens`, { method: 'POST',
		body: JSON.stringify({ model: 'claude-sonnet-4-6', messages: [{ role: 'user', content: 'x' }] }) });
	assert.equal(count.status, 200);
	assert.ok((await count.json()).input_tokens > 0);
	assert.equal((await fetch(`${x.px.url}/v1/models`)).status, 200);
	assert.ok(Date.now() - began < 9000);
	gone.abort();
	assert.equal(await slow, 'gone');
	assert.equal(x.b.requests.length, 0);
});

await scenario('aws sign-in: a chatty process', async (s) => {
	const x = await world(s, { config: '[default]\ncredential_process = /bin/sh -c "yes noise | head -c 9000000"\n' });
	const r = await x.ask();

	assert.equal(r.status, 401, JSON.stringify(r.body));
	assert.match(r.body.error.message, /credential_process/);
	assert.ok(r.body.error.message.length < 700);
});

await scenario('aws sign-in: STS refuses', async (s) => {
	const x = await world(s, { config: '[profile a]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = b\n', credentials: `[b]\n${stat}`, env: { AWS_PROFILE: 'a' },
		refuse: { status: 403, body: { Error: { Code: 'AccessDenied', Message: 'not allowed to assume' } } } });
	const r = await x.ask();
	assert.equal(r.status, 401, JSON.stringify(r.body));
	assert.match(r.body.error.message, /profile a|arn:aws:iam::1:role\/r/);
	quiet(x.px);
});

await scenario('aws: --check names source, key, expiry, region', async (s) => {
	const x = await world(s, { config: '[profile a]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\nregion = us-east-1\n', credentials: `[b]\n${stat}`, env: { AWS_PROFILE: 'a' } });
	const { stdout: out } = await promisify(execFile)(process.env.CLAUDECODEX, ['--check'],
		{ cwd: x.home, env: { ...x.px.env, PATH: '/usr/bin:/bin' } });

	for (const t of [/profile a/, /\.\.\.0001/, /us-east-1/, /valid for \d+ minutes/])
		assert.match(out, t);
	assert.ok(!out.includes(ROLE.secretAccessKey) && !out.includes(ROLE.accessKeyId));
});

summary('bedrock-credentials');
