// Writes a backlog for worker.mjs: COUNT jobs for the bus, as login.mjs adds them.
import { Queue } from 'bullmq'
import { randomUUID } from 'node:crypto'
import { QUEUE, number, redis } from './settings.mjs'

const COUNT = number('COUNT', 20000)
const BULK = 1000
const user = { id: randomUUID(), username: 'alice', email: 'alice@example.com' }
const queue = new Queue(QUEUE, {
	connection: redis,
	defaultJobOptions: { attempts: 20, backoff: { type: 'exponential', delay: 1000 }, removeOnComplete: true },
})

for (let done = 0; done < COUNT; done += BULK) {
	await queue.addBulk(
		Array.from({ length: Math.min(BULK, COUNT - done) }, () => {
			const event_id = randomUUID()
			const data = { event_id, type: 'user.login', time: new Date().toISOString(), user }
			return { name: 'bus', data, opts: { jobId: `${event_id}-bus` } }
		}),
	)
}
await queue.close()
console.log(JSON.stringify({ written: COUNT }))
