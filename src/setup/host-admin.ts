// Implements the part of the control API that manages invites and blocked agents of a host.

import { Problem } from '../base/problem.ts'
import type { HostAdmin } from '../daemon/host-admin.ts'
import { isRoomName } from '../letter/text-validation.ts'
import { blockAgent, type ListedBlock, listBlocked, unblockAgent } from './blocked-agents.ts'
import { roomNamed } from './host-keys.ts'
import {
  type HostFolder,
  type ListedInvite,
  listInvites,
  makeInvite,
  revokeInvite,
} from './manage-invites.ts'
import { parseUntil } from './parse-end-date.ts'

export type InviteOptions = {
  /** Default: the first room. */
  readonly room?: string | undefined
  readonly name?: string | undefined
  /** A duration such as `30d`, or a date. */
  readonly until?: string | undefined
  readonly uses?: number | undefined
}

/** Checks the options and makes an invite, for the command and the control API. `now` is Unix ms. */
export function createInvite(folder: HostFolder, options: InviteOptions, now: number) {
  const { name, until, uses } = options
  const room = roomNamed(folder.keys, options.room)
  if (name !== undefined && !isRoomName(name)) {
    throw new Problem('usage', 'That is no name for an invite.', 'Use one line of at most 64 characters.')
  }
  const terms = {
    ...(until !== undefined && { until: parseUntil(until, now) }),
    ...(uses !== undefined && { uses }),
    ...(name !== undefined && { name }),
  }
  const { id, text } = makeInvite(folder, room, terms, now)
  return { id, room: room.name, invite: text }
}

/** `wallNow` returns Unix ms. */
export function createHostAdmin(folder: HostFolder, wallNow: () => number): HostAdmin {
  const { loaded } = folder
  return {
    invites: () => listInvites(folder, wallNow()).map(inviteFields),
    invite: (options) => createInvite(folder, options, wallNow()),
    revoke: (which) => {
      const { invite, removed } = revokeInvite(folder, which, wallNow())
      return { id: invite.id, removed }
    },
    blocked: () => listBlocked(loaded).map(blockFields),
    block: (who) => blockFields(blockAgent(loaded, who, wallNow())),
    unblock: (who) => blockFields(unblockAgent(loaded, who)),
  }
}

const instant = (ms: number): string => new Date(ms).toISOString()

/** The fields that JSON lists show, without keys. */
export function inviteFields(invite: ListedInvite) {
  const { id, roomName, name, madeAt, until, uses, used, present, state } = invite
  return {
    id,
    room: roomName,
    name,
    state,
    used,
    present,
    uses: uses ?? null,
    until: until === undefined ? null : instant(until),
    madeAt: instant(madeAt),
  }
}

export function blockFields({ id, name, blockedAt }: ListedBlock) {
  return { id, name, since: instant(blockedAt) }
}
