// All settings with their defaults. The names are the keys of the TOML files. `config-templates.ts` explains each of them.

import { z } from 'zod'
import { defaultSubject } from '../letter/invite.ts'
import { limits } from '../letter/limits.ts'
import { isHostAndPort, isMailAddress, isNickname, isRoomName, isSubject } from '../letter/text-validation.ts'
import { readUserId } from '../letter/user-id.ts'
import { parseDuration } from './duration.ts'
import {
  areDistinctAddresses,
  isLoopbackAddress,
  maxListenAddresses,
  parseListenAddress,
} from './listen-address.ts'

/** Used when neither the invite nor the config names a server. They are in two networks, as the mapping test needs. */
export const defaultStunServers = ['stun.l.google.com:19302', 'stun.cloudflare.com:3478']

const durationText = z
  .string()
  .refine((text) => parseDuration(text) !== null, 'must be a duration such as "250ms", "60s", "5m" or "12h"')

function duration(fallback: string) {
  return durationText.default(fallback).transform((text) => parseDuration(text) ?? 0)
}

const line = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern excludes control characters
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'must be one line')

const text = (rule: (text: string) => boolean, complaint: string) => z.string().refine(rule, complaint)

/** No spaces: a password that has one must be percent-encoded, or the URL would be cut there. */
const isPostgresUrl = (url: string) => /^postgres(ql)?:\/\/[!-~]{1,1000}$/.test(url)
const mailAddress = text(isMailAddress, 'must be a mail address such as meet@example.org')
const subject = text(isSubject, 'must be one line of at most 100 characters')
const serverName = text(isHostAndPort, 'must be HOST:PORT')
const listenAddresses = z
  .array(text((address) => parseListenAddress(address) !== null, 'must be IP:PORT such as 192.0.2.1:3478'))
  .max(maxListenAddresses)
  .refine(areDistinctAddresses, 'must name each address once')
const udpPort = z.int().min(0).max(65535)
const control = z
  .strictObject({
    enabled: z.boolean().default(true),
    listen: text(isLoopbackAddress, 'must be a loopback address such as 127.0.0.1:0').default('127.0.0.1:0'),
    metrics_token_file: z.string().max(4096).default(''),
  })
  .prefault({})

const webAddress = text(
  (url) => /^https?:\/\/[!-~]{3,500}$/.test(url),
  'must be a web address such as https://example.org',
)
const oauth = z
  .strictObject({
    provider: z.enum(['google', 'microsoft']).optional(),
    client_id: line(500),
    client_secret_file: line(4096).optional(),
    refresh_token_file: line(4096).default('oauth.token'),
    token_url: webAddress.optional(),
    authorize_url: webAddress.optional(),
    device_url: webAddress.optional(),
    scope: line(1000).optional(),
  })
  .refine(
    ({ provider, token_url }) => provider !== undefined || token_url !== undefined,
    'needs provider = "google" or "microsoft", or a token_url',
  )

const log = z
  .strictObject({ level: z.enum(['auto', 'silent', 'error', 'warn', 'info', 'debug']).default('auto') })
  .prefault({})

const mail = z.strictObject({
  receive: line(1000),
  send: line(1000),
  receive_password_file: line(4096).optional(),
  send_password_file: line(4096).optional(),
  subject: subject.default(defaultSubject),
  oauth: oauth.optional(),
})

export const hostSchema = z.strictObject({
  address: mailAddress,
  /** A representative host forwards the letters of agents to its [[hosts]]. */
  role: z.enum(['host', 'representative']).default('host'),
  mail,
  keys: z
    .strictObject({
      identity_file: line(4096).default('identity.key'),
      sealing_file: line(4096).default('sealing.key'),
    })
    .prefault({}),
  rooms: z
    .array(
      z.strictObject({
        name: text(isRoomName, 'must be one line of at most 64 characters'),
        secret_file: line(4096),
        invites_required: z.boolean().default(false),
      }),
    )
    .max(64)
    .default([]),
  /** For a worker: the representative host whose letters it answers, and the shared keys. */
  represents: z
    .strictObject({
      card: line(8192),
      identity_file: line(4096).default('shared-identity.key'),
      sealing_file: line(4096).default('shared-sealing.key'),
    })
    .optional(),
  stun: z.strictObject({ servers: z.array(serverName).max(8).default(defaultStunServers) }).prefault({}),
  table: z
    .strictObject({
      path: line(4096).default('host.sqlite'),
      /** PostgreSQL instead of a file, for several processes with one table. */
      url: text(isPostgresUrl, 'must be postgres://USER@SERVER/DATABASE').optional(),
      password_file: line(4096).optional(),
      capacity: z.int().min(2).max(10_000_000).default(10_000),
      expiry: duration('12h'),
    })
    .prefault({}),
  letters: z
    .strictObject({
      freshness: duration('12h'),
      future_tolerance: duration('1h'),
      reply_peers: z.int().min(1).max(16).default(8),
      introduction_window: duration('250ms'),
      sweep: duration('60s'),
      worker_silence: duration('2m'),
    })
    .prefault({}),
  admission: z
    .strictObject({
      per_key: z.int().min(0).max(1_000_000).default(240),
      per_address: z.int().min(0).max(1_000_000).default(480),
      per_domain: z.int().min(0).max(1_000_000).default(20_000),
      /** Empty: mail is accepted without a check of the sender. */
      trusted_authserv_id: text(
        (id) => id.length <= 253 && /^(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)?$/.test(id),
        'must be the name of a mail server, such as "mx.example.org"',
      ).default(''),
      per_day: z.union([z.literal('provider'), z.int().min(0).max(10_000_000)]).default('provider'),
      blocked: z
        .array(text((id) => readUserId(id) !== null, 'must be a user ID, which agents print'))
        .max(1000)
        .default([]),
    })
    .prefault({}),
  same_nat: z
    .strictObject({
      ipv4_prefix: z.int().min(8).max(32).default(32),
      ipv6_prefix: z.int().min(16).max(128).default(64),
    })
    .prefault({}),
  /** Other hosts that serve the same rooms. */
  hosts: z
    .array(z.strictObject({ card: line(8192) }))
    .max(limits.inviteHosts)
    .default([]),
  standby: z.strictObject({ enabled: z.boolean().default(false), patience: duration('15s') }).prefault({}),
  address_server: z.strictObject({ listen: listenAddresses.default([]) }).prefault({}),
  control,
  log,
})

const portNumber = z.int().min(1).max(65535)
const natSchema = z
  .strictObject({
    mapping: z.enum(['none', 'EIM', 'ADM', 'APDM']).optional(),
    filtering: z.enum(['EIF', 'ADF', 'APDF']).optional(),
    allocation: z.enum(['preserving', 'sequential', 'random']).optional(),
    step: z
      .int()
      .min(-65535)
      .max(65535)
      .refine((step) => step !== 0, 'must not be 0')
      .optional(),
    block: z
      .array(portNumber)
      .refine(
        ([first, last, ...more]) =>
          first !== undefined && last !== undefined && first <= last && more.length === 0,
        'must be the first and the last port, such as [1024, 2047]',
      )
      .optional(),
    lifetime: durationText.optional(),
  })
  .refine(
    ({ step, allocation }) => step === undefined || allocation === 'sequential',
    'a step needs allocation = "sequential"',
  )
  .refine(
    ({ block, allocation }) => block === undefined || allocation === 'sequential' || allocation === 'random',
    'a block needs allocation = "sequential" or "random"',
  )

export const agentSchema = z.strictObject({
  name: text(isNickname, 'must be one line of at most 32 characters'),
  address: mailAddress,
  mail: mail.extend({ subject: subject.optional() }),
  keys: z.strictObject({ identity_file: line(4096).default('identity.key') }).prefault({}),
  room: z.strictObject({ invite_file: line(4096).default('invite.secret') }).prefault({}),
  /** The config of a host in the same program. Empty: none. */
  host: z.strictObject({ config: z.string().max(4096).default('') }).prefault({}),
  stun: z.strictObject({ servers: z.array(serverName).max(8).default([]) }).prefault({}),
  network: z
    .strictObject({
      port: udpPort.default(0),
      keepalive: duration('8s'),
      port_mapping: z.boolean().default(true),
      tcp: z.boolean().default(true),
      bubble_ttl: z.int().min(0).max(255).default(0),
    })
    .prefault({}),
  nat: natSchema.prefault({}),
  peers: z
    .strictObject({
      links: z.int().min(1).max(64).default(8),
      attempt: duration('2m'),
      friends: z.array(line(80)).max(256).default([]),
      blocked: z.array(line(80)).max(256).default([]),
    })
    .prefault({}),
  games: z
    .strictObject({
      expose: z.array(line(80)).max(32).default([]),
      forward: z.array(line(120)).max(32).default([]),
    })
    .prefault({}),
  letters: z
    .strictObject({
      sweep: duration('60s'),
      ask_again: duration('60s'),
    })
    .prefault({}),
  control,
  log,
})

export type HostConfig = z.infer<typeof hostSchema>
export type AgentConfig = z.infer<typeof agentSchema>

/** Settings as a file or a program gives them: settings with a default are optional, and durations are texts. */
export type HostTable = z.input<typeof hostSchema>
export type AgentTable = z.input<typeof agentSchema>
