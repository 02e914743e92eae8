// Admission with the host's memory at hand: who is known, who is blocked, which invites are good.

import type { Letter, RequestLetter } from '../letter/kinds.ts'
import { checkGrant, checkProof } from '../letter/room.ts'
import type { ReadMail } from '../mail/mime-reader.ts'
import { type Admission, admit, type Membership } from '../table/admission.ts'
import type { HostParts } from './parts.ts'

/** To be called inside the letter's transaction. */
export function admitLetter(
  parts: HostParts,
  letter: Letter,
  mail: Pick<ReadMail, 'from' | 'date'>,
  wallNow: number,
): Admission {
  const { self, seen, peers, settings } = parts
  return admit(
    {
      letter,
      mailFrom: mail.from,
      mailDate: mail.date,
      wallNow,
      forgottenUntil: seen.forgottenUntil,
      rooms: self.rooms,
      isSeen: ({ from, id }) => seen.has(from, id),
      isKnown: ({ room, from }) => peers.find(room, from, wallNow) !== null,
      membershipOf: (request) => membershipOf(parts, request, wallNow),
    },
    settings,
  )
}

/** By the room's secret, or by an invite of ours: signatures first, for whoever has none learns nothing of invites. */
function membershipOf(
  { self, crypto, invites }: HostParts,
  request: RequestLetter,
  wallNow: number,
): Membership {
  const { room, grant, from } = request
  if (!checkProof(crypto, request)) return { by: 'nothing' }
  if (!grant) return { by: 'secret' }
  const known = invites.consult(room, grant.key, from, wallNow)
  if (known) return { by: 'invite', ...known }
  if (!checkGrant(crypto, room, self.identity.publicKey, grant)) return { by: 'nothing' }
  // Made by us, for our signature is on it, but this database does not know it: it is a newer one.
  invites.add(room, grant, '', wallNow)
  const noted = invites.consult(room, grant.key, from, wallNow)
  return noted ? { by: 'invite', ...noted } : { by: 'nothing' }
}
