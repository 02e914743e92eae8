// Local UDP ports onto links: what the agent calls, and who is linked under which nickname.

import type { Clock } from '../base/clock.ts'
import { openUdpSocket } from '../net/udp-socket.ts'
import { ExposedPorts } from './exposed-ports.ts'
import { idleMs } from './flow-table.ts'
import { ForwardedPorts } from './forwarded-ports.ts'
import { decodeFrame } from './frame.ts'

/** A local port that every linked peer may reach (`--expose udp:PORT`). */
export type Expose = { readonly protocol: 'udp'; readonly port: number }

/** A local port that leads to a port a peer exposes (`--forward udp:LOCAL=NICK:PORT`). */
export type Forward = {
  readonly protocol: 'udp'
  readonly localPort: number
  readonly nick: string
  readonly port: number
}

export type ForwarderEvent =
  /** The local port is open. */
  | { readonly type: 'listening'; readonly localPort: number; readonly nick: string; readonly port: number }
  /** Forwards to this nickname now lead to this peer, or to nobody. */
  | { readonly type: 'forwarding'; readonly nick: string; readonly peerId: string | null }
  /** A second peer has the nickname; forwards stay with the one linked first. */
  | { readonly type: 'ambiguous-nick'; readonly nick: string; readonly used: string; readonly unused: string }

/** Datagrams dropped since the start, by reason. */
export type ForwarderCounts = {
  /** More than a link carries. */
  tooBig: number
  /** Nobody of that nickname is linked, or the peer's link is gone. */
  notLinked: number
  /** A peer asked for a port that is not exposed. */
  notExposed: number
  /** An answer for a flow that is not, or not that peer's. */
  unknownFlow: number
  /** Not a frame of ours. */
  malformed: number
  /** A new flow at a bound, or without a socket. */
  refusedFlows: number
  /** Too many while a flow's socket was being opened. */
  notSent: number
}

export type ForwarderOptions = {
  readonly clock: Clock
  readonly exposes: readonly Expose[]
  readonly forwards: readonly Forward[]
  readonly onEvent: (event: ForwarderEvent) => void
  /** Default: real sockets. */
  readonly openSocket?: typeof openUdpSocket
}

export interface Forwarder {
  /** Binds the forwards' local ports on 127.0.0.1; rejects with a Problem (`port-taken`). */
  open(): Promise<void>
  /** A link to this peer is open, or open anew. `send` takes one link datagram. */
  attach(peer: { readonly id: string; readonly name: string }, send: (bytes: Uint8Array) => void): void
  /** Its link is gone. Its flows stay until they are idle, so that a peer that comes back keeps its addresses. */
  detach(id: string): void
  /** A datagram that came over the link of an attached peer; the bytes are the forwarder's from then on. */
  handleDatagram(id: string, bytes: Uint8Array): void
  counts(): Readonly<ForwarderCounts>
  close(): Promise<void>
}

type Linked = { readonly name: string; readonly send: (bytes: Uint8Array) => void }

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { clock, forwards, onEvent, openSocket = openUdpSocket } = options
  /** In the order they were linked; the agent bounds how many links there are. */
  const linked = new Map<string, Linked>()
  const nicks = new Set(forwards.map((forward) => forward.nick))
  /** To whom each nickname leads now. */
  const leads = new Map<string, string>()
  const counts: ForwarderCounts = {
    tooBig: 0,
    notLinked: 0,
    notExposed: 0,
    unknownFlow: 0,
    malformed: 0,
    refusedFlows: 0,
    notSent: 0,
  }

  const send = (peerId: string, bytes: Uint8Array) => {
    const peer = linked.get(peerId)
    peer?.send(bytes)
    return peer !== undefined
  }
  const ports = options.exposes.map((expose) => expose.port)
  const exposed = new ExposedPorts({ clock, ports, openSocket, send, counts })
  const peerOf = (nick: string) => leads.get(nick)
  const forwarded = new ForwardedPorts({ clock, forwards, openSocket, peerOf, send, counts })

  const release = (id: string) => {
    const name = linked.get(id)?.name
    linked.delete(id)
    if (name === undefined || leads.get(name) !== id) return
    leads.delete(name)
    const next = [...linked].find(([, peer]) => peer.name === name)?.[0]
    if (next !== undefined) leads.set(name, next)
    onEvent({ type: 'forwarding', nick: name, peerId: next ?? null })
  }

  let stopSweeping = () => {}
  const sweep = () => {
    exposed.expire(clock.now())
    forwarded.expire(clock.now())
    stopSweeping = clock.after(idleMs / 4, sweep)
  }

  return {
    open: async () => {
      await forwarded.open()
      stopSweeping = clock.after(idleMs / 4, sweep)
      for (const { localPort, nick, port } of forwards) onEvent({ type: 'listening', localPort, nick, port })
    },

    attach: ({ id, name }, sendToPeer) => {
      if (linked.has(id) && linked.get(id)?.name !== name) release(id)
      linked.set(id, { name, send: sendToPeer })
      if (!nicks.has(name)) return
      const used = leads.get(name)
      if (used === undefined) {
        leads.set(name, id)
        onEvent({ type: 'forwarding', nick: name, peerId: id })
      } else if (used !== id) onEvent({ type: 'ambiguous-nick', nick: name, used, unused: id })
    },

    detach: release,

    handleDatagram: (id, bytes) => {
      const frame = decodeFrame(bytes)
      if (frame === null) counts.malformed++
      else if (frame.kind === 'to-game') exposed.handleFrame(id, frame)
      else forwarded.handleFrame(id, frame)
    },

    counts: () => ({ ...counts }),

    close: async () => {
      stopSweeping()
      linked.clear()
      leads.clear()
      await Promise.all([exposed.close(), forwarded.close()])
    },
  }
}
