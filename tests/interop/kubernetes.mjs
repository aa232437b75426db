// kubernetes.mjs -- holds a file of Kubernetes objects against the schemas of
// its API. Prints what is wrong; the status tells.
//
//	node tests/interop/kubernetes.mjs FILE		NODE_MODULES=dir
//
// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs'

const here = process.env.NODE_MODULES
const yaml = (await import(here + '/yaml/dist/index.js')).default
let status = 0

for (const doc of yaml.parseAllDocuments(readFileSync(process.argv[2], 'utf8'))) {
	const object = doc.toJS()
	const api = await import(
		`${here}/kubernetes-models/${object.apiVersion}/index.js`)
	try {
		if (doc.errors.length)
			throw doc.errors[0]
		new api[object.kind](object).validate()
		console.log(`${object.kind} ${object.metadata.name}: as the schema says`)
	} catch (e) {
		console.log(`${object.kind}: ${e.message}`)
		status = 1
	}
}
process.exit(status)
