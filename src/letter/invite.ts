// An invite as one word of text: all that an agent needs to find its host and prove that it was invited. Its content is
// CBOR.

import { z } from 'zod'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { compactText, readWord, writeWord } from './copyable-text.ts'
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
  /** With the room's own secret, or with a pass that the host made and can revoke. */
  readonly room: { readonly name: string } & ({ readonly secret: Uint8Array } | { readonly pass: Pass })
  /** `name:port`, `1.2.3.4:port` or `[::1]:port`; at most 8. */
  readonly stunServers: readonly string[]
  /** May be empty; at most 8. */
  readonly otherHosts: readonly InviteHost[]
  /** Of every mail between agents and hosts; `defaultSubject` takes no room in the invite. */
  readonly subject: string
}

/**
 * `incomplete`: shorter than it says; `typo`: complete, but a character is wrong. Both can be the other where
 * the damage hit the length. `not-an-invite` also where the content is not what an invite may hold.
 */
export type InviteFault = 'not-an-invite' | 'incomplete' | 'typo' | 'unknown-version'

type InviteReading =
  | { readonly ok: true; readonly invite: Invite }
  | { readonly ok: false; readonly fault: InviteFault }

const prefix = 'peerpost1'

/** On the wire, in invites and in cards of hosts. */
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

/** Null when it lets into no room, or says twice how. */
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

/** What follows from the rest is not in the text: it is long enough. */
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

/** One word of lower-case letters and digits. Throws a Problem (`invite`) where a field is beyond its limits. */
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

/** Takes an invite out of text as people paste it: quoted, broken over lines, in capitals, in a sentence. */
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
