// What a host learns of an agent after others were answered still reaches those it concerns (C2, A13). Their answers did
// not name it, and its own, which another host gave, did not name all that are known here: that host may not have heard
// of them, and may never, for it lets in those with invites of hosts that it knows. Whoever was offered to the other
// already is left alone, so that hosts that know the same introduce nobody.

import type { RequestLetter, RoomTag, UserId } from '../../letter/letter-types.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { PendingIntroductions } from '../../store/pending-introductions.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import type { Item } from '../../sync/item-version.ts'
import type { HostContext } from '../context.ts'
import { lateMs } from './host-letters.ts'
import type { Relay } from './relay.ts'

type Party = {
  readonly user: UserId
  readonly item: Item
  readonly offered: readonly Item[]
  /** Asked lately, and was offered fewer than a reply holds. */
  readonly isShort: boolean
  /** So that it takes our letters. */
  readonly isOurs: boolean
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

  /**
   * Inside the transaction of the letter that told of this request. Both sides are told, by way of another host where one of
   * them knows that one alone; each request is completed once, up to what a reply holds.
   */
  introduce({ room, from }: Pick<RequestLetter, 'room' | 'from'>, now: number): void {
    const { statements } = this.#options
    const { replyPeers } = this.#context.settings
    const { newcomer, others } = this.#partiesOf(room, from, now)
    if (newcomer === null) return
    const met: Item[] = []
    for (const other of others) {
      // Hosts that neither knows leave both to those that they know.
      if (!(newcomer.isOurs || other.isOurs)) continue
      if (wasOffered(newcomer, other) || wasOffered(other, newcomer)) continue
      const hasRoom = newcomer.isShort && newcomer.offered.length + met.length < replyPeers
      if (!hasRoom && !(other.isShort && other.isOurs)) continue
      this.#introduceTo(room, newcomer, other, now)
      this.#introduceTo(room, other, newcomer, now)
      if (hasRoom) met.push(other.item)
      else statements.addOffered(other.item.key, [newcomer.item])
    }
    // Another host may have no use for our wish: if its agent turns out to know us, it is told then.
    if (newcomer.isOurs && met.length > 0) statements.addOffered(newcomer.item.key, met)
  }

  /** Inside the transaction of an agent's letter that another host had told of before: the agent knows us, too. What that
   *  host was to tell it, and perhaps had no use for, it is told by us. */
  introduceToOurs(letter: Pick<RequestLetter, 'room' | 'from'>, now: number): void {
    this.introduce(letter, now)
    const { room, from } = letter
    const { newcomer, others } = this.#partiesOf(room, from, now)
    if (newcomer === null) return
    for (const other of others) {
      if (other.isOurs && wasOffered(other, newcomer) && !wasOffered(newcomer, other))
        this.#introduceTo(room, newcomer, other, now)
    }
  }

  /** The newcomer, null when nothing is known of it, and of those that are offered first all whose answer or its own is young
   *  enough to be completed. */
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
      .filter((other) => now - Math.max(acceptedAt, other.acceptedAt) < lateMs)
      .flatMap((other) => this.#partyOf(room, other.user, now - other.acceptedAt) ?? [])
    return { newcomer, others }
  }

  /** Null when nothing is known that it signed: it asked before this host knew another. */
  #partyOf(room: RoomTag, user: UserId, ageMs: number): Party | null {
    const { statements, relay } = this.#options
    const key = statements.keyOf(room, user)
    const item = statements.find(key)
    const told = statements.get(key)
    if (item === null || told === null) return null
    const isShort = ageMs < lateMs && told.offered.length < this.#context.settings.replyPeers
    return { user, item, offered: told.offered, isShort, isOurs: relay.isKnownTo(room, user) }
  }

  #introduceTo(room: RoomTag, { user: recipient }: Party, { user: asker }: Party, now: number): void {
    const { introductions, relay } = this.#options
    introductions.note(room, relay.introduce(room, [recipient], asker), asker, now)
  }
}

/** In the session that it has now. */
function wasOffered({ offered }: Party, { item }: Party): boolean {
  return offered.some(({ key, version }) => key === item.key && version === item.version)
}
