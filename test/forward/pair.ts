// The forwarders of two agents, connected by a simulated link with delay, loss and a size limit, and real TCP programs on
// loopback.

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Expose, Forward } from '../../src/forward/forward-types.ts'
import {
  createForwarder,
  type Forwarder,
  type ForwarderEvent,
  type ForwarderOptions,
} from '../../src/forward/forwarder.ts'
import { NamedServices } from '../../src/forward/named-services.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'

export type LinkConditions = {
  readonly loss?: number
  readonly delayMs?: readonly [number, number]
  /** Larger datagrams are lost. */
  readonly maxBytes?: number
}

export const ids = { alice: 'alice-id', bob: 'bob-id', carol: 'carol-id' }

/** Alice has the client, Bob the game. They are linked after `open`. */
export class Pair {
  readonly alice: Forwarder
  readonly bob: Forwarder
  readonly events: ForwarderEvent[] = []
  /** The names that Bob's program opens. */
  readonly namedServices = new NamedServices()
  /** For both directions. */
  conditions: LinkConditions = {}
  /** All sent datagrams, lost or not. */
  sent = { packets: 0, bytes: 0, largest: 0 }
  #random = seededRandom(1)

  constructor(context: TestContext, exposes: readonly Expose[], forwards: readonly Forward[]) {
    const make = (options: Pick<ForwarderOptions, 'exposes' | 'forwards' | 'namedServices'>) =>
      createForwarder({
        clock: systemClock,
        random: () => randomInt(2 ** 32),
        isFriend: (peerId) => peerId === ids.alice,
        onEvent: (event) => void this.events.push(event),
        ...options,
      })
    this.alice = make({ exposes: [], forwards })
    this.bob = make({ exposes, forwards: [], namedServices: this.namedServices })
    context.after(() => Promise.all([this.alice.close(), this.bob.close()]))
  }

  async open(): Promise<void> {
    await Promise.all([this.alice.open(), this.bob.open()])
    this.link()
  }

  link(): void {
    this.alice.attach({ id: ids.bob, name: 'bob' }, this.#linkTo(this.bob, ids.alice))
    this.bob.attach({ id: ids.alice, name: 'alice' }, this.#linkTo(this.alice, ids.bob))
  }

  unlink(): void {
    this.alice.detach(ids.bob)
    this.bob.detach(ids.alice)
  }

  #linkTo(other: Forwarder, from: string) {
    return {
      maxUnfragmentedBytes: () => this.conditions.maxBytes ?? 1408,
      send: (bytes: Uint8Array) => {
        const { loss = 0, delayMs, maxBytes = 1408 } = this.conditions
        this.sent.packets++
        this.sent.bytes += bytes.length
        this.sent.largest = Math.max(this.sent.largest, bytes.length)
        if (bytes.length > maxBytes || this.#random() < loss) return
        const arrive = () => other.handleDatagram(from, bytes)
        if (!delayMs) setImmediate(arrive)
        else setTimeout(arrive, delayMs[0] + this.#random() * (delayMs[1] - delayMs[0]))
      },
    }
  }
}

export type Game = {
  readonly server: Server
  readonly port: number
  readonly waiting: Socket[]
  nextConnection(): Promise<Socket>
}

/** A TCP server on loopback that does nothing with its connections. */
export async function tcpGame(context: TestContext, address = '127.0.0.1', port = 0): Promise<Game> {
  const waiting: Socket[] = []
  const server = createServer({ allowHalfOpen: true })
  server.on('connection', (socket) => {
    waiting.push(socket)
    socket.on('error', () => {})
  })
  server.listen(port, address)
  await once(server, 'listening')
  context.after(() => {
    for (const socket of waiting) socket.destroy()
    server.close()
  })
  const next = () => waiting.shift()
  return {
    server,
    waiting,
    port: (server.address() as { port: number }).port,
    nextConnection: async () => {
      while (waiting.length === 0) await once(server, 'connection')
      return next() as Socket
    },
  }
}

export async function tcpClient(context: TestContext, port: number, host = '127.0.0.1'): Promise<Socket> {
  const client = connect({ port, host, allowHalfOpen: true })
  client.on('error', () => {})
  context.after(() => client.destroy())
  await once(client, 'connect')
  return client
}

export async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

/** A game, a pair of agents and the local port that leads to the game. */
export async function pairWithGame(
  context: TestContext,
  { address = '127.0.0.1', friendsOnly = false } = {},
) {
  const game = await tcpGame(context, address)
  const localPort = await freeTcpPort()
  const pair = new Pair(
    context,
    [{ protocol: 'tcp', port: game.port, friendsOnly }],
    [{ protocol: 'tcp', localPort, nick: 'bob', port: game.port }],
  )
  await pair.open()
  return { game, pair, localPort }
}

/** All data until the other side ends. Rejects when the connection is reset. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** The next `length` bytes. */
export async function readBytes(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null
    if (bytes) return bytes
    if (socket.destroyed || socket.readableEnded) throw new Error('it ended before')
    await Promise.race([once(socket, 'readable'), once(socket, 'close')])
  }
}

/** Resolves with the error code when the connection fails. */
export async function failureOf(socket: Socket): Promise<string> {
  socket.resume()
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  return error.code ?? error.message
}

/** The error code of a client whose connection to a local port is refused. The error may come before `connect`. */
export async function refusalCode(context: TestContext, port: number): Promise<string> {
  const client = connect({ port, host: '127.0.0.1' })
  context.after(() => client.destroy())
  return await failureOf(client)
}
