// What follows from each kind of letter: the mail it causes, made beforehand, and the changes to the memory, made
// in its transaction.

import { equalBytes } from '../base/bytes.ts'
import type { FailureLetter, LeaveLetter, RequestLetter, SignalLetter } from '../letter/kinds.ts'
import type { AgentLetter } from '../table/admission.ts'
import type { Entry, NewEntry } from '../table/peer-table.ts'
import { offerPeer } from '../table/selection.ts'
import type { DropReason } from './events.ts'
import type { Outlook } from './outlook.ts'
import { type HostParts, withDatabase } from './parts.ts'
import { freezeLetter, letterHead } from './writer.ts'

export type Plan = {
  readonly letter: AgentLetter
  /** To be called inside the letter's transaction, once its ID is remembered. */
  readonly consequences: () => void
}

export type Planning =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly reason: DropReason }

/** `messageId` is the mail's, for replies to refer to. */
export function planLetter(
  parts: HostParts,
  outlook: Outlook,
  letter: AgentLetter,
  messageId: string | null,
): Promise<Planning> {
  switch (letter.kind) {
    case 'request':
      return planRequest(parts, outlook, letter, messageId)
    case 'signal':
      return planSignal(parts, letter)
    case 'failure':
      return planFailure(parts, letter)
    case 'leave':
      return planLeave(parts, letter)
  }
}

async function planRequest(
  parts: HostParts,
  outlook: Outlook,
  letter: RequestLetter,
  messageId: string | null,
): Promise<Planning> {
  const { peers, outbox, introductions, settings, database } = parts
  const { room, from } = letter
  const now = parts.clock.wallNow()
  const entry = entryOf(letter)
  const { others, kept } = withDatabase(database, () => ({
    others: outlook.recent(room, from, settings.replyPeers, now),
    kept: outlook.upsert(room, entry, now),
  }))
  const frozen = await freezeLetter(
    parts,
    {
      ...letterHead(parts, from),
      kind: 'reply',
      sessionId: letter.session.id,
      expiresInMs: peers.expiresInMs(kept, now),
      peers: others.map((other) => offerPeer(other, letter, settings.natPrefix, now)),
    },
    { returnAddress: letter.returnAddress, sessionKey: letter.session.publicKey },
    messageId,
  )
  return planned(letter, () => {
    outbox.add(frozen, now)
    // A letter that was overtaken by a later one of the same agent is answered, but changes nothing.
    if (peers.upsert(room, entry, now) === 'older') return
    // What the reply tells the asker need not be told again; what it tells of others, those must learn.
    const offered = others.map(({ user }) => user)
    introductions.settle(room, from, offered)
    introductions.note(room, offered, from, now)
  })
}

/** Relayed unread: the box is sealed from agent to agent, only what is around it is made anew. */
async function planSignal(parts: HostParts, letter: SignalLetter): Promise<Planning> {
  const recipient = findPeer(parts, letter)
  if (recipient === null) return { ok: false, reason: 'unknown-peer' }
  const { room, peer, from, box } = letter
  const frozen = await freezeLetter(
    parts,
    { ...letterHead(parts, peer), kind: 'signal', room, peer: from, box },
    { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
  )
  return planned(letter, () => parts.outbox.add(frozen, parts.clock.wallNow()))
}

async function planFailure(parts: HostParts, letter: FailureLetter): Promise<Planning> {
  if (findPeer(parts, letter) === null) return { ok: false, reason: 'unknown-peer' }
  return planned(letter, () => parts.peers.flag(letter.room, letter.peer))
}

async function planLeave(parts: HostParts, letter: LeaveLetter): Promise<Planning> {
  return planned(letter, () => parts.peers.leave(letter.room, letter.from, letter.sentAt))
}

function planned(letter: AgentLetter, consequences: () => void): Planning {
  return { ok: true, plan: { letter, consequences } }
}

/** The living entry of whom the letter speaks of, never its own sender's. */
function findPeer(parts: HostParts, { room, peer, from }: SignalLetter | FailureLetter): Entry | null {
  if (equalBytes(peer, from)) return null
  return withDatabase(parts.database, () => parts.peers.find(room, peer, parts.clock.wallNow()))
}

function entryOf(letter: RequestLetter): NewEntry {
  const { from, nickname, session, returnAddress, candidates, nat, sentAt } = letter
  return { user: from, nickname, session, returnAddress, candidates, nat, sentAt }
}
