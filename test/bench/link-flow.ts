// How many datagrams a second go through two agents, against two relays in a row that only copy. As many are under way as
// a game would have in a busy moment; the next goes out when one has arrived.

import type { Socket } from 'node:dgram'
import { Child } from './child.ts'
import { freePort, openSocket } from './link-latency.ts'
import type { LinkRoom } from './link-room.ts'
import type { Quiet } from './quiet.ts'
import { quantile, type Report, round, tell } from './report.ts'

const sizes = [200, 1_200]
const underWay = 48
const turnMs = 3_000
/** The order changes, so that what one warms up does not always serve the other. */
const turns = ['warm', 'links', 'copies', 'copies', 'links', 'links', 'copies', 'copies', 'links'] as const
const leastShare = 0.6

export async function benchFlow(room: LinkRoom, quiet: Pick<Quiet, 'wait'>): Promise<Report> {
  const [game, client] = [await openSocket(), await openSocket()]
  const gamePort = game.address().port
  const config = await room.setUp('sink')
  const local = await freePort()
  const source = await room.setUp('source')
  const sink = room.start('sink', config, ['--expose', `udp:${gamePort}`])
  await sink.waitFor('replied')
  const agent = room.start('source', source, ['--forward', `udp:${local}=sink:${gamePort}`])
  await Promise.all([agent.waitFor('connected'), sink.waitFor('connected')])
  const second = new Child('./link-copy.ts', [gamePort])
  const first = new Child('./link-copy.ts', (await second.heard('ready')).ports)
  const [copyPort] = (await first.heard('ready')).ports as [number]

  const rates = new Map<string, number[]>()
  const ratesOf = (who: string, size: number) => rates.get(`${who} ${size}`) ?? []
  for (const size of sizes)
    for (const turn of turns) {
      await quiet.wait()
      const rate = await flow(client, game, turn === 'copies' ? copyPort : local, size)
      if (turn !== 'warm') rates.set(`${turn} ${size}`, [...ratesOf(turn, size), rate])
      tell(`${turn}, ${size} bytes: ${Math.round(rate)} datagrams/s`)
    }
  for (const child of [first, second]) await child.end()
  for (const child of [agent, sink]) await child.stop(5_000)
  for (const socket of [game, client]) socket.close()

  const rateOf = (who: string, size: number) => quantile(ratesOf(who, size), 0.5)
  const figures = (who: string) =>
    Object.fromEntries(
      sizes.flatMap((size) => [
        [`${size} bytes datagramsPerS`, Math.round(rateOf(who, size))],
        [`${size} bytes MBPerS`, round((rateOf(who, size) * size) / 1e6, 1)],
      ]),
    )
  const shares = sizes.map((size) => rateOf('links', size) / rateOf('copies', size))
  return {
    bench: 'link flow',
    ratio: round(Math.min(...shares)),
    target: `>= ${leastShare}`,
    pass: Math.min(...shares) >= leastShare,
    baseline: figures('copies'),
    measured: { ...figures('links'), shares: shares.map((share) => round(share)) },
    inputs: { underWay, turnMs, turns: turns.length - 1, baseline: 'two copying relays in a row' },
  }
}

/** Datagrams a second that arrive at the game. */
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
    for (let i = 0; i < underWay; i++) send()
  }
  // Whatever was lost on the way is put in again when nothing moves.
  const watch = setInterval(() => {
    if (performance.now() - sentAt > 100) fill()
  }, 50)
  const from = performance.now()
  fill()
  await new Promise((resolve) => setTimeout(resolve, turnMs))
  const rate = arrived / ((performance.now() - from) / 1_000)
  clearInterval(watch)
  game.off('message', onMessage)
  await new Promise((resolve) => setTimeout(resolve, 200))
  return rate
}
