// A login as a team writes it with Node.js: Fastify, Argon2id, an EdDSA token, and what is owed as jobs of BullMQ.
//
// POST /login checks the password, adds four jobs in one call and answers once Redis has them. POST /token signs a
// token for the same user and stores nothing. The account is in memory and no session is written: less work than a
// server with a store has.
import { Algorithm, hash, verify } from '@node-rs/argon2'
import { Queue } from 'bullmq'
import Fastify from 'fastify'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import cluster from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { QUEUE, number, redis } from './settings.mjs'

const PROCESSES = number('PROCESSES', 1)
const ACCESS_SECONDS = 900
const KINDS = ['email', 'analytics', 'crm', 'bus']
const ARGON2ID = { algorithm: Algorithm.Argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1 }

const loginSchema = {
	body: {
		type: 'object',
		required: ['username', 'password'],
		additionalProperties: false,
		properties: { username: { type: 'string', maxLength: 64 }, password: { type: 'string', maxLength: 1024 } },
	},
	response: {
		200: {
			type: 'object',
			properties: {
				access_token: { type: 'string' },
				token_type: { type: 'string' },
				expires_in: { type: 'integer' },
				event_id: { type: 'string' },
				user: {
					type: 'object',
					properties: { id: { type: 'string' }, username: { type: 'string' }, email: { type: 'string' } },
				},
			},
		},
	},
}

async function account() {
	return {
		id: randomUUID(),
		username: process.env.BENCH_USER,
		email: `${process.env.BENCH_USER}@example.com`,
		password: await hash(process.env.BENCH_PASSWORD, ARGON2ID),
	}
}

async function signer() {
	const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' })
	const jwk = await exportJWK(publicKey)
	const header = { alg: 'EdDSA', typ: 'at+jwt', kid: jwk.x.slice(0, 16) }
	return (user) =>
		new SignJWT({ scope: 'user', sid: randomUUID() })
			.setProtectedHeader(header)
			.setIssuer('http://127.0.0.1')
			.setAudience('app')
			.setSubject(user.id)
			.setJti(randomUUID())
			.setIssuedAt()
			.setExpirationTime(Math.floor(Date.now() / 1000) + ACCESS_SECONDS)
			.sign(privateKey)
}

function jobs(user, eventId) {
	const data = {
		event_id: eventId,
		type: 'user.login',
		time: new Date().toISOString(),
		user: { id: user.id, username: user.username, email: user.email },
	}
	return KINDS.map((name) => ({ name, data, opts: { jobId: `${eventId}-${name}` } }))
}

async function serve() {
	const app = Fastify({ logger: false })
	const user = await account()
	const users = new Map([[user.username, user]])
	const sign = await signer()
	const queue = new Queue(QUEUE, {
		connection: redis,
		defaultJobOptions: {
			attempts: 20,
			backoff: { type: 'exponential', delay: 1000 },
			removeOnComplete: true,
		},
	})

	app.post('/login', { schema: loginSchema }, async (request, reply) => {
		const found = users.get(request.body.username)
		const fits = await verify((found ?? user).password, request.body.password)
		if (!found || !fits) {
			return reply.code(401).send({ code: 'invalid_credentials' })
		}
		const eventId = randomUUID()
		const accessToken = await sign(found)
		await queue.addBulk(jobs(found, eventId))
		return {
			access_token: accessToken,
			token_type: 'Bearer',
			expires_in: ACCESS_SECONDS,
			event_id: eventId,
			user: found,
		}
	})
	app.post('/token', async () => ({
		access_token: await sign(user),
		token_type: 'Bearer',
		expires_in: ACCESS_SECONDS,
	}))

	await queue.waitUntilReady()
	await app.listen({ host: '127.0.0.1', port: number('PORT', 0) })
	return app.server.address().port
}

if (PROCESSES > 1 && cluster.isPrimary) {
	// one port for all of them
	let ready = 0
	cluster.on('listening', (worker, address) => {
		if (++ready === PROCESSES) {
			console.log(`listening 127.0.0.1:${address.port}`)
		}
	})
	for (let i = 0; i < PROCESSES; i++) {
		cluster.fork()
	}
	process.on('SIGTERM', () => process.exit(0))
} else {
	const port = await serve()
	if (!cluster.isWorker) {
		console.log(`listening 127.0.0.1:${port}`)
	}
	process.on('SIGTERM', () => process.exit(0))
}
