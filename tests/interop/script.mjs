// script.mjs -- what a scripted model sees of a conversation, whichever of
// the two dialects carries it, and the plays that it acts.
//
// SPDX-License-Identifier: MIT

const textOf = (c) => typeof c === 'string' ? c :
	(c ?? []).map((p) => p.text ?? '').join('\n');

const ask = () => ({ text: '', results: [], images: [], files: [] });

function openaiUser(at, m) {
	const parts = typeof m.content === 'string' ? [] : m.content ?? [];

	if (m.role === 'tool') {
		at.results.push({ id: m.tool_call_id, text: textOf(m.content) });
		return;
	}
	at.text += `${textOf(m.content)}\n`;
	for (const p of parts) {
		if (p.type === 'image_url')
			at.images.push(p.image_url.url.split(',')[1]);
		if (p.type === 'file')
			at.files.push(p.file.file_data.split(',')[1]);
	}
}

function anthropicParts(at, parts) {
	let text = '';

	for (const p of parts) {
		if (p.type === 'text')
			text += `${p.text}\n`;
		if (p.type === 'image')
			at.images.push(p.source.data);
		if (p.type === 'document')
			at.files.push(p.source.data);
		if (p.type === 'tool_result')
			at.results.push({ id: p.tool_use_id, text:
				typeof p.content === 'string' ? p.content :
				anthropicParts(at, p.content ?? []) });
	}
	return text;
}

function openaiAnswer(m) {
	return { text: textOf(m.content), thinking: m.reasoning ?? '',
		calls: (m.tool_calls ?? []).map((t) => ({ id: t.id,
			name: t.function.name,
			args: JSON.parse(t.function.arguments) })) };
}

function anthropicAnswer(m) {
	const of = (type) => m.content.filter((b) => b.type === type);

	return { text: textOf(of('text')), thinking: of('thinking')
		.map((b) => b.thinking).join(''),
		calls: of('tool_use').map((b) => ({ id: b.id, name: b.name,
			args: b.input })) };
}

// Claude Code sends results in the order in which the tools ended.
function byCalls(results, answer) {
	const at = (r) => answer.calls.findIndex((c) => c.id === r.id);

	results.sort((a, b) => at(a) - at(b));
}

// A conversation as steps { ask, answer }; the last one is to be answered.
// What stands between two answers is one ask.
export function talk(body, dialect = 'openai') {
	const ours = dialect === 'openai';
	const steps = [{ ask: ask(), answer: null }];
	let system = ours ? '' : textOf(body.system);

	for (const [i, m] of body.messages.entries()) {
		const at = steps.at(-1).ask;
		if (m.role === 'assistant') {
			const content = typeof m.content === 'string' && !ours ?
				[{ type: 'text', text: m.content }] : m.content;
			steps.at(-1).answer = ours ? openaiAnswer(m) :
				anthropicAnswer({ content });
			steps.push({ ask: ask(), answer: null });
		} else if (ours && i === 0 && m.role !== 'user') {
			system = textOf(m.content);
		} else if (ours) {
			openaiUser(at, m);
		} else {
			at.text += typeof m.content === 'string' ? m.content :
				anthropicParts(at, m.content);
		}
	}
	for (let i = 1; i < steps.length && !ours; i++)
		byCalls(steps[i].ask.results, steps[i - 1].answer);
	return { system, steps, last: steps.at(-1).ask, tools: (body.tools ?? [])
		.map((t) => t.function?.name ?? t.name) };
}

// Where in the conversation which part is: the last JOB[name] asked for, and
// how many answers were given since.
export function where(t) {
	for (let i = t.steps.length - 1; i >= 0; i--) {
		const name = [...t.steps[i].ask.text.matchAll(/JOB\\?\[([^\]\\]+)/g)]
			.at(-1)?.[1];
		if (name)
			return { name, n: t.steps.length - 1 - i };
	}
	return { name: null, n: 0 };
}

// A model that acts `parts`: { name: [answer, ...] }, each answer a value or
// a function of the conversation. `stray` answers what belongs to no part.
export function play(parts, stray = { text: 'Nothing to do.' }) {
	return (body, entry, up) => {
		const t = talk(body, up?.dialect);
		const { name, n } = where(t);
		const a = parts[name]?.[n] ?? (name === null ? stray :
			{ text: `BROKEN: no answer ${n} for ${name}` });

		Object.assign(t, { name, n, entry, body });
		entry.job = name;
		return typeof a === 'function' ? a(t) : a;
	};
}
