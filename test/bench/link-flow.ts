// Datagrams per second through two agents, against two relays in a row that only copy. A fixed number is in
// transit, as in a busy moment of a game; when one arrives, the next is sent.

import type { Socket } from 'node:dgram'
import { Child } from './child.ts'
import type { IdleWait } from './idle-wait.ts'
import { freePort, openSocket } from './link-latency.ts'
import type { LinkTestbed } from './link-testbed.ts'
import { printProgress, quantile, type Report, round } from './report.ts'

const sizes = [200, 1_200]
const inTransit = 48
const runMs = 3_000
/** The order changes, so that warm caches do not always help the same side. */
const runOrder = ['warm', 'links', 'copies', 'copies', 'links', 'links', 'copies', 'copies', 'links'] as const
const minShare = 0.6

export async function benchFlow(testbed: LinkTestbed, idleWait: Pick<IdleWait, 'wait'>): Promise<Report> {
  const [game, client] = [await openSocket(), await openSocket()]
  const gamePort = game.address().port
  const config = await testbed.createAgent('sink')
  const local = await freePort()
  const source = await testbed.createAgent('source')
  const sink = testbed.start('sink', config, ['--expose', `udp:${gamePort}`])
  await sink.waitFor('replied')
  const agent = testbed.start('source', source, ['--forward', `udp:${local}=sink:${gamePort}`])
  await Promise.all([agent.waitFor('connected'), sink.waitFor('connected')])
  const second = new Child('./bare-relay.ts', [gamePort])
  const first = new Child('./bare-relay.ts', (await second.waitFor('ready')).ports)
  const [copyPort] = (await first.waitFor('ready')).ports as [number]

  const rates = new Map<string, number[]>()
  const ratesOf = (path: string, size: number) => rates.get(`${path} ${size}`) ?? []
  for (const size of sizes)
    for (const kind of runOrder) {
      await idleWait.wait()
      const rate = await flow(client, game, kind === 'copies' ? copyPort : local, size)
      if (kind !== 'warm') rates.set(`${kind} ${size}`, [...ratesOf(kind, size), rate])
      printProgress(`${kind}, ${size} bytes: ${Math.round(rate)} datagrams/s`)
    }
  for (const child of [first, second]) await child.end()
  for (const child of [agent, sink]) await child.stop(5_000)
  for (const socket of [game, client]) socket.close()

  const rateOf = (path: string, size: number) => quantile(ratesOf(path, size), 0.5)
  const figures = (path: string) =>
    Object.fromEntries(
      sizes.flatMap((size) => [
        [`${size} bytes datagramsPerS`, Math.round(rateOf(path, size))],
        [`${size} bytes MBPerS`, round((rateOf(path, size) * size) / 1e6, 1)],
      ]),
    )
  const shares = sizes.map((size) => rateOf('links', size) / rateOf('copies', size))
  return {
    bench: 'link flow',
    ratio: round(Math.min(...shares)),
    target: `>= ${minShare}`,
    pass: Math.min(...shares) >= minShare,
    baseline: figures('copies'),
    measured: { ...figures('links'), shares: shares.map((share) => round(share)) },
    inputs: {
      underWay: inTransit,
      turnMs: runMs,
      turns: runOrder.length - 1,
      baseline: 'two copying relays in a row',
    },
  }
}

/** Datagrams per second that arrive at the game. */
async function flow(client: Socket, game: Socket, port: number, size: number): Promise<number> {
  const bytes = Buffer.alloc(size, 7)
  let arrived = 0
  let sentAt = performance.now()
  const send = () => client.send(bytes, port, '127.0.0.1')
  const onMessage = () => {
    arrived++
    sentAt = performance.now()
    send()
  }
  game.on('message', onMessage)
  const fill = () => {
    for (let i = 0; i < inTransit; i++) send()
  }
  // Replaces lost datagrams when nothing moves.
  const watch = setInterval(() => {
    if (performance.now() - sentAt > 100) fill()
  }, 50)
  const from = performance.now()
  fill()
  await new Promise((resolve) => setTimeout(resolve, runMs))
  const rate = arrived / ((performance.now() - from) / 1_000)
  clearInterval(watch)
  game.off('message', onMessage)
  await new Promise((resolve) => setTimeout(resolve, 200))
  return rate
}
