// Admission with the host's memory at hand: who is known, who is blocked, which invites are good.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { Letter, RequestLetter, UserId } from '../../letter/letter-types.ts'
import { checkGrant, checkProof } from '../../letter/room-membership.ts'
import type { ReadMail } from '../../mail/mime/parse-mail.ts'
import type { HostGround, HostParts } from '../context.ts'
import { type Admission, admit, type Membership } from './admission-rules.ts'

/** To be called inside the letter's transaction. */
export function admitLetter(
  parts: HostParts,
  letter: Letter,
  mail: Pick<ReadMail, 'from' | 'date'>,
  wallNow: number,
): Admission {
  const { self, seen, peers, limits, settings, clock } = parts
  const { forgottenUntil, isSeen } = seen.lookUp(letter.from, letter.id)
  return admit(
    {
      letter,
      mailFrom: mail.from,
      mailDate: mail.date,
      wallNow,
      forgottenUntil,
      rooms: self.rooms,
      isSeen,
      isBlocked: (user) => isBlocked(parts, user),
      returnAddressOf: ({ room, from }) => peers.find(room, from, wallNow)?.returnAddress ?? null,
      count: (sender) => limits.take(clock.now(), sender),
      membershipOf: (request) => membershipOf(parts, request, wallNow),
    },
    settings,
  )
}

/** By the config or by a command. */
export function isBlocked({ self, blocked }: HostGround, user: UserId): boolean {
  return self.blocked.has(toHex(user)) || blocked.has(user)
}

/** By the room's secret, or by an invite of ours or of a host that we know: signatures first, for whoever has none learns nothing of invites. */
export function membershipOf(
  { self, crypto, invites }: HostGround,
  request: RequestLetter,
  wallNow: number,
): Membership {
  const { room, grant, from } = request
  if (!checkProof(crypto, request)) return { by: 'nothing' }
  if (!grant) return { by: 'secret' }
  const known = invites.check(room, grant.key, from, wallNow)
  if (known) return { by: 'invite', ...known }
  const maker = self.hosts.find((host) => equalBytes(host, grant.host))
  if (!maker || !checkGrant(crypto, room, maker, grant)) return { by: 'nothing' }
  // Made elsewhere, or by us before there was this database.
  invites.add(room, grant, '', wallNow)
  const noted = invites.check(room, grant.key, from, wallNow)
  return noted ? { by: 'invite', ...noted } : { by: 'nothing' }
}
