// The connections of two agents on a wire between them that can hold back the packets of one link.

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
  /** Tags of links whose packets from here are held back. */
  readonly held = new Set<string>()
  /** Tags of links on which the other's packets are held back as soon as we have answered its opening. */
  readonly holdsUpOther = new Set<string>()
  other: Side | null = null
  /** The forwarder's way to the other. */
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
            sendMain: (bytes) => this.#fly(clock, bytes),
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

  #fly(clock: VirtualClock, bytes: Uint8Array): void {
    const tag = toHex(bytes.subarray(1, 9))
    if (bytes[0] === checkByte) this.checks++
    const isHandshake = bytes[0] === handshakeByte
    if ((isHandshake || bytes[0] === dataByte) && this.held.has(tag)) return
    if (isHandshake && this.holdsUpOther.has(tag)) this.other?.held.add(tag)
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

  say(text: string): void {
    this.send?.(new TextEncoder().encode(text))
  }

  told(event: AgentEvent['event']): number {
    return this.events.filter((told) => told.event === event).length
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

/** A session of each, such that the first side opens the link if `opens`. */
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
