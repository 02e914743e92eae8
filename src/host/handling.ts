// What is done with one mail: read, admitted, and either dropped under a reason or turned into one commit that
// holds everything that follows from it (design §5).

import { equalBytes } from '../base/bytes.ts'
import type { FailureLetter, LeaveLetter, LetterKind, RequestLetter, SignalLetter } from '../letter/kinds.ts'
import { limits } from '../letter/limits.ts'
import { readLetter } from '../letter/mail-text.ts'
import { checkProof } from '../letter/room.ts'
import type { FetchedMail } from '../mail/mailbox.ts'
import { type ReadMail, readMail } from '../mail/mime-reader.ts'
import { type AgentLetter, admit } from '../table/admission.ts'
import type { Entry, NewEntry } from '../table/peer-table.ts'
import { offerPeer } from '../table/selection.ts'
import type { DropReason } from './events.ts'
import { type HostParts, withDatabase } from './parts.ts'
import { freezeLetter, letterHead } from './writer.ts'

/** When this is returned, whatever the letter asks for is on disk, or nothing of it; the mail can go. */
export type Handled =
  | { readonly outcome: 'accepted'; readonly kind: LetterKind }
  | { readonly outcome: 'dropped'; readonly kind: LetterKind | 'unknown'; readonly reason: DropReason }

/** Rejects with a Problem 'database' when the letter must stay where it is; with anything else when this one
 *  letter is beyond us. */
export async function handleMail(parts: HostParts, fetched: FetchedMail): Promise<Handled> {
  const { self, crypto } = parts
  if (fetched.raw === null) return { outcome: 'dropped', kind: 'unknown', reason: 'too-big' }
  const read = await readMail(fetched.raw, limits.mailBytes)
  if (!read.ok) return { outcome: 'dropped', kind: 'unknown', reason: read.refusal }
  const keys = { identity: self.identity.publicKey, keyPairs: [self.sealingKeys] }
  const opened = readLetter(crypto, read.mail.text, keys)
  if (!opened.ok) return { outcome: 'dropped', kind: 'unknown', reason: opened.refusal }
  const { kind } = opened.letter
  const admission = withDatabase(parts.database, () =>
    admit(
      {
        letter: opened.letter,
        mailFrom: read.mail.from,
        mailDate: read.mail.date,
        wallNow: parts.clock.wallNow(),
        forgottenUntil: parts.seen.forgottenUntil,
        rooms: self.rooms,
        isSeen: ({ from, id }) => parts.seen.has(from, id),
        isProven: (letter) => checkProof(crypto, letter),
        isKnown: ({ room, from }) => parts.peers.find(room, from, parts.clock.wallNow()) !== null,
      },
      parts.settings,
    ),
  )
  const reason = admission.admitted ? await take(parts, admission.letter, read.mail) : admission.reason
  return reason === null ? { outcome: 'accepted', kind } : { outcome: 'dropped', kind, reason }
}

/** Null when it was taken. */
function take(parts: HostParts, letter: AgentLetter, mail: ReadMail): Promise<DropReason | null> {
  switch (letter.kind) {
    case 'request':
      return takeRequest(parts, letter, mail)
    case 'signal':
      return takeSignal(parts, letter)
    case 'failure':
      return takeFailure(parts, letter)
    case 'leave':
      return takeLeave(parts, letter)
  }
}

async function takeRequest(
  parts: HostParts,
  letter: RequestLetter,
  mail: ReadMail,
): Promise<DropReason | null> {
  const { peers, outbox, introductions, settings } = parts
  const { room, from } = letter
  const now = parts.clock.wallNow()
  const { present, others } = withDatabase(parts.database, () => ({
    present: peers.find(room, from, now),
    others: peers.recent(room, from, settings.replyPeers, now),
  }))
  const entry = entryOf(letter)
  // A letter that was overtaken by a later one of the same agent is answered, but changes nothing.
  const kept: Entry =
    present !== null && present.sentAt > letter.sentAt
      ? present
      : { ...entry, flagged: false, acceptedAt: now }
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
    mail.messageId,
  )
  return commit(parts, letter, () => {
    outbox.add(frozen, now)
    if (peers.upsert(room, entry, now) === 'older') return
    // What the reply tells the asker need not be told again; what it tells of others, those must learn.
    const offered = others.map(({ user }) => user)
    introductions.settle(room, from, offered)
    for (const other of offered) introductions.note(room, other, from, now)
  })
}

/** Relayed unread: the box is sealed from agent to agent, only what is around it is made anew. */
async function takeSignal(parts: HostParts, letter: SignalLetter): Promise<DropReason | null> {
  const recipient = findPeer(parts, letter)
  if (recipient === null) return 'unknown-peer'
  const frozen = await freezeLetter(
    parts,
    {
      ...letterHead(parts, letter.peer),
      kind: 'signal',
      room: letter.room,
      peer: letter.from,
      box: letter.box,
    },
    { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
  )
  return commit(parts, letter, () => parts.outbox.add(frozen, parts.clock.wallNow()))
}

async function takeFailure(parts: HostParts, letter: FailureLetter): Promise<DropReason | null> {
  if (findPeer(parts, letter) === null) return 'unknown-peer'
  return commit(parts, letter, () => parts.peers.flag(letter.room, letter.peer))
}

async function takeLeave(parts: HostParts, letter: LeaveLetter): Promise<DropReason | null> {
  return commit(parts, letter, () => parts.peers.leave(letter.room, letter.from, letter.sentAt))
}

/** The living entry of whom the letter speaks of, never its own sender's. */
function findPeer(parts: HostParts, { room, peer, from }: SignalLetter | FailureLetter): Entry | null {
  if (equalBytes(peer, from)) return null
  return withDatabase(parts.database, () => parts.peers.find(room, peer, parts.clock.wallNow()))
}

/** The one transaction of a letter: its ID and all its consequences, or none of them. */
function commit(parts: HostParts, letter: AgentLetter, consequences: () => void): DropReason | null {
  const { database, seen } = parts
  return withDatabase(database, () =>
    database.transaction(() => {
      if (!seen.remember(letter.from, letter.id, letter.sentAt)) return 'copy'
      consequences()
      return null
    }),
  )
}

function entryOf(letter: RequestLetter): NewEntry {
  return {
    user: letter.from,
    nickname: letter.nickname,
    session: letter.session,
    returnAddress: letter.returnAddress,
    candidates: letter.candidates,
    nat: letter.nat,
    sentAt: letter.sentAt,
  }
}
