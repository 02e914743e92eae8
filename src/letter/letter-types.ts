// The kinds of letter and their fields. letter-codec.ts encodes them, letter-schema.ts checks them.

import type { Candidate } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'

/** Ed25519 public key of a user, 32 bytes. */
export type UserId = Uint8Array
/** Random, 16 bytes. */
export type LetterId = Uint8Array
/** Random, 16 bytes. A reply must contain the session ID of its request (A11). */
export type SessionId = Uint8Array
/** Ed25519 public key derived from the room's secret, 32 bytes. A host knows a room only by its tag. */
export type RoomTag = Uint8Array

type Base = {
  readonly from: UserId
  /** The host or agent that shall read the letter. */
  readonly to: UserId
  readonly id: LetterId
  /** Unix milliseconds by the sender's clock. */
  readonly sentAt: number
}

/** The session of one request: its ID and a new X25519 public key. */
export type Session = { readonly id: SessionId; readonly publicKey: Uint8Array }

/** The terms of an invite, signed by the host that made it. */
export type Grant = {
  /** Ed25519 public key of the invite, 32 bytes. Only the invite has the secret key. */
  readonly key: Uint8Array
  /** The host that made the invite. */
  readonly host: UserId
  /** Unix ms at which the invite ends. If left out, it does not end. */
  readonly until?: number
  /** How many different agents may use it. If left out, any number. */
  readonly uses?: number
  /** The host's signature over the room and all fields above. */
  readonly signature: Uint8Array
}

/** The host that made an invite signed that the invite is revoked. Hosts send this to each other (A13). */
export type Revocation = {
  /** Public key of the invite, as in its grant. */
  readonly key: Uint8Array
  /** The host that made the invite. */
  readonly host: UserId
  /** When it was revoked, Unix ms. */
  readonly at: number
  /** When the invite itself ends, Unix ms. After that nobody needs the revocation. */
  readonly until?: number
  readonly signature: Uint8Array
}

/** An agent asks for peers and offers itself (A1). */
export type RequestLetter = Base & {
  readonly kind: 'request'
  readonly session: Session
  /** Mail address for the reply. Must equal the mail's From. */
  readonly returnAddress: string
  readonly nickname: string
  readonly room: RoomTag
  /** Signature over sender, recipient, letter ID and session: by the key of `grant`, or else by the key of the room. */
  readonly proof: Uint8Array
  /** The grant in the sender's invite. Left out if the sender has the room's secret. */
  readonly grant?: Grant
  readonly candidates: readonly Candidate[]
  /** TCP candidates (A7): ports that listen, and as `server-reflexive` a port that only opens connections. Left out if the
   *  agent takes no TCP. */
  readonly tcpCandidates?: readonly Candidate[]
  readonly nat: NatProfile
}

/** A peer in a reply or an introduction. It has no mail address (A5). */
export type OfferedPeer = {
  readonly id: UserId
  readonly nickname: string
  readonly session: Session
  readonly candidates: readonly Candidate[]
  /** As in its request. Private addresses of kind `host` are included only behind the same NAT. */
  readonly tcpCandidates?: readonly Candidate[]
  readonly nat: NatProfile
  /** Whether both are behind the same NAT (B1). Only then host candidates are included. */
  readonly sameNat: boolean
  /** Another agent failed to reach it lately (A8). */
  readonly flagged: boolean
  /** Milliseconds since its last request. */
  readonly ageMs: number
}

/** The host's answer to a request. The most recent peers come first; there may be none (A5). */
export type ReplyLetter = Base & {
  readonly kind: 'reply'
  /** The session ID of the request. A reply with another one is a forgery. */
  readonly sessionId: SessionId
  /** Milliseconds until the entry leaves the table. The agent sends its next request before that. */
  readonly expiresInMs: number
  readonly peers: readonly OfferedPeer[]
  /** Set if the host refused the request. Then `peers` is empty. */
  readonly decline?: { readonly reason: string; readonly againInMs: number }
}

/** The host sends an agent the peers that were just offered this agent, so that both sides punch (C2). */
export type IntroductionLetter = Base & {
  readonly kind: 'introduction'
  /** The session ID of the recipient's latest request. */
  readonly sessionId: SessionId
  readonly peers: readonly OfferedPeer[]
}

/** A message between two agents. The host relays it and cannot read it. */
export type SignalLetter = Base & {
  readonly kind: 'signal'
  readonly room: RoomTag
  /** In a letter to the host: the recipient of the box. In a letter from the host: the sender of the box. */
  readonly peer: UserId
  /** Only between hosts: the agent that sealed the box, and how many hosts may still relay it. `peer` is the recipient. */
  readonly relay?: { readonly origin: UserId; readonly hopsLeft: number }
  /** Sealed by one agent for the other: see seal-signal.ts. */
  readonly box: Uint8Array
}

export type FailureReason = 'no-answer' | 'no-way' | 'refused' | 'lost'

/** The agent could not reach a peer that it was offered (A8). */
export type FailureLetter = Base & {
  readonly kind: 'failure'
  readonly room: RoomTag
  readonly peer: UserId
  readonly reason: FailureReason
}

/** The agent leaves the room, so the host removes its entry. */
export type LeaveLetter = Base & { readonly kind: 'leave'; readonly room: RoomTag }

/** One step of comparing the tables of two hosts. Any of the fields may be set. */
export type Comparison = {
  /** The hashes of all groups of entries. */
  readonly groups?: Uint8Array
  /** The hashes of all leaves of some groups. */
  readonly leaves?: readonly { readonly group: number; readonly hashes: Uint8Array }[]
  /** All items of some ranges of leaves; `first` and `last` are included. */
  readonly items?: readonly { readonly first: number; readonly last: number; readonly items: Uint8Array }[]
  /** Keys of the entries that the sender wants. */
  readonly want?: Uint8Array
  /** The sender's table is empty, and it wants the newest entries. */
  readonly newest?: boolean
}

/** A host compares its table with another's (A13). */
export type TableRequestLetter = Base & { readonly kind: 'table-request'; readonly comparison: Comparison }

/** A request or leave letter that an agent signed. A host can pass it on, but cannot forge it. */
export type Statement = {
  /** Body and signature as `signLetter` frames them. */
  readonly signed: Uint8Array
  /** Another agent failed to reach its agent since. */
  readonly flagged: boolean
  /** Milliseconds since a host accepted it. An age, because the clocks of hosts differ. */
  readonly ageMs: number
  /** The peers that its agent was offered, as items of a comparison. A host that knows more peers can introduce those. Left
   *  out if the request is not recent. */
  readonly offered?: Uint8Array
}

/** The agent `requester` was offered `recipient`. The host that gets this introduces `requester` to `recipient` (C2). */
export type IntroductionRequest = {
  readonly room: RoomTag
  readonly requester: UserId
  readonly recipient: UserId
  /** How many hosts may still relay it. */
  readonly hopsLeft: number
}

/** Entries of a host's table, for another host (A13). */
export type TableLetter = Base & {
  readonly kind: 'table'
  readonly statements: readonly Statement[]
  readonly introduce: readonly IntroductionRequest[]
  /** Left out if there are none. */
  readonly revoked?: readonly Revocation[]
}

/** A representative host forwards the letters of one mail to a worker (A14). The letters are in the same mail, still
 *  sealed. This letter says where they came from. */
export type ForwardLetter = Base & {
  readonly kind: 'forward'
  /** The mail's only From address. */
  readonly mailFrom: string
  /** The mail's Date as Unix ms. Left out if it has none. */
  readonly mailDate?: number
  /** The mail's Message-ID with angle brackets. Left out if it has none. */
  readonly messageId?: string
  /** BLAKE2b hash, 32 bytes, of the joined boxes. */
  readonly boxes: Uint8Array
}

/** A worker confirms forward letters to its representative. With no IDs it only shows that the worker runs. */
export type TakenLetter = Base & {
  readonly kind: 'taken'
  /** IDs of forward letters, 16 bytes each, joined. */
  readonly ids: Uint8Array
  /** IDs, joined likewise, of forward letters that the worker found after a downtime and did not handle. The representative
   *  sends them again, unless another worker has them by now. Left out if there are none. */
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
