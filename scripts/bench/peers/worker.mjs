// The worker that delivers the jobs of login.mjs: mails over kept SMTP connections, all else over kept HTTP connections.
//
// CONCURRENCY jobs are under way at once. A job fails unless its receiver answers 2xx, and BullMQ tries it again.
import { Worker } from 'bullmq'
import { createTransport } from 'nodemailer'
import { Pool } from 'undici'
import { QUEUE, number, ports, redis } from './settings.mjs'

const CONCURRENCY = number('CONCURRENCY', 256)
const PATHS = { analytics: '/v1/track', crm: '/crm/v3/objects/contacts/batch/upsert', bus: '/events' }

const mail = ports.email
	? createTransport({
			host: '127.0.0.1',
			port: ports.email,
			pool: true,
			maxConnections: CONCURRENCY,
			maxMessages: Infinity,
			ignoreTLS: true,
		})
	: null

const pools = Object.fromEntries(
	Object.entries(ports)
		.filter(([name]) => name !== 'email')
		.map(([name, port]) => [name, new Pool(`http://127.0.0.1:${port}`, { connections: CONCURRENCY })]),
)

const bodies = {
	analytics: ({ event_id, time, user }) => ({
		type: 'track',
		event: 'user.login',
		messageId: event_id,
		userId: user.id,
		timestamp: time,
		properties: { username: user.username },
	}),
	crm: ({ time, user }) => ({
		inputs: [{ idProperty: 'email', id: user.email, properties: { email: user.email, last_login: time } }],
	}),
	bus: ({ event_id, type, time, user }) => ({
		specversion: '1.0',
		id: event_id,
		source: 'login',
		type,
		time,
		datacontenttype: 'application/json',
		data: { user },
	}),
}

function sendMail(job) {
	const { user, time } = job.data
	return mail.sendMail({
		from: 'auth@example.com',
		to: user.email,
		messageId: `<${job.id}@example.com>`,
		subject: 'New login',
		text: `Hello ${user.username},\n\nyou logged in at ${time}.\n`,
		html: `<p>Hello ${user.username},</p><p>you logged in at ${time}.</p>`,
	})
}

async function post(job) {
	const { statusCode, body } = await pools[job.name].request({
		method: 'POST',
		path: PATHS[job.name],
		headers: { 'content-type': 'application/json', 'idempotency-key': job.id },
		body: JSON.stringify(bodies[job.name](job.data)),
		headersTimeout: 10_000,
		bodyTimeout: 10_000,
	})
	await body.dump()
	if (statusCode < 200 || statusCode > 299) {
		throw new Error(`${job.name}: ${statusCode}`)
	}
}

const worker = new Worker(QUEUE, (job) => (job.name === 'email' ? sendMail(job) : post(job)), {
	connection: redis,
	concurrency: CONCURRENCY,
})
worker.on('failed', (job, error) => console.log(`failed ${job?.name}: ${error.message}`))
worker.on('error', (error) => console.log(`error ${error.message}`))
await worker.waitUntilReady()
console.log('ready')
process.on('SIGTERM', () => process.exit(0))
