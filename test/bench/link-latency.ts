// The latency that peerpost adds to datagrams. A game sends 200 bytes at 60 Hz to each of 16 players over
// links. In the same run it sends to 16 players directly over loopback, and to 16 through two relays that only
// copy, to show the computer's own share. One process sends and receives all datagrams, so its clock measures
// each.

import { createSocket, type Socket } from 'node:dgram'
import { Child } from './child.ts'
import type { IdleWait } from './idle-wait.ts'
import type { LinkTestbed } from './link-testbed.ts'
import { printProgress, quantile, type Report, round, sleep } from './report.ts'

const playerCount = 16
const datagramBytes = 200
const perSecond = 60
const measureMs = 20_000
const warmUpMs = 3_000
const wantedMs = { p50: 0.15, p99: 2 }

type Target = { readonly port: number; readonly address: string }
type Player = Target & { readonly socket: Socket; readonly latenciesMs: number[] }

export async function benchLatency(testbed: LinkTestbed, idleWait: Pick<IdleWait, 'wait'>): Promise<Report> {
  const game = await openSocket()
  const [far, near, copied] = [await openPlayers(), await openPlayers(), await openPlayers()]
  const gamePort = game.address().port
  const config = await testbed.createAgent('server')
  const agents = await Promise.all(
    far.map(async (_player, index) => {
      const local = await freePort()
      return { name: `player${index}`, local, forwards: [`udp:${local}=server:${gamePort}`] }
    }),
  )
  const agentGroup = await testbed.startAgents(config, agents)
  const server = testbed.start('server', config, ['--expose', `udp:${gamePort}`])
  for (let linked = 0; linked < playerCount; ) linked = Number((await agentGroup.waitFor('connected')).count)
  const targets = await learnTargets(
    game,
    far,
    agents.map(({ local }) => local),
  )
  printProgress(`${playerCount} players are connected`)
  const second = new Child(
    './bare-relay.ts',
    copied.map(({ port }) => port),
  )
  const first = new Child('./bare-relay.ts', (await second.waitFor('ready')).ports)
  const copies = ((await first.waitFor('ready')).ports as number[]).map((port) => ({
    port,
    address: '127.0.0.1',
  }))
  const targetGroups = [targets, near, copies]

  await idleWait.wait()
  // The game's 16 datagrams of one tick are spread over the tick: they go to 16 computers, simulated by this
  // one.
  const from = performance.now()
  const end = from + warmUpMs + measureMs
  const gapMs = 1_000 / perSecond / playerCount / targetGroups.length
  for (let count = 0; ; count++) {
    const dueAt = from + count * gapMs
    if (dueAt > end) break
    while (performance.now() < dueAt) await sleep(1)
    if (performance.now() - from < warmUpMs) clearLatencies(far, near, copied)
    const target =
      targetGroups[count % targetGroups.length]?.[Math.floor(count / targetGroups.length) % playerCount]
    if (target) game.send(stamped(), target.port, target.address)
  }
  await sleep(500)
  const [linked, direct, relayed] = [latenciesOf(far), latenciesOf(near), latenciesOf(copied)]
  for (const { socket } of [...far, ...near, ...copied]) socket.close()
  game.close()
  for (const copy of [first, second]) await copy.end()
  await server.stop(5_000)
  const added = (share: number, times = linked) => round(quantile(times, share) - quantile(direct, share))
  const [p50, p99] = [added(0.5), added(0.99)]
  return {
    bench: 'link latency',
    ratio: round(p50 / wantedMs.p50),
    target: `p50 +${wantedMs.p50} ms, p99 +${wantedMs.p99} ms`,
    pass: p50 <= wantedMs.p50 && p99 <= wantedMs.p99,
    baseline: {
      p50Ms: round(quantile(direct, 0.5)),
      p99Ms: round(quantile(direct, 0.99)),
      'copies add p50Ms': added(0.5, relayed),
      'copies add p99Ms': added(0.99, relayed),
    },
    measured: {
      p50Ms: round(quantile(linked, 0.5)),
      p99Ms: round(quantile(linked, 0.99)),
      addedP50Ms: p50,
      addedP99Ms: p99,
      lost: Math.max(0, direct.length - linked.length),
    },
    inputs: { players: playerCount, datagramBytes, perSecond, measureMs, datagrams: direct.length },
  }
}

async function openPlayers(): Promise<Player[]> {
  return Promise.all(
    Array.from({ length: playerCount }, async () => {
      const socket = await openSocket()
      const player = {
        socket,
        port: socket.address().port,
        address: '127.0.0.1',
        latenciesMs: [] as number[],
      }
      socket.on('message', (bytes) => player.latenciesMs.push(performance.now() - bytes.readDoubleBE(0)))
      return player
    }),
  )
}

/** Each player sends a hello through its agent, so that the game knows its endpoint. Lost ones are repeated. */
async function learnTargets(game: Socket, players: readonly Player[], ports: readonly number[]) {
  const targets: Target[] = []
  game.on('message', (bytes, { address, port }) => {
    targets[bytes.readInt32BE(0)] = { address, port }
  })
  while (targets.filter(Boolean).length < players.length) {
    for (const [index, { socket }] of players.entries()) {
      const hello = Buffer.alloc(4)
      hello.writeInt32BE(index)
      if (!targets[index]) socket.send(hello, ports[index] ?? 0, '127.0.0.1')
    }
    await sleep(200)
  }
  return targets
}

function stamped(): Buffer {
  const bytes = Buffer.alloc(datagramBytes)
  bytes.writeDoubleBE(performance.now(), 0)
  return bytes
}

function latenciesOf(of: readonly Player[]): number[] {
  return of.flatMap(({ latenciesMs }) => latenciesMs)
}

function clearLatencies(...groups: (readonly Player[])[]): void {
  for (const { latenciesMs } of groups.flat()) latenciesMs.length = 0
}

export async function openSocket(): Promise<Socket> {
  const lookup = (
    address: string,
    _options: unknown,
    done: (error: null, address: string, family: number) => void,
  ) => done(null, address, 4)
  const socket = createSocket({ type: 'udp4', lookup })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return socket
}

export async function freePort(): Promise<number> {
  const socket = await openSocket()
  const { port } = socket.address()
  socket.close()
  return port
}
