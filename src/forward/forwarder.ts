// Forwards local UDP and TCP ports over links. This is the interface for the agent. It tracks which peer is linked under
// which nickname.

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
  /** Forwards to this nickname now lead to this peer, or to none. */
  | { readonly type: 'forwarding'; readonly nick: string; readonly peerId: string | null }
  /** A second peer has the same nickname. Forwards stay with the peer that was linked first. */
  | { readonly type: 'ambiguous-nick'; readonly nick: string; readonly used: string; readonly unused: string }

export type ForwarderOptions = {
  readonly clock: Clock
  readonly exposes: readonly Expose[]
  readonly forwards: readonly Forward[]
  /** Channels and streams that the surrounding program opens by name. Default: none. */
  readonly namedServices?: NamedServices
  /** Returns unpredictable 32-bit integers. */
  readonly random: () => number
  readonly isFriend: (peerId: string) => boolean
  readonly onEvent: (event: ForwarderEvent) => void
}

/** The part of a link that the forwarder uses. */
export type PeerLink = {
  /** Sends one datagram. It may be lost. */
  readonly send: (bytes: Uint8Array) => void
  /** The largest datagram that the link now sends in one packet. */
  readonly maxUnfragmentedBytes: () => number
}

export interface Forwarder {
  /** Opens the local ports of the forwards on 127.0.0.1 and ::1. Rejects with a Problem (`port-taken`). */
  open(): Promise<void>
  /** Adds a forward after `open`. Rejects with a Problem. Two forwards cannot have the same local port. */
  add(forward: Forward): Promise<void>
  /** Pass the same object that was added or given in the options. Open TCP connections continue. */
  remove(forward: Forward): Promise<void>
  /** Call it when a link to this peer opens. Existing flows and streams continue over the new link. */
  attach(peer: { readonly id: string; readonly name: string }, link: PeerLink): void
  /** Call it when the last link of the peer is closed. Its streams end with a reset. Its flows stay until they are idle,
   *  so that a returning peer keeps its addresses. */
  detach(id: string): void
  /** Takes a datagram from the link of an attached peer. The forwarder owns the bytes from then on. */
  handleDatagram(id: string, bytes: Uint8Array): void
  /** Sends at most `maxChannelBytes` to a channel of the peer's program. Returns false when the peer is not linked. */
  sendTo(id: string, channel: string, payload: Uint8Array): boolean
  /** Opens a stream to a name that the peer's program has opened. Rejects with a Problem. */
  openStream(id: string, name: string): Promise<Duplex>
  counts(): Readonly<ForwarderCounts>
  close(): Promise<void>
}

type LinkedPeer = { readonly name: string; readonly link: PeerLink }

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { clock, exposes, forwards, isFriend, onEvent, random, namedServices = new NamedServices() } = options
  /** In the order in which they were linked. The agent limits the number of links. */
  const linkedPeers = new Map<string, LinkedPeer>()
  const activeForwards = new Set<Forward>()
  const isForwarded = (nick: string) => [...activeForwards].some((forward) => forward.nick === nick)
  /** The peer ID that each nickname leads to now. */
  const peerByNick = new Map<string, string>()
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
    const peer = linkedPeers.get(peerId)
    peer?.link.send(bytes)
    return peer !== undefined
  }
  const maxUnfragmentedBytes = (peerId: string) => linkedPeers.get(peerId)?.link.maxUnfragmentedBytes() ?? 0
  const peerOf = (nick: string) => peerByNick.get(nick)
  const accessCheck = (protocol: Protocol) => {
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
  const common = {
    clock,
    random,
    addresses: new PeerLoopbackAddresses(),
    peerOf,
    send,
    maxUnfragmentedBytes,
    counts,
    bufferPool,
  }
  const exposed = new ExposedUdpPorts({ ...common, isAllowed: accessCheck('udp') })
  const forwarded = new ForwardedUdpPorts(common)
  const streams = new StreamForwarder({
    ...common,
    isAllowed: accessCheck('tcp'),
    streamHandlerOf: (peerId, name) => namedServices.streams(name, () => isFriend(peerId)),
  })
  const needsStreams = () => namedServices.hasStreams || exposes.some(({ protocol }) => protocol === 'tcp')
  let isClosed = false

  const release = (id: string) => {
    const name = linkedPeers.get(id)?.name
    linkedPeers.delete(id)
    streams.dropPeer(id)
    if (name === undefined || peerByNick.get(name) !== id) return
    peerByNick.delete(name)
    const next = firstLinked(name)
    if (next !== undefined) peerByNick.set(name, next)
    onEvent({ type: 'forwarding', nick: name, peerId: next ?? null })
  }

  let stopExpiry = () => {}
  const expire = () => {
    exposed.expire(clock.now())
    forwarded.expire(clock.now())
    stopExpiry = clock.after(idleMs / 4, expire)
  }

  const handleNamedFrame = (id: string, bytes: Uint8Array) => {
    const frame = decodeNamedFrame(bytes)
    const handler = frame && namedServices.channel(frame.name, () => isFriend(id))
    if (!frame) counts.malformed++
    else if (!handler) counts.notExposed++
    else handler(id, frame.payload)
  }

  const firstLinked = (name: string) => [...linkedPeers].find(([, peer]) => peer.name === name)?.[0]

  const remove = async (forward: Forward) => {
    activeForwards.delete(forward)
    if (!isForwarded(forward.nick)) peerByNick.delete(forward.nick)
    if (forward.protocol === 'tcp') streams.remove(forward)
    else await forwarded.remove(forward)
  }

  const add = async (forward: Forward) => {
    await (forward.protocol === 'tcp' ? streams : forwarded).add(forward)
    // If `close` came while the port was opening, `close` has not closed it.
    if (isClosed) return remove(forward)
    activeForwards.add(forward)
    onEvent({ type: 'listening', ...forward })
    const peerId = firstLinked(forward.nick)
    if (peerId === undefined || peerByNick.has(forward.nick)) return
    peerByNick.set(forward.nick, peerId)
    onEvent({ type: 'forwarding', nick: forward.nick, peerId })
  }

  const close = async () => {
    isClosed = true
    stopExpiry()
    await Promise.all([exposed.close(), forwarded.close(), streams.close()])
    linkedPeers.clear()
    peerByNick.clear()
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
      if (linkedPeers.has(id) && linkedPeers.get(id)?.name !== name) release(id)
      linkedPeers.set(id, { name, link })
      if (!isForwarded(name)) return
      const used = peerByNick.get(name)
      if (used === undefined) {
        peerByNick.set(name, id)
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
        handleNamedFrame(id, bytes)
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
      if (!isClosed && linkedPeers.has(id)) return streams.connect(id, name)
      throw new Problem('peer', 'There is no connection to this player now.', 'Wait until there is one.')
    },

    counts: () => ({ ...counts }),

    close,
  }
}
