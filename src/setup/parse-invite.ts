// Reads an invite that a person has pasted.

import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { type Invite, type InviteFault, readInvite, writeInvite } from '../letter/invite.ts'

const complaints: Readonly<Record<InviteFault, readonly [string, string]>> = {
  'not-an-invite': ['holds no invite.', 'An invite begins with peerpost1; copy all of it.'],
  incomplete: ['holds only a part of an invite.', 'Copy it again, to its very end.'],
  typo: ['holds an invite with a typo.', 'Copy it instead of typing it, or ask for a new one.'],
  'unknown-version': ['holds an invite of a newer peerpost.', 'Update peerpost.'],
}

/** Throws a Problem that begins with `where`. `line` is the invite in the form that `writeInvite` writes, for storing. */
export function inviteFrom(
  crypto: Crypto,
  text: string,
  where: string,
): { readonly invite: Invite; readonly line: string } {
  const read = readInvite(crypto, text)
  if (!read.ok) {
    const [complaint, remedy] = complaints[read.fault]
    throw new Problem('invite', `${where} ${complaint}`, remedy)
  }
  return { invite: read.invite, line: writeInvite(crypto, read.invite) }
}
