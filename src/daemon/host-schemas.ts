// The status of a host, its invites and its blocked agents. Addresses and keys are masked, except user IDs of blocked agents.

import { z } from 'zod'
import { limits } from '../letter/limits.ts'
import { mailboxSchema } from './agent-schemas.ts'

const instant = z.iso.datetime()
const count = z.int().nonnegative()
const budget = z.strictObject({ used: count, limit: count })

export const hostStatusSchema = z.strictObject({
  role: z.literal('host'),
  address: z.string().describe('Of the mailbox, masked.'),
  rooms: z.array(z.string()),
  startedAt: instant,
  state: z.enum(['starting', 'ready']),
  since: instant.describe('In this state.'),
  mailbox: mailboxSchema,
  letters: z
    .array(
      z.strictObject({
        kind: z.string(),
        outcome: z.enum(['accepted', 'dropped']),
        reason: z.string().nullable(),
        count,
      }),
    )
    .describe('Since the start.'),
  mails: z
    .array(z.strictObject({ kind: z.string(), outcome: z.string(), count }))
    .describe('Since the start: sent, later (tried again), refused or given-up.'),
  waitingIntroductions: count,
  budgets: z.strictObject({
    table: budget.describe('Agents in the table.'),
    outbox: budget.describe('Mails waiting to be sent; when it is full, no letters are accepted.'),
    letterIds: budget.describe('IDs of letters seen; when it is full, old letters are refused.'),
    sentInDay: z
      .strictObject({ used: count, limit: count.nullable() })
      .describe(
        'Mails sent in the last day; introductions stop at three quarters of the limit, and at the limit replies wait. Null: none.',
      ),
  }),
  trouble: z
    .strictObject({ at: instant, message: z.string(), remedy: z.string() })
    .nullable()
    .describe('The latest.'),
})

export const inviteSchema = z.strictObject({
  id: z.string().describe('The beginning of its key. It names the invite, and nobody can join with it.'),
  room: z.string(),
  name: z.string().describe('The name it was given when it was made; may be empty.'),
  state: z.enum(['open', 'ended', 'revoked', 'used-up']),
  used: count.describe('Number of different agents that used it.'),
  uses: count.nullable().describe('How many may use it; null: any number.'),
  present: count.describe('Of those, how many are in the table now.'),
  until: instant.nullable().describe('Its end; null: none.'),
  madeAt: instant,
})

export const inviteOrderSchema = z.strictObject({
  room: z.string().max(100).optional().describe('The first room if left out.'),
  name: z.string().max(100).optional(),
  until: z.string().max(40).optional().describe('Like 30d, 2027-01-31 or 2027-01-31T18:00Z.'),
  uses: z.int().min(1).max(limits.inviteUses).optional(),
})

export const madeInviteSchema = z.strictObject({
  id: z.string(),
  room: z.string(),
  invite: z.string().describe('Whoever has it can join the room. No other answer contains it.'),
})

export const blockSchema = z.strictObject({
  id: z.string().describe('User ID.'),
  name: z.string().describe('The nickname it had then; may be empty.'),
  since: instant,
})

export type HostStatus = z.infer<typeof hostStatusSchema>
export type InviteOrder = z.infer<typeof inviteOrderSchema>
export type MadeInvite = z.infer<typeof madeInviteSchema>
export type ListedInvite = z.infer<typeof inviteSchema>
export type ListedBlock = z.infer<typeof blockSchema>
