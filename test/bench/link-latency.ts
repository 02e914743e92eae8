// What peerpost adds to a datagram's way: a game sends 200 bytes at 60 Hz to each of 16 players over links, and to 16
// players directly over loopback in the same run; and, to know what of it is the computer's, through two programs that
// only copy. Each datagram's time is taken by the process that sends and receives it.

import { createSocket, type Socket } from 'node:dgram'
import { Child } from './child.ts'
import type { LinkRoom } from './link-room.ts'
import type { Quiet } from './quiet.ts'
import { quantile, type Report, round, sleep, tell } from './report.ts'

const players = 16
const datagramBytes = 200
const perSecond = 60
const measureMs = 20_000
const warmUpMs = 3_000
const wantedMs = { p50: 0.15, p99: 2 }

type Place = { readonly port: number; readonly address: string }
type Player = Place & { readonly socket: Socket; readonly took: number[] }

export async function benchLatency(room: LinkRoom, quiet: Pick<Quiet, 'wait'>): Promise<Report> {
  const game = await openSocket()
  const [far, near, copied] = [await openPlayers(), await openPlayers(), await openPlayers()]
  const gamePort = game.address().port
  const config = await room.setUp('server')
  const agents = await Promise.all(
    far.map(async (_player, index) => {
      const local = await freePort()
      return { name: `player${index}`, local, forwards: [`udp:${local}=server:${gamePort}`] }
    }),
  )
  const crowd = await room.crowd(config, agents)
  const server = room.start('server', config, ['--expose', `udp:${gamePort}`])
  for (let linked = 0; linked < players; ) linked = Number((await crowd.heard('connected')).count)
  const places = await greet(
    game,
    far,
    agents.map(({ local }) => local),
  )
  tell(`${players} players are linked`)
  const second = new Child(
    './link-copy.ts',
    copied.map(({ port }) => port),
  )
  const first = new Child('./link-copy.ts', (await second.heard('ready')).ports)
  const copies = ((await first.heard('ready')).ports as number[]).map((port) => ({
    port,
    address: '127.0.0.1',
  }))
  const ways = [places, near, copies]

  await quiet.wait()
  // The game's 16 datagrams of one tick are spread over the tick: they go to 16 computers, which here is one.
  const from = performance.now()
  const end = from + warmUpMs + measureMs
  const gapMs = 1_000 / perSecond / players / ways.length
  for (let count = 0; ; count++) {
    const dueAt = from + count * gapMs
    if (dueAt > end) break
    while (performance.now() < dueAt) await sleep(1)
    if (performance.now() - from < warmUpMs) clear(far, near, copied)
    const place = ways[count % ways.length]?.[Math.floor(count / ways.length) % players]
    if (place) game.send(stamped(), place.port, place.address)
  }
  await sleep(500)
  const [linked, direct, relayed] = [all(far), all(near), all(copied)]
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
      ...{ p50Ms: round(quantile(direct, 0.5)), p99Ms: round(quantile(direct, 0.99)) },
      ...{ 'copies add p50Ms': added(0.5, relayed), 'copies add p99Ms': added(0.99, relayed) },
    },
    measured: {
      ...{ p50Ms: round(quantile(linked, 0.5)), p99Ms: round(quantile(linked, 0.99)) },
      ...{ addedP50Ms: p50, addedP99Ms: p99 },
      lost: Math.max(0, direct.length - linked.length),
    },
    inputs: { players, datagramBytes, perSecond, measureMs, datagrams: direct.length },
  }
}

async function openPlayers(): Promise<Player[]> {
  return Promise.all(
    Array.from({ length: players }, async () => {
      const socket = await openSocket()
      const player = { socket, port: socket.address().port, address: '127.0.0.1', took: [] as number[] }
      socket.on('message', (bytes) => player.took.push(performance.now() - bytes.readDoubleBE(0)))
      return player
    }),
  )
}

/** Each player says hello by its agent, so that the game knows where it is; lost ones again. */
async function greet(game: Socket, all: readonly Player[], ports: readonly number[]) {
  const places: Place[] = []
  game.on('message', (bytes, { address, port }) => {
    places[bytes.readInt32BE(0)] = { address, port }
  })
  while (places.filter(Boolean).length < all.length) {
    for (const [index, { socket }] of all.entries()) {
      const hello = Buffer.alloc(4)
      hello.writeInt32BE(index)
      if (!places[index]) socket.send(hello, ports[index] ?? 0, '127.0.0.1')
    }
    await sleep(200)
  }
  return places
}

function stamped(): Buffer {
  const bytes = Buffer.alloc(datagramBytes)
  bytes.writeDoubleBE(performance.now(), 0)
  return bytes
}

function all(of: readonly Player[]): number[] {
  return of.flatMap(({ took }) => took)
}

function clear(...groups: (readonly Player[])[]): void {
  for (const { took } of groups.flat()) took.length = 0
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
