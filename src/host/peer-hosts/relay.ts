// Passes introductions and signals to agents that only another host can reach (A13), through a chain of hosts if needed (A15).

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { IntroductionRequest, RoomTag, SignalLetter, UserId } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { PendingIntroductions } from '../../store/pending-introductions.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostId } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import { relaySignal } from '../requests/relay-signal.ts'
import { IntroductionRequests } from './introduction-requests.ts'
import type { OutgoingHostLetters } from './outgoing-host-letters.ts'

type RelayOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly peers: PeerTable
  readonly outbox: Outbox
  readonly introductions: PendingIntroductions
  readonly unreachable: UnreachableAddresses
  readonly statements: SignedStatements
  readonly outgoingLetters: OutgoingHostLetters
}

export class Relay {
  readonly #context: HostContext
  readonly #options: RelayOptions
  readonly #introductionRequests: IntroductionRequests

  constructor(context: HostContext, options: RelayOptions) {
    this.#context = context
    this.#options = options
    this.#introductionRequests = new IntroductionRequests(context, options)
  }

  start(): void {
    this.#introductionRequests.start()
  }

  stop(): void {
    this.#introductionRequests.stop()
  }

  /** Returns those of `offered` that know this host. Asks the hosts of the others to introduce the requester. */
  introduce(room: RoomTag, offered: readonly UserId[], requester: UserId): readonly UserId[] {
    if (this.#options.hosts.size === 0) return offered
    return offered.filter((recipient) => {
      const host = this.#hostOf(room, recipient)
      if (host) this.#request(host, { room, requester, recipient, hopsLeft: limits.hostHops })
      return host === null
    })
  }

  /** Whether this agent knows this host, so that it accepts our letters. */
  isKnownTo(room: RoomTag, user: UserId): boolean {
    return this.#hostOf(room, user) === null
  }

  /** Sends an agent's signal to another host when the recipient does not know this one. False when it does. */
  relayToHost({ room, peer, from, box }: SignalLetter): boolean {
    const host = this.#hostOf(room, peer)
    const relay = { origin: from, hopsLeft: limits.hostHops }
    if (host) this.#options.outgoingLetters.enqueueSignal(host, { room, peer, box, relay })
    return host !== null
  }

  handleSignal(letter: SignalLetter, from: HostId, now: number): DropReason | null {
    const { peers, outgoingLetters } = this.#options
    const { room, peer, box, relay } = letter
    const recipient = peers.find(room, peer, now)
    if (!relay || recipient === null || equalBytes(relay.origin, peer)) return 'unknown-peer'
    const host = this.#hostOf(room, peer)
    if (host === null) return relaySignal(this.#context, this.#options, recipient, letter, relay.origin, now)
    if (relay.hopsLeft === 0 || toHex(host.identity) === from) return 'unknown-peer'
    outgoingLetters.enqueueSignal(host, {
      room,
      peer,
      box,
      relay: { ...relay, hopsLeft: relay.hopsLeft - 1 },
    })
    return null
  }

  handleIntroductionRequest(request: IntroductionRequest, from: HostId, now: number): void {
    const { peers, introductions } = this.#options
    const { room, requester, recipient, hopsLeft } = request
    if (peers.find(room, recipient, now) === null || equalBytes(requester, recipient)) return
    const host = this.#hostOf(room, recipient)
    if (host === null) introductions.note(room, [recipient], requester, now)
    else if (hopsLeft > 0 && toHex(host.identity) !== from)
      this.#request(host, { ...request, hopsLeft: hopsLeft - 1 })
  }

  #request(host: InviteHost, request: IntroductionRequest): void {
    this.#introductionRequests.add(toHex(host.identity), request)
  }

  /** The host that sent us this agent's statement; null when the agent knows this host. */
  #hostOf(room: RoomTag, user: UserId): InviteHost | null {
    const { hosts, statements } = this.#options
    const host = hosts.size > 0 ? statements.receivedFrom(room, user) : null
    return (host && hosts.get(toHex(host))) ?? null
  }
}
