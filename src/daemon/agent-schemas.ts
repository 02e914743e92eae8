// The status of an agent and of the players it knows. Instants are ISO 8601. Addresses are masked.

import { z } from 'zod'

const instant = z.iso.datetime()
const amount = z.number().nonnegative()
const traffic = z.strictObject({ datagrams: z.int().nonnegative(), bytes: z.int().nonnegative() })

export const mailboxSchema = z.strictObject({
  state: z.enum(['connecting', 'connected', 'disconnected', 'closed']),
  since: instant,
  reason: z.string().nullable(),
})

export const natSchema = z.strictObject({
  mapping: z.enum(['none', 'EIM', 'ADM', 'APDM', 'unknown']),
  filtering: z.enum(['EIF', 'ADF', 'APDF', 'unknown']),
  allocation: z.enum(['preserving', 'sequential', 'random', 'unknown']),
  lifetimeMs: amount.nullable(),
  public: z.array(z.string()).describe('Addresses as STUN servers see them, masked.'),
  openPort: z.string().nullable().describe('The address that the router opened for us, masked.'),
  words: z.array(z.string()).describe('The same, as sentences for people.'),
})

export const agentStatusSchema = z.strictObject({
  role: z.literal('agent'),
  name: z.string(),
  id: z.string(),
  room: z.string(),
  startedAt: instant,
  state: z.enum(['starting', 'joined', 'leaving', 'left']),
  since: instant.describe('In this state.'),
  trouble: z
    .strictObject({ message: z.string(), remedy: z.string() })
    .nullable()
    .describe('Why the agent left the room by itself.'),
  mailbox: mailboxSchema,
  lastRequest: z
    .strictObject({ at: instant })
    .nullable()
    .describe('The latest letter that asked for players.'),
  lastReply: z
    .strictObject({ at: instant, peers: z.int(), sinceRequestMs: amount })
    .nullable()
    .describe('The latest answer of the host.'),
  declined: z
    .strictObject({ at: instant, reason: z.string(), words: z.string(), againAt: instant })
    .nullable()
    .describe('Why the host declines our requests, and when it is asked again; null when it does not.'),
  nat: natSchema.nullable().describe('Null until it is measured, and while out of the room.'),
  hasInvite: z.boolean(),
  exposes: z.array(z.string()).describe('Local ports that the room may reach, as --expose takes them.'),
  forwards: z.array(z.string()).describe('Local ports that lead to players, as --forward takes them.'),
})

const qualitySchema = z.strictObject({
  roundTripMs: amount.nullable(),
  jitterMs: amount.nullable(),
  lossRate: z.number().min(0).max(1).nullable(),
  sent: traffic,
  received: traffic,
  roundTrips: z
    .array(z.strictObject({ at: instant, ms: amount }))
    .describe('The latest answered pings, oldest first.'),
})

export const peerSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  standing: z.enum(['friend', 'blocked', 'none']),
  state: z.enum(['known', 'trying', 'linked', 'failed', 'gone']),
  since: instant.describe('In this state.'),
  lastAskedAt: instant.nullable().describe('When it last asked the host.'),
  sameNat: z.boolean(),
  flagged: z.boolean().describe('Another agent failed to reach it lately.'),
  natWords: z.string().nullable().describe('What kind of NAT it is behind.'),
  plan: z.string().nullable().describe('The plan by which it is reached or tried.'),
  planWords: z.string().nullable(),
  path: z
    .strictObject({ kind: z.string(), protocol: z.enum(['udp', 'tcp']), remote: z.string() })
    .nullable()
    .describe('While linked; masked.'),
  packets: z.int().nullable().describe('Packets sent until the path was found.'),
  sincePunchMs: amount.nullable(),
  reason: z.string().nullable().describe('Why it could not be reached, or is gone.'),
  advice: z.string().nullable().describe('What would help.'),
  quality: qualitySchema.nullable().describe('While linked.'),
})

export type AgentStatus = z.infer<typeof agentStatusSchema>
export type PeerStatus = z.infer<typeof peerSchema>
