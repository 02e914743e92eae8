// Who is admitted to a room: agents with its secret or with an invite to it, unless they are blocked.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { RequestLetter, UserId } from '../../letter/letter-types.ts'
import type { HostRefusal } from '../../letter/refusal.ts'
import { checkGrant, checkProof } from '../../letter/room-membership.ts'
import type { BlockedKeys } from '../../store/blocked-keys.ts'
import type { InviteState, Invites } from '../../store/invites.ts'
import type { HostContext, HostRoom } from '../context.ts'

type MemberRefusal = Extract<
  HostRefusal,
  'not-a-member' | 'invite-required' | 'invite-ended' | 'invite-revoked' | 'invite-used-up'
>

type Membership =
  /** `inviteId`: the invite of the request; null without one. */
  { readonly refusal: null; readonly inviteId: number | null } | { readonly refusal: MemberRefusal }

const refusalsOf = {
  open: null,
  ended: 'invite-ended',
  revoked: 'invite-revoked',
  'used-up': 'invite-used-up',
} as const satisfies Record<InviteState, MemberRefusal | null>

export class RoomMembers {
  readonly #context: HostContext
  readonly #invites: Invites
  readonly #blocked: BlockedKeys

  constructor(
    context: HostContext,
    { invites, blocked }: { readonly invites: Invites; readonly blocked: BlockedKeys },
  ) {
    this.#context = context
    this.#invites = invites
    this.#blocked = blocked
  }

  /** Whether the config or a command blocks this user. */
  isBlocked(user: UserId): boolean {
    return this.#context.self.blocked.has(toHex(user)) || this.#blocked.has(user)
  }

  /** Accepts the room's secret, or an invite of this host or of one that it knows. Checks signatures first, so that a stranger
   *  learns nothing about invites. `now` is wall time. */
  check(request: RequestLetter, room: HostRoom, now: number): Membership {
    if (!checkProof(this.#context.crypto, request)) return { refusal: 'not-a-member' }
    if (!request.grant)
      return room.invitesRequired ? { refusal: 'invite-required' } : { refusal: null, inviteId: null }
    const invite = this.#inviteOf(request, now)
    if (!invite) return { refusal: 'not-a-member' }
    const refusal = refusalsOf[invite.state]
    return refusal === null ? { refusal, inviteId: invite.id } : { refusal }
  }

  #inviteOf({ room, grant, from }: RequestLetter, now: number) {
    if (!grant) return null
    const known = this.#invites.check(room, grant.key, from, now)
    if (known) return known
    const { crypto, self } = this.#context
    const maker = self.hosts.find((host) => equalBytes(host, grant.host))
    if (!maker || !checkGrant(crypto, room, maker, grant)) return null
    // Another host made the invite, or we made it before this database existed.
    this.#invites.add(room, grant, '', now)
    return this.#invites.check(room, grant.key, from, now)
  }
}
