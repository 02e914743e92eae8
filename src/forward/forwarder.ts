// Local UDP and TCP ports onto links: what the agent calls, and who is linked under which nickname.

import type { Duplex } from 'node:stream'
import { BufferPool } from '../base/buffer-pool.ts'
import type { Clock } from '../base/clock.ts'
import { Problem } from '../base/problem.ts'
import type { Expose, Forward, ForwarderCounts, Protocol } from './forward-types.ts'
import { NamedServices } from './named-services.ts'
import { PeerLoopbackAddresses } from './peer-loopback-addresses.ts'
import { StreamForwarder } from './streams/stream-forwarder.ts'
import { isStreamFrame } from './streams/stream-frame.ts'
import { ExposedUdpPorts } from './udp/exposed-udp-ports.ts'
import { idleMs } from './udp/flow-table.ts'
import { ForwardedUdpPorts } from './udp/forwarded-udp-ports.ts'
import { decodeFrame } from './udp/game-datagram-frame.ts'
import { decodeNamedFrame, encodeNamedFrame, isNamedFrame } from './udp/named-channel-frame.ts'

export type ForwarderEvent =
  /** The local port is open. */
  | ({ readonly type: 'listening' } & Forward)
  /** Forwards to this nickname now lead to this peer, or to nobody. */
  | { readonly type: 'forwarding'; readonly nick: string; readonly peerId: string | null }
  /** A second peer has the nickname; forwards stay with the one linked first. */
  | { readonly type: 'ambiguous-nick'; readonly nick: string; readonly used: string; readonly unused: string }

export type ForwarderOptions = {
  readonly clock: Clock
  readonly exposes: readonly Expose[]
  readonly forwards: readonly Forward[]
  /** What the program around us opens by name; nothing if left out. */
  readonly namedServices?: NamedServices
  /** Whole numbers of 32 bits that nobody can foresee. */
  readonly random: () => number
  readonly isFriend: (peerId: string) => boolean
  readonly onEvent: (event: ForwarderEvent) => void
}

/** What the forwarder needs of a link. */
export type PeerLink = {
  /** Takes one link datagram; it may get lost. */
  readonly send: (bytes: Uint8Array) => void
  /** The largest datagram that travels in one piece now. */
  readonly singlePacketBytes: () => number
}

export interface Forwarder {
  /** Binds the forwards' local ports on 127.0.0.1 and ::1; rejects with a Problem (`port-taken`). */
  open(): Promise<void>
  /** One more, while open; rejects likewise. No two may have the same local port. */
  add(forward: Forward): Promise<void>
  /** The very object that was added, or given at the start. TCP connections under way go on. */
  remove(forward: Forward): Promise<void>
  /** A link to this peer is open, or open anew: what is under way goes on over it. */
  attach(peer: { readonly id: string; readonly name: string }, link: PeerLink): void
  /** Its last link is gone. Its streams end with a reset; its flows stay until they are idle, so that a peer that comes
   *  back keeps its addresses. */
  detach(id: string): void
  /** A datagram that came over the link of an attached peer; the bytes are the forwarder's from then on. */
  handleDatagram(id: string, bytes: Uint8Array): void
  /** A datagram for a channel of the peer's program, of at most `maxChannelBytes`. False when the peer is not linked. */
  sendTo(id: string, channel: string, payload: Uint8Array): boolean
  /** A stream to a name that the peer's program has opened. Rejects with a Problem. */
  openStream(id: string, name: string): Promise<Duplex>
  counts(): Readonly<ForwarderCounts>
  close(): Promise<void>
}

type Linked = { readonly name: string; readonly link: PeerLink }

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { clock, exposes, forwards, isFriend, onEvent, random, namedServices = new NamedServices() } = options
  /** In the order they were linked; the agent bounds how many links there are. */
  const linked = new Map<string, Linked>()
  const current = new Set<Forward>()
  const isWanted = (nick: string) => [...current].some((forward) => forward.nick === nick)
  /** To whom each nickname leads now. */
  const leads = new Map<string, string>()
  const counts: ForwarderCounts = {
    tooBig: 0,
    notLinked: 0,
    notExposed: 0,
    unknownFlow: 0,
    malformed: 0,
    refusedFlows: 0,
    refusedStreams: 0,
    notSent: 0,
  }

  const send = (peerId: string, bytes: Uint8Array) => {
    const peer = linked.get(peerId)
    peer?.link.send(bytes)
    return peer !== undefined
  }
  const singlePacketBytes = (peerId: string) => linked.get(peerId)?.link.singlePacketBytes() ?? 0
  const peerOf = (nick: string) => leads.get(nick)
  const openTo = (protocol: Protocol) => {
    const friendsOnly = new Map(
      exposes
        .filter((expose) => expose.protocol === protocol)
        .map((expose) => [expose.port, expose.friendsOnly]),
    )
    return (peerId: string, port: number) => {
      const onlyFriends = friendsOnly.get(port)
      return onlyFriends !== undefined && (!onlyFriends || isFriend(peerId))
    }
  }
  const bufferPool = new BufferPool()
  const shared = {
    clock,
    random,
    addresses: new PeerLoopbackAddresses(),
    peerOf,
    send,
    singlePacketBytes,
    counts,
    bufferPool,
  }
  const exposed = new ExposedUdpPorts({ ...shared, isOpenTo: openTo('udp') })
  const forwarded = new ForwardedUdpPorts(shared)
  const streams = new StreamForwarder({
    ...shared,
    isOpenTo: openTo('tcp'),
    streamHandlerOf: (peerId, name) => namedServices.streams(name, () => isFriend(peerId)),
  })
  const needsStreams = () => namedServices.hasStreams || exposes.some(({ protocol }) => protocol === 'tcp')
  let isClosed = false

  const release = (id: string) => {
    const name = linked.get(id)?.name
    linked.delete(id)
    streams.dropPeer(id)
    if (name === undefined || leads.get(name) !== id) return
    leads.delete(name)
    const next = firstCalled(name)
    if (next !== undefined) leads.set(name, next)
    onEvent({ type: 'forwarding', nick: name, peerId: next ?? null })
  }

  let stopExpiry = () => {}
  const expire = () => {
    exposed.expire(clock.now())
    forwarded.expire(clock.now())
    stopExpiry = clock.after(idleMs / 4, expire)
  }

  const takeNamed = (id: string, bytes: Uint8Array) => {
    const frame = decodeNamedFrame(bytes)
    const handler = frame && namedServices.channel(frame.name, () => isFriend(id))
    if (!frame) counts.malformed++
    else if (!handler) counts.notExposed++
    else handler(id, frame.payload)
  }

  const firstCalled = (name: string) => [...linked].find(([, peer]) => peer.name === name)?.[0]

  const remove = async (forward: Forward) => {
    current.delete(forward)
    if (!isWanted(forward.nick)) leads.delete(forward.nick)
    if (forward.protocol === 'tcp') streams.remove(forward)
    else await forwarded.remove(forward)
  }

  const add = async (forward: Forward) => {
    await (forward.protocol === 'tcp' ? streams : forwarded).add(forward)
    // It opened behind the back of a close that came meanwhile.
    if (isClosed) return remove(forward)
    current.add(forward)
    onEvent({ type: 'listening', ...forward })
    const peerId = firstCalled(forward.nick)
    if (peerId === undefined || leads.has(forward.nick)) return
    leads.set(forward.nick, peerId)
    onEvent({ type: 'forwarding', nick: forward.nick, peerId })
  }

  const close = async () => {
    isClosed = true
    stopExpiry()
    await Promise.all([exposed.close(), forwarded.close(), streams.close()])
    linked.clear()
    leads.clear()
  }

  return {
    open: async () => {
      try {
        if (needsStreams()) await streams.open()
        for (const forward of forwards) await add(forward)
      } catch (thrown) {
        await close()
        throw thrown
      }
      stopExpiry = clock.after(idleMs / 4, expire)
    },

    add,
    remove,

    attach: ({ id, name }, link) => {
      if (linked.has(id) && linked.get(id)?.name !== name) release(id)
      linked.set(id, { name, link })
      if (!isWanted(name)) return
      const used = leads.get(name)
      if (used === undefined) {
        leads.set(name, id)
        onEvent({ type: 'forwarding', nick: name, peerId: id })
      } else if (used !== id) onEvent({ type: 'ambiguous-nick', nick: name, used, unused: id })
    },

    detach: release,

    handleDatagram: (id, bytes) => {
      if (isStreamFrame(bytes)) {
        if (!streams.handleFrame(id, bytes)) counts.malformed++
        return
      }
      if (isNamedFrame(bytes)) {
        takeNamed(id, bytes)
        return
      }
      const frame = decodeFrame(bytes)
      if (frame === null) counts.malformed++
      else if (frame.kind === 'to-game') exposed.handleFrame(id, frame)
      else forwarded.handleFrame(id, frame)
    },

    sendTo: (id, channel, payload) => {
      const isSent = send(id, encodeNamedFrame({ name: channel, payload }))
      if (!isSent) counts.notLinked++
      return isSent
    },

    openStream: async (id, name) => {
      if (!isClosed && linked.has(id)) return streams.connect(id, name)
      throw new Problem('peer', 'There is no connection to this player now.', 'Wait until there is one.')
    },

    counts: () => ({ ...counts }),

    close,
  }
}
