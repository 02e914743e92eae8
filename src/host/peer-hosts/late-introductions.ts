// Introduces agents that no reply introduced, because they asked different hosts (C2, A13). The replies of this host did not
// name an agent that only another host knew. The reply of that host did not name all agents that are known here: it may not
// know them yet, and it may refuse them for ever, as it only accepts invites of hosts that it knows. Two agents of which one
// was offered to the other are skipped, so hosts with the same table introduce nobody.

import type { RequestLetter, RoomTag, UserId } from '../../letter/letter-types.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { PendingIntroductions } from '../../store/pending-introductions.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import type { Item } from '../../sync/item-version.ts'
import type { HostContext } from '../context.ts'
import type { Relay } from './relay.ts'

/** For this long after a request, introductions may complete its reply, and statements name the peers that it offered. This is
 *  longer than the ten minutes until a comparison of the tables replaces a lost letter between hosts. */
export const completionWindowMs = 15 * 60_000

type Party = {
  readonly user: UserId
  readonly item: Item
  readonly offered: readonly Item[]
  /** It asked within the window and was offered fewer peers than a reply holds. */
  readonly hasShortReply: boolean
  /** It accepts our letters. */
  readonly knowsUs: boolean
}

type LateIntroductionsOptions = {
  readonly peers: PeerTable
  readonly introductions: PendingIntroductions
  readonly statements: SignedStatements
  readonly relay: Relay
}

export class LateIntroductions {
  readonly #context: Pick<HostContext, 'settings'>
  readonly #options: LateIntroductionsOptions

  constructor(context: Pick<HostContext, 'settings'>, options: LateIntroductionsOptions) {
    this.#context = context
    this.#options = options
  }

  /** Introduces an agent whose request another host sent, to both sides. An agent that does not know this host is introduced by
   *  another host. Each request is completed once, up to the size of a reply. Call it inside the letter's transaction. */
  introduce({ room, from }: Pick<RequestLetter, 'room' | 'from'>, now: number): void {
    const { statements } = this.#options
    const { replyPeers } = this.#context.settings
    const { newcomer, others } = this.#partiesOf(room, from, now)
    if (newcomer === null) return
    const added: Item[] = []
    for (const other of others) {
      // Neither agent knows this host. Their own hosts introduce them.
      if (!(newcomer.knowsUs || other.knowsUs)) continue
      if (wasOffered(newcomer, other) || wasOffered(other, newcomer)) continue
      const canBeOffered = newcomer.hasShortReply && newcomer.offered.length + added.length < replyPeers
      if (!canBeOffered && !(other.hasShortReply && other.knowsUs)) continue
      this.#introduceTo(room, newcomer, other, now)
      this.#introduceTo(room, other, newcomer, now)
      if (canBeOffered) added.push(other.item)
      else statements.addOffered(other.item.key, [newcomer.item])
    }
    // Otherwise the newcomer's host introduces it, and may drop our request. If the newcomer asks us later, `introduceAgain`
    // makes up for this.
    if (newcomer.knowsUs && added.length > 0) statements.addOffered(newcomer.item.key, added)
  }

  /** Introduces an agent whose request came from another host first and now from the agent itself, so that it knows this
   *  host. The other host may have dropped our introduction requests, so this host repeats them. Call it inside the letter's
   *  transaction. */
  introduceAgain(letter: Pick<RequestLetter, 'room' | 'from'>, now: number): void {
    this.introduce(letter, now)
    const { room, from } = letter
    const { newcomer, others } = this.#partiesOf(room, from, now)
    if (newcomer === null) return
    for (const other of others) {
      if (other.knowsUs && wasOffered(other, newcomer) && !wasOffered(newcomer, other))
        this.#introduceTo(room, newcomer, other, now)
    }
  }

  /** The newcomer, null without a stored statement, and the most recent peers. Of these only pairs in which both requests are
   *  within the window. */
  #partiesOf(
    room: RoomTag,
    from: UserId,
    now: number,
  ): { readonly newcomer: Party | null; readonly others: readonly Party[] } {
    const { peers } = this.#options
    const acceptedAt = peers.acceptedAt(room, from, now)
    const newcomer = acceptedAt === null ? null : this.#partyOf(room, from, now - acceptedAt)
    if (acceptedAt === null || newcomer === null) return { newcomer: null, others: [] }
    const others = peers
      .recent(room, from, this.#context.settings.replyPeers, now)
      .filter((other) => now - Math.max(acceptedAt, other.acceptedAt) < completionWindowMs)
      .flatMap((other) => this.#partyOf(room, other.user, now - other.acceptedAt) ?? [])
    return { newcomer, others }
  }

  /** Null without a stored statement: the agent asked before this host knew another one. */
  #partyOf(room: RoomTag, user: UserId, ageMs: number): Party | null {
    const { statements, relay } = this.#options
    const key = statements.keyOf(room, user)
    const item = statements.find(key)
    const stored = statements.get(key)
    if (item === null || stored === null) return null
    const hasShortReply =
      ageMs < completionWindowMs && stored.offered.length < this.#context.settings.replyPeers
    return { user, item, offered: stored.offered, hasShortReply, knowsUs: relay.isKnownTo(room, user) }
  }

  #introduceTo(room: RoomTag, { user: recipient }: Party, { user: requester }: Party, now: number): void {
    const { introductions, relay } = this.#options
    introductions.note(room, relay.introduce(room, [recipient], requester), requester, now)
  }
}

/** Whether the second was offered to the first, in its current session. */
function wasOffered({ offered }: Party, { item }: Party): boolean {
  return offered.some(({ key, version }) => key === item.key && version === item.version)
}
