// The connections of two agents over a simulated wire that can drop the packets of single links.

import assert from 'node:assert/strict'
import type { AgentEvent } from '../../src/agent/events.ts'
import { type OwnSession, SessionKeys } from '../../src/agent/letters/session-keys.ts'
import { Connector } from '../../src/agent/peers/connector.ts'
import { derivePairKeys } from '../../src/agent/peers/pair-keys.ts'
import { compareBytes, toHex } from '../../src/base/bytes.ts'
import type { KeyPair } from '../../src/base/crypto.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'
import type { OfferedPeer } from '../../src/letter/letter-types.ts'
import { roomKeys } from '../../src/letter/room-membership.ts'
import { dataByte, handshakeByte } from '../../src/link/packet-codec.ts'
import { SocketSet } from '../../src/net/udp/socket-set.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

export const crypto = seededCrypto(1)
const room = roomKeys(crypto, crypto.randomBytes(32))
const nat = { ...unknownNat, mapping: 'none' } as const

const checkByte = 0xc1

export class Side {
  readonly events: AgentEvent[] = []
  readonly received: string[] = []
  readonly failures: string[] = []
  checks = 0
  readonly sessions = new SessionKeys(crypto)
  readonly connector: Connector
  readonly identity: KeyPair
  readonly endpoint: { readonly address: string; readonly port: number }
  /** Tags of links whose packets from this side are dropped. */
  readonly held = new Set<string>()
  /** Tags of links on which the other side's packets are dropped as soon as we have answered its opening. */
  readonly holdsOther = new Set<string>()
  other: Side | null = null
  /** Sends over the link that the forwarder uses. */
  send: ((bytes: Uint8Array) => void) | null = null

  constructor(clock: VirtualClock, identity: KeyPair, address: string) {
    this.identity = identity
    this.endpoint = { address, port: 4000 }
    this.connector = new Connector({
      clock,
      crypto,
      identity,
      room,
      sessions: this.sessions,
      preferences: { friends: new Set(), blocked: new Set() },
      links: 8,
      attemptMs: 60_000,
      network: {
        nat,
        candidates: [{ kind: 'host', endpoint: this.endpoint }],
        onLoopback: false,
        servers: [],
        sockets: (onDatagram, onFailure) =>
          new SocketSet({
            open: () => Promise.reject(new Error('one socket is enough here')),
            sendMain: (bytes) => this.#deliver(clock, bytes),
            onDatagram,
            onFailure,
          }),
      },
      mailMs: () => null,
      onSignal: (_peer, box) => clock.after(1_000, () => this.other?.connector.handleSignal(box)),
      onEvent: (event) => this.events.push(event),
      onFailure: (_peer, reason) => this.failures.push(reason),
      onRequestNeeded: () => {},
      onAttach: (_peer, link) => {
        this.send = (bytes) => link.send(bytes)
      },
      onDetach: () => {
        this.send = null
      },
      onDatagram: (_peer, bytes) => this.received.push(new TextDecoder().decode(bytes)),
    })
  }

  #deliver(clock: VirtualClock, bytes: Uint8Array): void {
    const tag = toHex(bytes.subarray(1, 9))
    if (bytes[0] === checkByte) this.checks++
    const isHandshake = bytes[0] === handshakeByte
    if ((isHandshake || bytes[0] === dataByte) && this.held.has(tag)) return
    if (isHandshake && this.holdsOther.has(tag)) this.other?.held.add(tag)
    clock.after(10, () => this.other?.connector.receive(bytes, this.endpoint))
  }

  offer(session: OwnSession): OfferedPeer {
    return {
      id: this.identity.publicKey,
      nickname: 'peer',
      session,
      candidates: [{ kind: 'server-reflexive', endpoint: this.endpoint }],
      nat,
      sameNat: false,
      flagged: false,
      ageMs: 0,
    }
  }

  sendText(text: string): void {
    this.send?.(new TextEncoder().encode(text))
  }

  emitted(name: AgentEvent['event']): number {
    return this.events.filter(({ event }) => event === name).length
  }
}

export function makeSides(whoCloses: 'first' | 'second') {
  const clock = new VirtualClock()
  const [lower, higher] = [crypto.signKeyPair(), crypto.signKeyPair()].sort((a, b) =>
    compareBytes(a.publicKey, b.publicKey),
  ) as [KeyPair, KeyPair]
  const first = new Side(clock, whoCloses === 'first' ? lower : higher, '11.0.1.1')
  const second = new Side(clock, whoCloses === 'first' ? higher : lower, '11.0.1.2')
  first.other = second
  second.other = first
  return { clock, first, second }
}

/** A session of each side. If `opens`, the first side is the opener of the link. */
export function sessionPair(first: Side, second: Side, opens: boolean) {
  const mine = first.sessions.create()
  let theirs = second.sessions.create()
  while (compareBytes(mine.publicKey, theirs.publicKey) < 0 !== opens) theirs = second.sessions.create()
  const keys = derivePairKeys(crypto, mine.keyPair, theirs.publicKey, room.linkSecret)
  assert.ok(keys)
  return { mine, theirs, tag: toHex(keys.tag) }
}

export function introduce(
  first: Side,
  second: Side,
  { mine, theirs }: { mine: OwnSession; theirs: OwnSession },
) {
  first.connector.handleIntroduction([second.offer(theirs)], mine)
  second.connector.handleIntroduction([first.offer(mine)], theirs)
}

export async function stopBoth(clock: VirtualClock, first: Side, second: Side): Promise<void> {
  const stopped = Promise.all([first.connector.stop(1_500), second.connector.stop(1_500)])
  await clock.advance(2_000)
  await stopped
  assert.equal(clock.pendingTimers, 0)
}
