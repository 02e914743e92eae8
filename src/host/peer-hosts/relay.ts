// What only another host can pass on to an agent (A13): introductions and signals, over as many hosts as there
// are between (A15).

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { IntroductionRequest, RoomTag, SignalLetter, UserId } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import type { ItemKey } from '../../sync/item-version.ts'
import { type HostId, syncLimits } from '../../sync/table-sync.ts'
import type { HostGround } from '../context.ts'
import type { DropReason } from '../events.ts'
import { relaySignal } from '../requests/handle-letter.ts'
import { IntroductionRequests } from './introduction-requests.ts'

/** That one takes in a letter. */
const wishBytes = 128

export type RelaySignal = Pick<SignalLetter, 'room' | 'peer' | 'box' | 'relay'>

export type RelayOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly statements: SignedStatements
  readonly sendSignal: (host: InviteHost, signal: RelaySignal) => void
  /** `keys`: of what their askers signed, in case the other host has not heard it. */
  readonly sendWishes: (
    host: InviteHost,
    keys: readonly string[],
    introduce: readonly IntroductionRequest[],
  ) => void
  readonly guarded: (work: () => void) => void
}

export class Relay {
  readonly #parts: HostGround
  readonly #options: RelayOptions
  readonly #wishes: IntroductionRequests

  constructor(parts: HostGround, options: RelayOptions) {
    this.#parts = parts
    this.#options = options
    this.#wishes = new IntroductionRequests({
      clock: parts.clock,
      gatherMs: parts.settings.introductionWindowMs,
      send: (to, wishes) => this.#sendWishes(to, wishes),
      guarded: options.guarded,
    })
  }

  start(): void {
    this.#wishes.start()
  }

  stop(): void {
    this.#wishes.stop()
  }

  /** Those of `offered` who know us; the others' hosts are asked to introduce the requester to them. */
  introduce(room: RoomTag, offered: readonly UserId[], requester: UserId): readonly UserId[] {
    if (this.#options.hosts.size === 0) return offered
    return offered.filter((recipient) => {
      const host = this.#hostOf(room, recipient)
      if (host)
        this.#wishes.add(toHex(host.identity), { room, requester, recipient, hopsLeft: limits.hostHops })
      return host === null
    })
  }

  /** Whether this agent knows us, so that it takes our letters. */
  isKnownTo(room: RoomTag, user: UserId): boolean {
    return this.#hostOf(room, user) === null
  }

  /** True when another host relays this agent's signal, because its recipient does not know us. */
  passOn({ room, peer, from, box }: SignalLetter): boolean {
    const host = this.#hostOf(room, peer)
    const relay = { origin: from, hopsLeft: limits.hostHops }
    if (host) this.#options.sendSignal(host, { room, peer, box, relay })
    return host !== null
  }

  takeSignal(letter: SignalLetter, from: HostId, now: number): DropReason | null {
    const { room, peer, box, relay } = letter
    const recipient = this.#parts.peers.find(room, peer, now)
    if (!relay || recipient === null || equalBytes(relay.origin, peer)) return 'unknown-peer'
    const host = this.#hostOf(room, peer)
    if (host === null) return relaySignal(this.#parts, recipient, letter, relay.origin, now)
    if (relay.hopsLeft === 0 || toHex(host.identity) === from) return 'unknown-peer'
    this.#options.sendSignal(host, { room, peer, box, relay: { ...relay, hopsLeft: relay.hopsLeft - 1 } })
    return null
  }

  takeWish(wish: IntroductionRequest, from: HostId, now: number): void {
    const { peers, introductions } = this.#parts
    const { room, requester, recipient, hopsLeft } = wish
    if (peers.find(room, recipient, now) === null || equalBytes(requester, recipient)) return
    const host = this.#hostOf(room, recipient)
    if (host === null) introductions.note(room, [recipient], requester, now)
    else if (hopsLeft > 0 && toHex(host.identity) !== from)
      this.#wishes.add(toHex(host.identity), { ...wish, hopsLeft: hopsLeft - 1 })
  }

  /** The host that knows how to reach this agent; null when the agent knows us. */
  #hostOf(room: RoomTag, user: UserId): InviteHost | null {
    const { hosts, statements } = this.#options
    const host = hosts.size > 0 ? statements.receivedFrom(room, user) : null
    return (host && hosts.get(toHex(host))) ?? null
  }

  #sendWishes(to: HostId, introduce: readonly IntroductionRequest[]): void {
    const { hosts, statements, sendWishes } = this.#options
    const host = hosts.get(to)
    if (!host) return
    let keys = new Set<ItemKey>()
    let wishes: IntroductionRequest[] = []
    let bytes = 0
    for (const wish of introduce) {
      const key = statements.keyOf(wish.room, wish.requester)
      const more = wishBytes + (keys.has(key) ? 0 : (statements.statementBytes(key) ?? 0))
      if (wishes.length > 0 && bytes + more > syncLimits.letterBytes) {
        sendWishes(host, [...keys], wishes)
        keys = new Set()
        wishes = []
        bytes = 0
      }
      keys.add(key)
      wishes.push(wish)
      bytes += more
    }
    sendWishes(host, [...keys], wishes)
  }
}
