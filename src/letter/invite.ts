// An invite is one word of text. It holds all that an agent needs to find its host and to prove that it was invited.
// The content is CBOR.

import { z } from 'zod'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { compactText, readWord, writeWord } from './checksummed-text.ts'
import { boxKey, bytesOf, grantedTerms, grantFields } from './letter-schema.ts'
import type { UserId } from './letter-types.ts'
import { limits } from './limits.ts'
import type { Pass } from './room-membership.ts'
import { isHostAndPort, isMailAddress, isRoomName, isSubject } from './text-validation.ts'

export const defaultSubject = 'data for network game client'

export type InviteHost = {
  readonly address: string
  readonly identity: UserId
  /** X25519: requests to this host are sealed to it. */
  readonly sealingKey: Uint8Array
}

export type Invite = {
  readonly host: InviteHost
  /** The invite has either the secret of the room, or a pass that the host made and can revoke. */
  readonly room: { readonly name: string } & ({ readonly secret: Uint8Array } | { readonly pass: Pass })
  /** `name:port`, `1.2.3.4:port` or `[::1]:port`; at most 8. */
  readonly stunServers: readonly string[]
  /** May be empty; at most 8. */
  readonly otherHosts: readonly InviteHost[]
  /** The subject of all mails between agents and hosts. `defaultSubject` is not written into the invite. */
  readonly subject: string
}

/**
 * `incomplete`: shorter than its length field says. `typo`: complete, but a character is wrong. If the length field
 * itself is damaged, one can be reported as the other. `not-an-invite`: also if the content is not valid.
 */
export type InviteFault = 'not-an-invite' | 'incomplete' | 'typo' | 'unknown-version'

type InviteReading =
  | { readonly ok: true; readonly invite: Invite }
  | { readonly ok: false; readonly fault: InviteFault }

const prefix = 'peerpost1'

/** The wire fields of a host, in invites and host cards. */
export const hostFields = {
  address: z.string().refine(isMailAddress),
  identity: bytesOf(32),
  sealing: boxKey(),
}
const hostSchema = z
  .object(hostFields)
  .transform(({ address, identity, sealing }): InviteHost => ({ address, identity, sealingKey: sealing }))

const wireSchema = z.object({
  ...hostFields,
  room: z.string().refine(isRoomName),
  secret: bytesOf(32).optional(),
  pass: z.object({ ...grantFields, tag: bytesOf(32), links: bytesOf(32), seed: bytesOf(32) }).optional(),
  stun: z.array(z.string().refine(isHostAndPort)).max(limits.inviteStunServers),
  hosts: z.array(hostSchema).max(limits.inviteHosts),
  subject: z.string().refine(isSubject).default(defaultSubject),
})

type Wire = z.infer<typeof wireSchema>

/** Null unless it has exactly one of secret and pass. */
function inviteOf(crypto: Crypto, wire: Wire): Invite | null {
  const { room: name, secret, pass } = wire
  if (secret && pass) return null
  const room = pass ? { name, pass: passOf(crypto, pass, wire.identity) } : secret && { name, secret }
  if (!room) return null
  return {
    host: { address: wire.address, identity: wire.identity, sealingKey: wire.sealing },
    room,
    stunServers: wire.stun,
    otherHosts: wire.hosts,
    subject: wire.subject,
  }
}

/** The grant's key and host are not in the text, to keep it short. They follow from the seed and the host. */
function passOf(crypto: Crypto, wire: NonNullable<Wire['pass']>, host: UserId): Pass {
  const { tag, links, seed, ...terms } = wire
  const { publicKey: key } = crypto.signKeyPair(seed)
  return { tag, linkSecret: links, seed, grant: { key, host, ...grantedTerms(terms) } }
}

function passToWire({ tag, linkSecret, seed, grant: { until, uses, signature } }: Pass) {
  return {
    tag,
    links: linkSecret,
    seed,
    sig: signature,
    ...(until !== undefined && { until }),
    ...(uses !== undefined && { uses }),
  }
}

export function hostToWire({ address, identity, sealingKey }: InviteHost) {
  return { address, identity, sealing: sealingKey }
}

/** One word of lower-case letters and digits. Throws a Problem (`invite`) if a field exceeds its limits. */
export function writeInvite(crypto: Crypto, invite: Invite): string {
  const wire = {
    ...hostToWire(invite.host),
    room: invite.room.name,
    ...('pass' in invite.room ? { pass: passToWire(invite.room.pass) } : { secret: invite.room.secret }),
    stun: invite.stunServers,
    hosts: invite.otherHosts.map(hostToWire),
    ...(invite.subject === defaultSubject ? {} : { subject: invite.subject }),
  }
  const checked = wireSchema.safeParse(wire)
  if (!checked.success) {
    const field = checked.error.issues[0]?.path.join('.')
    throw new Problem('invite', `An invite cannot hold this ${field}.`, 'Correct it in the host settings.')
  }
  return writeWord(crypto, prefix, encodeCbor(wire))
}

/** Reads the invite in a pasted text. The text may be quoted, broken over lines, in capitals or part of a sentence. */
export function readInvite(crypto: Crypto, text: string): InviteReading {
  const word = readWord(crypto, prefix, text)
  if (!word.ok) {
    if (word.fault !== 'no-word') return fault(word.fault)
    return fault(
      /peerpost[2-9]/.test(compactText(text.slice(0, limits.inviteTextCharacters)))
        ? 'unknown-version'
        : 'not-an-invite',
    )
  }
  const read = wireSchema.safeParse(decodeCbor(word.content))
  const invite = read.success ? inviteOf(crypto, read.data) : null
  return invite ? { ok: true, invite } : fault('not-an-invite')
}

function fault(reason: InviteFault): InviteReading {
  return { ok: false, fault: reason }
}
