// Many agents in one process, for benchmarks that measure another agent. Options: LinkAgentsOptions as JSON in
// the first argument. None of them connects to another one of the group.

import { Agent } from '../../src/agent/agent.ts'
import { toHex } from '../../src/base/bytes.ts'
import { loadAgentConfig } from '../../src/config/load-config.ts'
import { readSecret } from '../../src/config/secret-files.ts'
import { parseForwards } from '../../src/forward/parse-forwards.ts'
import { memberKeys } from '../../src/letter/room-membership.ts'
import { loadSodium } from '../../src/runtime/sodium.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { openMail } from '../../src/setup/open-mail.ts'
import { inviteFrom } from '../../src/setup/parse-invite.ts'
import { emitToParent } from './child.ts'

export type LinkAgentsOptions = {
  /** Config of an agent of the same room; everything except the names is taken from it. */
  readonly config: string
  readonly agents: readonly {
    readonly name: string
    readonly address: string
    readonly receive: string
    readonly forwards: readonly string[]
  }[]
}

const { config: file, agents } = JSON.parse(process.argv[2] ?? '') as LinkAgentsOptions
const crypto = await loadSodium()
const { config, path } = loadAgentConfig(file, process.env)
const inviteFile = path(config.room.invite_file)
const { invite } = inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile)
const identities = agents.map(() => crypto.signKeyPair())
const groupIds = new Set(identities.map(({ publicKey }) => toHex(publicKey)))
/** One sender for all: the mail server accepts few connections. */
const { sender } = openMail(config.mail, path, { subject: invite.subject, address: config.address }, () => {})
let connected = 0

const running = agents.map(({ name, address, receive, forwards }, index) => {
  const { subject } = invite
  const { mailbox } = openMail({ ...config.mail, receive }, path, { subject, address }, () => {})
  return new Agent({
    clock: systemClock,
    crypto,
    name,
    address,
    subject,
    mailbox,
    sender: {
      send: (letter) => sender.send(letter),
      verify: async () => {},
      concurrency: sender.concurrency,
      close: async () => {},
    },
    identity: identities[index] as (typeof identities)[number],
    roomName: invite.room.name,
    room: memberKeys(crypto, invite.room),
    hosts: [invite.host],
    stunServers: invite.stunServers,
    preferences: { friends: new Set(), blocked: groupIds },
    settings: {
      port: 0,
      keepaliveMs: 8_000,
      portMapping: false,
      tcp: false,
      links: 1,
      attemptMs: 120_000,
      sweepMs: 60_000,
      requestRetryMs: 60_000,
    },
    exposes: [],
    forwards: parseForwards(forwards),
    onEvent: ({ event }) => {
      if (event === 'connected') emitToParent({ event, count: ++connected })
    },
  })
})
await sender.verify()
await Promise.all(running.map((agent) => agent.start()))
emitToParent({ event: 'ready' })
process.stdin.resume().on('end', async () => {
  await Promise.all(running.map((agent) => agent.stop()))
  await sender.close()
  process.exit(0)
})
