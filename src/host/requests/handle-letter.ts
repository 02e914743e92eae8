// What follows from each kind of letter: the mail it causes, and the changes to the memory; all in its
// transaction.

import { equalBytes } from '../../base/bytes.ts'
import type { FailureLetter, RequestLetter, SignalLetter, UserId } from '../../letter/letter-types.ts'
import type { OutboxMail } from '../../store/outbox.ts'
import type { Entry, NewEntry } from '../../store/peer-table.ts'
import type { HostId } from '../../sync/table-sync.ts'
import type { HostGround, HostParts } from '../context.ts'
import type { DropReason } from '../events.ts'
import { introduceToOurs } from '../late-introductions.ts'
import type { HeldRequest } from '../peer-hosts/standby.ts'
import type { Admission } from './admission-rules.ts'
import { freezeLetter, letterHead } from './compose-letter.ts'
import { offerPeer } from './offer-peer.ts'

export type LetterSource = {
  /** As its agent signed it. */
  readonly signed: Uint8Array
  /** Of the mail it came in, for replies to refer to. */
  readonly messageId: string | null
  /** Hosts that we know and that the same mail went to. */
  readonly asked: readonly HostId[]
}

/** To be called inside the letter's transaction, once its ID is remembered. Null when it was taken, or why it has
 *  no effect. `now` is wall time. */
export function takeLetter(
  parts: HostParts,
  { letter, inviteId }: Extract<Admission, { admitted: true }>,
  source: LetterSource,
  now: number,
): DropReason | null {
  switch (letter.kind) {
    case 'request':
      if (inviteId !== null) parts.invites.use(inviteId, letter.from, now)
      return takeRequest(parts, letter, inviteId, source, now)
    case 'signal':
      return takeSignal(parts, letter, source, now)
    case 'failure':
      return takeFailure(parts, letter, now)
    case 'leave':
      parts.peers.leave(letter.room, letter.from, letter.sentAt)
      parts.peerHosts.noteGoodbye(letter, source.signed, null)
      return null
  }
}

function takeRequest(
  parts: HostParts,
  letter: RequestLetter,
  inviteId: number | null,
  source: LetterSource,
  now: number,
): DropReason | null {
  const { peers, unreachable, peerHosts, settings } = parts
  if (unreachable.has(letter.returnAddress, now)) return 'unreachable'
  const isOurs = isForUs(parts, source)
  const isAnswered = !isOurs && peerHosts.isTold(letter)
  // Before the newest pushes the oldest out.
  const others = peers.recent(letter.room, letter.from, settings.replyPeers, now)
  // A letter that was overtaken by a later one of the same agent is answered, but changes nothing.
  const isNewest = peers.upsert(letter.room, entryOf(letter, inviteId), now) !== 'older'
  if (isOurs) {
    const { room, from } = letter
    const expiresInMs = isNewest ? peers.lifeLeftMs(now, now) : peers.expiresInMs(room, from, now)
    answerRequest(parts, letter, source, { others, isNewest, expiresInMs }, now)
  } else if (isNewest && isAnswered) {
    // Its agent knows us, too: whom only we know it was not offered.
    peerHosts.noteRequest(letter, source.signed)
    introduceToOurs(parts, peerHosts, letter, now)
  } else if (isNewest) {
    peerHosts.hold({ letter, ...source }, source.asked)
  }
  return null
}

/** Also while we stand by, where no other host can do it: its agent knows us alone. */
export function isForUs({ peerHosts }: HostParts, { asked }: Pick<LetterSource, 'asked'>): boolean {
  return peerHosts.standby.isAwake || asked.length === 0
}

/** Of a host that stood by: requests that no other one answered. */
export function answerHeld(parts: HostParts, held: readonly HeldRequest[], now: number): void {
  for (const { letter, ...source } of held) {
    const { peers, settings } = parts
    const entry = peers.find(letter.room, letter.from, now)
    if (!entry || !equalBytes(entry.session.id, letter.session.id)) continue
    const others = peers.recent(letter.room, letter.from, settings.replyPeers, now)
    const expiresInMs = peers.lifeLeftMs(entry.acceptedAt, now)
    answerRequest(parts, letter, source, { others, isNewest: true, expiresInMs }, now)
  }
}

function answerRequest(
  parts: HostParts,
  letter: RequestLetter,
  { signed, messageId }: Pick<LetterSource, 'signed' | 'messageId'>,
  {
    others,
    isNewest,
    expiresInMs,
  }: { readonly others: readonly Entry[]; readonly isNewest: boolean; readonly expiresInMs: number },
  now: number,
): void {
  const { introductions, settings, peerHosts } = parts
  const { room, from } = letter
  const frozen = freezeLetter(
    parts,
    {
      ...letterHead(parts, from),
      kind: 'reply',
      sessionId: letter.session.id,
      expiresInMs,
      peers: others.map((other) =>
        offerPeer(flagUnreachable(parts, other, now), letter, settings.natPrefix, now),
      ),
    },
    { returnAddress: letter.returnAddress, sessionKey: letter.session.publicKey },
    messageId,
  )
  addReply(parts, frozen, letter, now)
  if (isNewest) {
    // What the reply tells the asker need not be told again; what it tells of others, those must learn.
    const offered = others.map(({ user }) => user)
    const items = peerHosts.itemsOf(room, offered)
    peerHosts.noteRequest(letter, signed, { isAnsweredHere: true, offered: items })
    introductions.settle(room, from, offered)
    introductions.note(room, peerHosts.relaying.introduce(room, offered, from), from, now)
  }
}

/** While nothing can be sent the latest of an agent's replies is enough: each one that waited would cost the budget of
 *  the next day. */
function addReply(
  { outbox, budget }: HostParts,
  reply: OutboxMail,
  { from, sentAt }: RequestLetter,
  now: number,
): void {
  if (budget.state(now) === 'used-up') outbox.addLatest(reply, now, from, sentAt)
  else outbox.add(reply, now, from, sentAt)
}

/** Relayed unread: the box is sealed from agent to agent, only what is around it is made anew. */
function takeSignal(
  parts: HostParts,
  letter: SignalLetter,
  source: LetterSource,
  now: number,
): DropReason | null {
  const recipient = findPeer(parts, letter, now)
  if (recipient === null) return 'unknown-peer'
  // The host that is awake has it, too.
  if (!isForUs(parts, source)) return null
  if (parts.peerHosts.relaying.passOn(letter)) return null
  return relaySignal(parts, recipient, letter, letter.from, now)
}

/** `origin`: the agent that sealed the box. */
export function relaySignal(
  parts: HostGround,
  recipient: Entry,
  { room, box }: SignalLetter,
  origin: UserId,
  now: number,
): DropReason | null {
  if (parts.unreachable.has(recipient.returnAddress, now)) return 'unreachable'
  const frozen = freezeLetter(
    parts,
    { ...letterHead(parts, recipient.user), kind: 'signal', room, peer: origin, box },
    { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
  )
  parts.outbox.add(frozen, now)
  return null
}

function takeFailure(parts: HostParts, letter: FailureLetter, now: number): DropReason | null {
  if (findPeer(parts, letter, now) === null) return 'unknown-peer'
  parts.peers.flag(letter.room, letter.peer)
  parts.peerHosts.noteFlag(letter.room, letter.peer)
  return null
}

/** Who gets no mail will hardly be met: to others that is as if somebody had failed to reach it. */
export function flagUnreachable({ unreachable }: HostParts, entry: Entry, now: number): Entry {
  return !entry.flagged && unreachable.has(entry.returnAddress, now) ? { ...entry, flagged: true } : entry
}

/** The living entry of whom the letter speaks of, never its own sender's. */
function findPeer(
  parts: HostParts,
  { room, peer, from }: SignalLetter | FailureLetter,
  now: number,
): Entry | null {
  return equalBytes(peer, from) ? null : parts.peers.find(room, peer, now)
}

export function entryOf(letter: RequestLetter, inviteId: number | null): NewEntry {
  const { from, nickname, session, returnAddress, candidates, tcpCandidates, nat, sentAt } = letter
  return {
    ...{ user: from, nickname, session, returnAddress, candidates, nat, sentAt, inviteId },
    ...(tcpCandidates && { tcpCandidates }),
  }
}
