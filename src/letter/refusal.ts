// Why a letter, or the mail it came in, was not taken. The host counts by these words; none is ever answered.

export type Refusal =
  /** The mail is larger than any letter can be. */
  | 'too-big'
  /** Not exactly one From with one address, or no readable text at all. */
  | 'bad-mail'
  /** The border's mail server did not find that it comes from where its From says, where the config asks for that. */
  | 'unauthenticated'
  /** No armored block in it. */
  | 'no-letter'
  /** More than one armored block. */
  | 'several-letters'
  /** A block whose length or checksum does not fit. */
  | 'mangled'
  /** A version this program does not speak. */
  | 'unknown-version'
  /** Sealed for somebody else. */
  | 'wrong-key'
  /** Opened, but its content is not what the protocol allows. */
  | 'malformed'
  /** The signature is not the sender's. */
  | 'unsigned'
  /** Signed for another recipient. */
  | 'misdirected'

/** What the host finds only with its memory, its clock and the mail's header at hand. */
export type HostRefusal =
  | Refusal
  /** Older than the freshness window, by its signed time or its Date. */
  | 'stale'
  /** Later than the clock by more than the tolerance. */
  | 'from-the-future'
  /** Seen before. */
  | 'copy'
  /** From is not the return address the sender signed. */
  | 'wrong-return-address'
  /** A room this host does not serve, or a proof that does not hold. */
  | 'not-a-member'
  /** Proven by the room's secret, but the room wants an invite that can be revoked. */
  | 'invite-required'
  /** By an invite that is genuine, and over. */
  | 'invite-ended'
  | 'invite-revoked'
  /** As many different agents came by it as may. */
  | 'invite-used-up'
  /** Its sender is blocked. */
  | 'blocked'
  /** More letters than a key, a return address or its domain may send. */
  | 'too-often'
  /** A kind that nobody may send to a host. */
  | 'unexpected-kind'
  /** Its sender is not in the table. */
  | 'unknown-sender'

export type Refused = { readonly ok: false; readonly refusal: Refusal }

export function refuse(refusal: Refusal): Refused {
  return { ok: false, refusal }
}
