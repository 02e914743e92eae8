// The kinds of letter and their fields, as the program sees them. Encoding, limits and checks live beside.

import type { Candidate } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'

/** Ed25519 public key, 32 bytes: who somebody is. */
export type UserId = Uint8Array
/** Random, 16 bytes. */
export type LetterId = Uint8Array
/** Random, 16 bytes: what a reply must bring back (A11). */
export type SessionId = Uint8Array
/** Ed25519 public key derived from the room's secret, 32 bytes: all a host knows of a room. */
export type RoomTag = Uint8Array

type Base = {
  readonly from: UserId
  /** Identity of the host or agent it is meant for. */
  readonly to: UserId
  readonly id: LetterId
  /** Unix milliseconds by the sender's clock. */
  readonly sentAt: number
}

/** One request's session: its ID and a fresh X25519 public key. */
export type Session = { readonly id: SessionId; readonly publicKey: Uint8Array }

/** What a host signed when it made an invite, so that a genuine one can be told, and one invite from another. */
export type Grant = {
  /** Ed25519 public key of the invite, 32 bytes; the secret half is in the invite only. */
  readonly key: Uint8Array
  /** The host that made the invite. */
  readonly host: UserId
  /** Unix ms from which on the invite is worth nothing; no end when left out. */
  readonly until?: number
  /** How many different agents may come by it; any number when left out. */
  readonly uses?: number
  /** By the host, over the room and all of the above. */
  readonly signature: Uint8Array
}

/** Whoever made an invite signed that nobody comes by it any more, so that other hosts can be told (A13). */
export type Revocation = {
  /** Of the invite, as in its grant. */
  readonly key: Uint8Array
  /** The host that made it. */
  readonly host: UserId
  /** Unix ms. */
  readonly at: number
  /** The invite's own end, after which nobody needs to know any more. */
  readonly until?: number
  readonly signature: Uint8Array
}

/** An agent asks for peers and offers itself (A1). */
export type RequestLetter = Base & {
  readonly kind: 'request'
  readonly session: Session
  /** Where the reply goes; must equal the mail's From. */
  readonly returnAddress: string
  readonly nickname: string
  readonly room: RoomTag
  /** Signature over sender, recipient, letter ID and session, by the key of `grant`; without one by the room's own. */
  readonly proof: Uint8Array
  /** Of the invite that the sender holds; left out by who holds the room's secret. */
  readonly grant?: Grant
  readonly candidates: readonly Candidate[]
  /** Where it takes TCP (A7): listening ports, and under `server-reflexive` a port that only opens connections. Left out
   *  where it takes none. */
  readonly tcpCandidates?: readonly Candidate[]
  readonly nat: NatProfile
}

/** A peer as a reply or an introduction offers it. No mail address in it (A5). */
export type OfferedPeer = {
  readonly id: UserId
  readonly nickname: string
  readonly session: Session
  readonly candidates: readonly Candidate[]
  /** As in its request; of kind `host` with private addresses only behind the same NAT. */
  readonly tcpCandidates?: readonly Candidate[]
  readonly nat: NatProfile
  /** The one bit of B1: both behind the same NAT. Host candidates are present only then. */
  readonly sameNat: boolean
  /** Somebody failed to reach it lately (A8). */
  readonly flagged: boolean
  /** Milliseconds since it last asked. */
  readonly ageMs: number
}

/** The host's answer to a request: most recent others first, perhaps none (A5). */
export type ReplyLetter = Base & {
  readonly kind: 'reply'
  /** From the request; otherwise the reply is a forgery. */
  readonly sessionId: SessionId
  /** How long the entry will stay in the table, so that the agent knows when to ask again. */
  readonly expiresInMs: number
  readonly peers: readonly OfferedPeer[]
  /** The request was not granted; there are no peers then. */
  readonly decline?: { readonly reason: string; readonly againInMs: number }
}

/** The host tells an agent who was just offered its address, so that both punch (C2). */
export type IntroductionLetter = Base & {
  readonly kind: 'introduction'
  /** Of the recipient's own latest request. */
  readonly sessionId: SessionId
  readonly peers: readonly OfferedPeer[]
}

/** Something between two agents that the host relays unread. */
export type SignalLetter = Base & {
  readonly kind: 'signal'
  readonly room: RoomTag
  /** To the host: whom it is for. From the host: whom it is from. */
  readonly peer: UserId
  /** Between hosts: the agent that sealed the box, `peer` being whom it is for, and how many may still pass it on. */
  readonly relay?: { readonly origin: UserId; readonly hopsLeft: number }
  /** Sealed by one agent for the other. */
  readonly box: Uint8Array
}

export type FailureReason = 'no-answer' | 'no-way' | 'refused' | 'lost'

/** The agent could not reach a peer it was offered (A8). */
export type FailureLetter = Base & {
  readonly kind: 'failure'
  readonly room: RoomTag
  readonly peer: UserId
  readonly reason: FailureReason
}

/** The agent is going away; its entry may be removed. */
export type LeaveLetter = Base & { readonly kind: 'leave'; readonly room: RoomTag }

/** What one host tells another of its table, so that both learn where the two differ: any of these. */
export type Comparison = {
  /** Prints of all groups of entries. */
  readonly groups?: Uint8Array
  /** Prints of all leaves of some groups. */
  readonly leaves?: readonly { readonly group: number; readonly prints: Uint8Array }[]
  /** All items of some ranges of leaves, both ends included. */
  readonly items?: readonly { readonly first: number; readonly last: number; readonly items: Uint8Array }[]
  /** Keys of entries that are asked for. */
  readonly want?: Uint8Array
  /** The table is empty: the newest entries are asked for. */
  readonly newest?: boolean
}

/** A host compares its table with another's (A13). */
export type TableRequestLetter = Base & { readonly kind: 'table-request'; readonly comparison: Comparison }

/** What an agent itself signed, so that a host cannot invent it: a request, or that it leaves. */
export type Statement = {
  /** Body and signature as `signLetter` frames them. */
  readonly signed: Uint8Array
  /** Somebody failed to reach it since. */
  readonly flagged: boolean
  /** Milliseconds since a host took it: hosts' clocks may be apart. */
  readonly ageMs: number
  /** Whom its agent was offered, as items of a comparison: others that a reader knows it was not told of. Left out of what
   *  was not asked lately. */
  readonly offered?: Uint8Array
}

/** The agent `asker` was offered `recipient`, whom the host this is sent to can tell of it (C2). */
export type IntroductionWish = {
  readonly room: RoomTag
  readonly asker: UserId
  readonly recipient: UserId
  /** Hosts that may still pass it on. */
  readonly hopsLeft: number
}

/** Parts of a host's table, for another host (A13). */
export type TableLetter = Base & {
  readonly kind: 'table'
  readonly statements: readonly Statement[]
  readonly introduce: readonly IntroductionWish[]
  /** Left out where there are none. */
  readonly revoked?: readonly Revocation[]
}

/** The letters in a mail that came to a representative host, for one of its workers (A14). They stand sealed in the same
 *  mail; this says where they came from. */
export type ForwardLetter = Base & {
  readonly kind: 'forward'
  /** The mail's only From address. */
  readonly mailFrom: string
  /** The mail's Date as Unix ms; left out when it has none. */
  readonly mailDate?: number
  /** With angle brackets; left out when it has none. */
  readonly messageId?: string
  /** BLAKE2b, 32 bytes, of the boxes one after the other. */
  readonly boxes: Uint8Array
}

/** A worker tells its representative which forwards it took. Without any it is a sign of life. */
export type TakenLetter = Base & {
  readonly kind: 'taken'
  /** IDs of forward letters, 16 bytes each, joined. */
  readonly ids: Uint8Array
  /** Likewise: found after it was away and not taken, so to be sent again unless another worker has them by now. Left out
   *  where there are none. */
  readonly wanted?: Uint8Array
}

export type Letter =
  | RequestLetter
  | ReplyLetter
  | IntroductionLetter
  | SignalLetter
  | FailureLetter
  | LeaveLetter
  | TableRequestLetter
  | TableLetter
  | ForwardLetter
  | TakenLetter

export type LetterKind = Letter['kind']
