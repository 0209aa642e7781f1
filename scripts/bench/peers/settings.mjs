// What the programs of this folder share: where Redis and the receivers are, given by the environment.

export const QUEUE = 'effects'

// A command that fails because Redis is away shall wait for it, as BullMQ asks of connections of its workers.
export const redis = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }

// One receiver for each kind of job: {"email":2525,"crm":9082,...}
export const ports = JSON.parse(process.env.SINK_PORTS ?? '{}')

export function number(name, fallback) {
	return Number(process.env[name] ?? fallback)
}
