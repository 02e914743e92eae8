// The routes of a host for invites and blocked agents. They do the same as `peerpost invite` and `peerpost block`. An invite
// is a secret: only the answer to the request that makes it contains it.

import { z } from 'zod'
import type { HostControl } from '../daemon/host-control.ts'
import {
  blockSchema,
  type InviteOrder,
  inviteOrderSchema,
  inviteSchema,
  madeInviteSchema,
} from '../daemon/host-schemas.ts'
import type { Route } from './route.ts'

/** The maximum number of items in one answer. If there are more, it contains the newest. */
export const mostListed = 500

const count = z.int().nonnegative()

const newest = <T>(all: readonly T[]) => all.slice(-mostListed).reverse()

export function hostAdminRoutes(control: Pick<HostControl, 'admin'>): readonly Route[] {
  const faults = { database: 503 } as const
  const changes = { usage: 400, file: 503, ...faults } as const
  const invite = { invite: 'ID of an invite, its beginning, or its name.' }
  const agent = { agent: 'User ID, or the nickname of an agent.' }
  return [
    {
      ...{ method: 'GET', path: '/v1/invites', need: 'any-caller', faults },
      answer: z.strictObject({ invites: z.array(inviteSchema), total: count }),
      operationId: 'listInvites',
      summary: `The invites that were made, newest first, ${mostListed} at most; none can be used by what is told here.`,
      handle: () => {
        const all = control.admin.invites()
        return { invites: newest(all), total: all.length }
      },
    },
    {
      ...{
        method: 'POST',
        path: '/v1/invites',
        need: 'any-caller',
        body: inviteOrderSchema,
        answer: madeInviteSchema,
      },
      operationId: 'makeInvite',
      summary: 'Makes an invite, which is told in this answer only.',
      faults: { invite: 503, ...changes },
      handle: ({ body }) => control.admin.invite(body as InviteOrder),
    },
    {
      ...{ method: 'DELETE', path: '/v1/invites/:invite', need: 'any-caller', params: invite },
      answer: z.strictObject({ id: z.string(), removed: count }),
      operationId: 'revokeInvite',
      summary: 'Revokes an invite at once: whoever came by it is taken out of the table and let in no more.',
      faults: changes,
      handle: ({ params }) => control.admin.revoke(params.invite ?? ''),
    },
    {
      ...{ method: 'GET', path: '/v1/blocked', need: 'any-caller', faults },
      answer: z.strictObject({ blocked: z.array(blockSchema), total: count }),
      operationId: 'listBlocked',
      summary: `Agents that were blocked, the latest first, ${mostListed} at most; not those of the config.`,
      handle: () => {
        const all = control.admin.blocked()
        return { blocked: newest(all), total: all.length }
      },
    },
    {
      ...{ method: 'PUT', path: '/v1/blocked/:agent', need: 'any-caller', params: agent },
      answer: blockSchema,
      operationId: 'blockAgent',
      summary: 'Blocks an agent at once: it is taken out of all rooms, let in no more, and told nothing.',
      faults: changes,
      handle: ({ params }) => control.admin.block(params.agent ?? ''),
    },
    {
      ...{ method: 'DELETE', path: '/v1/blocked/:agent', need: 'any-caller', params: agent },
      answer: blockSchema,
      operationId: 'unblockAgent',
      summary: 'Unblocks an agent.',
      faults: changes,
      handle: ({ params }) => control.admin.unblock(params.agent ?? ''),
    },
  ]
}
