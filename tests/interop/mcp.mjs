// mcp.mjs -- a tiny MCP server on standard input and output, for the client
// to have tools with long and odd names, results of several parts and errors.
//
// SPDX-License-Identifier: MIT
import { createInterface } from 'node:readline';

const LONG = 'tell_the_harbour_master_which_of_the_lamps_on_the_outer_pier_are_lit';
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const TOOLS = [
	{ name: LONG, description: 'Lamps that are lit', inputSchema: {
		type: 'object', required: ['pier'], properties: {
			pier: { type: 'integer', exclusiveMinimum: 0 },
			which: { anyOf: [{ const: 'all' }, { type: 'array',
				items: { $ref: '#/$defs/lamp' } }] } },
		$defs: { lamp: { type: 'string', pattern: '^[a-z]+$' } } } },
	{ name: 'camera', description: 'A picture', inputSchema: {
		type: 'object' } },
	{ name: 'fails', inputSchema: { type: 'object', properties: {} } },
];

function call({ name, arguments: args }) {
	switch (name) {
	case LONG:
		return { content: [{ type: 'text', text:
			`lamps of pier ${JSON.stringify(args)}` },
		{ type: 'text', text: 'second part' }] };
	case 'camera':
		return { content: [{ type: 'text', text: 'the picture' },
			{ type: 'image', mimeType: 'image/png', data: PIXEL }] };
	default:
		return { isError: true, content: [{ type: 'text',
			text: 'the pier is gone' }] };
	}
}

function answer({ method, params }) {
	switch (method) {
	case 'initialize':
		return { protocolVersion: params.protocolVersion,
			capabilities: { tools: {} },
			serverInfo: { name: 'pier', version: '1' } };
	case 'tools/list':
		return { tools: TOOLS };
	case 'tools/call':
		return call(params);
	default:
		return {};
	}
}

for await (const line of createInterface({ input: process.stdin })) {
	const m = JSON.parse(line);

	if (m.id !== undefined)
		process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: m.id,
			result: answer(m) })}\n`);
}
