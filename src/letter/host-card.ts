// A host card is one word of text with the address and keys of a host. The person who runs another host pastes it
// there, and the two hosts exchange tables (A13). A card with a room lets its reader run a host of that room, so it
// is a secret.

import { z } from 'zod'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { compactText, readWord, writeWord } from './checksummed-text.ts'
import { defaultSubject, hostFields, hostToWire, type InviteHost } from './invite.ts'
import { bytesOf } from './letter-schema.ts'
import { limits } from './limits.ts'
import { isHostAndPort, isRoomName, isSubject } from './text-validation.ts'

type SharedRoom = {
  readonly name: string
  readonly secret: Uint8Array
  readonly stunServers: readonly string[]
  readonly subject: string
}

/** A representative host, and the keys that all its workers share. */
export type SharedRepresentative = {
  readonly representative: InviteHost
  readonly identitySeed: Uint8Array
  readonly sealingSeed: Uint8Array
}

export type HostCard = {
  readonly host: InviteHost
  readonly room: SharedRoom | null
  /** Lets the reader run another worker. Only together with `room`. */
  readonly front?: SharedRepresentative
}

export type HostCardFault = 'not-a-card' | 'incomplete' | 'typo' | 'unknown-version'

type HostCardReading =
  | { readonly ok: true; readonly card: HostCard }
  | { readonly ok: false; readonly fault: HostCardFault }

const prefix = 'peerposthost1'

const wireSchema = z.object({
  ...hostFields,
  room: z
    .object({
      name: z.string().refine(isRoomName),
      secret: bytesOf(32),
      stun: z.array(z.string().refine(isHostAndPort)).max(limits.inviteStunServers),
      subject: z.string().refine(isSubject).default(defaultSubject),
    })
    .optional(),
  front: z.object({ ...hostFields, identitySeed: bytesOf(32), sealingSeed: bytesOf(32) }).optional(),
})

/** One word of lower-case letters and digits. Throws a Problem (`invite`) if a field exceeds its limits. */
export function writeHostCard(crypto: Crypto, { host, room, front }: HostCard): string {
  const wire = {
    ...hostToWire(host),
    ...(room && {
      room: {
        name: room.name,
        secret: room.secret,
        stun: room.stunServers,
        ...(room.subject === defaultSubject ? {} : { subject: room.subject }),
      },
    }),
    ...(front && {
      front: {
        ...hostToWire(front.representative),
        identitySeed: front.identitySeed,
        sealingSeed: front.sealingSeed,
      },
    }),
  }
  const checked = wireSchema.safeParse(wire)
  if (!checked.success) {
    const field = checked.error.issues[0]?.path.join('.')
    throw new Problem('invite', `A card cannot hold this ${field}.`, 'Correct it in the host settings.')
  }
  return writeWord(crypto, prefix, encodeCbor(wire))
}

/** Reads the card in a pasted text. */
export function readHostCard(crypto: Crypto, text: string): HostCardReading {
  const word = readWord(crypto, prefix, text)
  if (!word.ok) {
    if (word.fault !== 'no-word') return { ok: false, fault: word.fault }
    const isNewer = /peerposthost[2-9]/.test(compactText(text.slice(0, limits.inviteTextCharacters)))
    return { ok: false, fault: isNewer ? 'unknown-version' : 'not-a-card' }
  }
  const read = wireSchema.safeParse(decodeCbor(word.content))
  if (!read.success) return { ok: false, fault: 'not-a-card' }
  const { address, identity, sealing, room, front } = read.data
  return {
    ok: true,
    card: {
      host: { address, identity, sealingKey: sealing },
      room: room
        ? { name: room.name, secret: room.secret, stunServers: room.stun, subject: room.subject }
        : null,
      ...(room &&
        front && {
          front: {
            representative: { address: front.address, identity: front.identity, sealingKey: front.sealing },
            identitySeed: front.identitySeed,
            sealingSeed: front.sealingSeed,
          },
        }),
    },
  }
}
