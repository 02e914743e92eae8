// Why a letter or its mail was refused. The host counts refusals by these words and never answers such a mail.

export type Refusal =
  /** The mail or letter is larger than the limits allow. */
  | 'too-big'
  /** The mail does not have exactly one From with one address, or has no readable text. */
  | 'bad-mail'
  /** The receiving mail server did not confirm the From address. Only if the settings demand that. */
  | 'unauthenticated'
  /** The mail has no armored block. */
  | 'no-letter'
  /** The mail has more than one armored block. */
  | 'several-letters'
  /** The length or the checksum of the block is wrong. */
  | 'mangled'
  /** This program does not know the version. */
  | 'unknown-version'
  /** The letter is sealed to another key. */
  | 'wrong-key'
  /** The letter was opened, but the protocol does not allow its content. */
  | 'malformed'
  /** The signature is not by the sender. */
  | 'unsigned'
  /** The sender signed it for another recipient. */
  | 'misdirected'

/** Also the reasons that need the host's database, its clock or the mail's header. */
export type HostRefusal =
  | Refusal
  /** Its signed time or its Date is too long ago. */
  | 'stale'
  /** Its time is later than our clock by more than the tolerance. */
  | 'from-the-future'
  /** The host has seen the letter before. */
  | 'copy'
  /** From is not the return address that the sender signed. */
  | 'wrong-return-address'
  /** This host does not serve the room, or the proof is wrong. */
  | 'not-a-member'
  /** The sender has the secret of the room, but the room demands an invite that can be revoked. */
  | 'invite-required'
  /** The invite is genuine, but has ended. */
  | 'invite-ended'
  /** The invite is genuine, but was revoked. */
  | 'invite-revoked'
  /** As many different agents as allowed have used the invite. */
  | 'invite-used-up'
  /** The sender is blocked. */
  | 'blocked'
  /** The key, the return address or its domain has sent too many letters. */
  | 'too-often'
  /** Nobody may send this kind of letter to a host. */
  | 'unexpected-kind'
  /** The sender is not in the table. */
  | 'unknown-sender'

export type Refused = { readonly ok: false; readonly refusal: Refusal }

export function refuse(refusal: Refusal): Refused {
  return { ok: false, refusal }
}
