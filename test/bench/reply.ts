// The time from a request to its parsed reply, against two bare mail hops on the same Postfix and Dovecot. Both
// wait twice for Dovecot's IDLE, which takes half a second each by design. Our share must be small.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Inbox, type KnownHost } from '../../src/agent/letters/inbox.ts'
import { SessionKeys } from '../../src/agent/letters/session-keys.ts'
import type { ReplyLetter, RequestLetter } from '../../src/letter/letter-types.ts'
import { limits } from '../../src/letter/limits.ts'
import { proveMembership, type RoomKeys } from '../../src/letter/room-membership.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { composed, FakeAgent, subject } from '../host/fakes.ts'
import type { EchoOptions } from './bare-echo.ts'
import { type BareAccount, bareImap, bareMail, barePool, watchInbox } from './bare-mail.ts'
import { BenchHost, buildProgram, type HostFolder, makeHostFolder } from './bench-host.ts'
import { Child } from './child.ts'
import { newestMails, queueIsEmpty } from './mail-files.ts'
import { printProgress, quantile, type Report, round, sleep } from './report.ts'

const rounds = 30
const warmUpRounds = 2
const maxRatio = 1.1
/** Peers already in the room; the reply is as full as the default allows. */
const others = 8
/** Pause between rounds: deletions finish, and both sides return to IDLE. */
const restMs = 400

type Requester = {
  /** Resolves with the milliseconds from composing the request to the parsed answer. */
  request(): Promise<number>
  close(): Promise<void>
}

export async function benchReply(idleWait: { wait(): Promise<void> }): Promise<Report> {
  const mailServers = await startMailServers()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-'))
  const closing: (() => Promise<void>)[] = []
  try {
    for (const user of ['host', 'asker', 'bare-echo', 'bare-asker']) mailServers.maildirOf(user)
    const hostFolder = makeHostFolder(mailServers, 'host', join(folder, 'host'), buildProgram(folder))
    const host = new BenchHost(hostFolder)
    closing.push(() => host.stop())
    await host.until(({ event }) => event === 'ready')
    await fillRoom(mailServers, host, hostFolder)
    const ours = await openAgent(mailServers, hostFolder)
    closing.push(() => ours.close())
    await ours.request()
    await queueIsEmpty(mailServers)
    // The reply of the last agent contained all but one of the others; padding makes the sizes equal.
    const replies = newestMails(mailServers, `agent${others - 1}`, 10).filter(({ isReply }) => isReply)
    const replyBytes = Math.max(...replies.map(({ bytes }) => bytes))
    const requestBytes = ours.requestBytes()
    const bare = await openBare(mailServers, requestBytes, replyBytes)
    closing.push(() => bare.close())

    const took = { ours: [] as number[], bare: [] as number[] }
    for (let at = -warmUpRounds; at < rounds; at++) {
      const order = at % 2 === 0 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const)
      for (const which of order) {
        const tookMs = await (which === 'ours' ? ours : bare).request()
        if (at >= 0) took[which].push(tookMs)
        await sleep(restMs)
        await idleWait.wait()
      }
    }
    return reportOf(took.bare, took.ours, { requestBytes, replyBytes })
  } finally {
    for (const close of closing.reverse()) await close()
    await mailServers.stop()
    rmSync(folder, { recursive: true })
  }
}

/** Other agents join first, each with its own mailbox. */
async function fillRoom(mailServers: MailServers, host: BenchHost, { keys }: HostFolder): Promise<void> {
  const sender = createSender(mailServers.smtpUrl('agents'), { clock: systemClock })
  for (let index = 0; index < others; index++) {
    mailServers.maildirOf(`agent${index}`)
    const agent = new FakeAgent(`agent${index}`, keys, roomOf(keys))
    const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
    await sender.send({ from: agent.address, to: [mailServers.address('host')], raw })
  }
  let answered = 0
  while (answered < others) {
    answered += host.read().filter(({ event, kind }) => event === 'sent' && kind === 'reply').length
    await sleep(20)
  }
  await sender.close()
}

/** The agent's letters, without NAT and links. */
async function openAgent(
  mailServers: MailServers,
  { keys }: HostFolder,
): Promise<Requester & { requestBytes(): number }> {
  const address = mailServers.address('asker')
  const identity = realCrypto.signKeyPair()
  const sessions = new SessionKeys(realCrypto)
  const sender = createSender(mailServers.smtpUrl('asker'), { clock: systemClock })
  let bytes = 0
  const countingSender = {
    concurrency: sender.concurrency,
    verify: () => sender.verify(),
    close: () => sender.close(),
    send: async (mail: Parameters<typeof sender.send>[0]) => {
      const finished = await composed(mail)
      bytes = finished.raw.length
      return sender.send(finished)
    },
  }
  const host: KnownHost = {
    address: mailServers.address('host'),
    identity: keys.identity.publicKey,
    sealingKey: keys.sealingKeys.publicKey,
  }
  let onArrival: (letter: ReplyLetter) => void = () => undefined
  const inbox = new Inbox({
    clock: systemClock,
    correctedClock: systemClock,
    crypto: realCrypto,
    identity,
    address,
    subject,
    hosts: [host],
    mailbox: openMailbox(
      mailServers.imapUrl('asker'),
      { subject, address, maxBytes: limits.mailBytes },
      { clock: systemClock },
    ),
    sender: countingSender,
    sessions,
    room: roomOf(keys).tag,
    sweepMs: 60_000,
    onSignal: () => undefined,
    onReply: (letter) => onArrival(letter),
    onIntroduction: () => undefined,
    onDropped: (reason) => printProgress(`dropped: ${reason}`),
    onState: () => undefined,
    onUnsent: (kind, reason) => printProgress(`${kind} unsent: ${reason}`),
  })
  await inbox.open()
  return {
    requestBytes: () => bytes,
    close: () => inbox.close(),
    async request() {
      const reply = new Promise<ReplyLetter>((resolve) => {
        onArrival = resolve
      })
      const from = performance.now()
      void inbox.send(() => writeRequest(keys, identity.publicKey, address, sessions))
      const { peers } = await reply
      const tookMs = performance.now() - from
      if (peers.length !== others) throw new Error(`the reply has ${peers.length} peers`)
      return tookMs
    },
  }
}

function roomOf({ rooms }: HostFolder['keys']): RoomKeys {
  const [room] = rooms
  if (!room) throw new Error('the host has no room')
  return room.keys
}

function writeRequest(
  keys: HostFolder['keys'],
  from: Uint8Array,
  returnAddress: string,
  sessions: SessionKeys,
): RequestLetter {
  const { id, publicKey } = sessions.create(systemClock.now())
  const room = roomOf(keys)
  const proven = {
    from,
    to: keys.identity.publicKey,
    id: realCrypto.randomBytes(16),
    session: { id, publicKey },
  }
  return {
    kind: 'request',
    ...proven,
    sentAt: Date.now(),
    returnAddress,
    nickname: 'asker',
    room: room.tag,
    proof: proveMembership(realCrypto, room, proven),
    candidates: [{ kind: 'server-reflexive', endpoint: { address: '203.0.113.9', port: 4001 } }],
    nat: { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
  }
}

async function openBare(
  mailServers: MailServers,
  requestBytes: number,
  replyBytes: number,
): Promise<Requester> {
  const account = (user: string): BareAccount => ({
    address: mailServers.address(user),
    imapUrl: mailServers.imapUrl(user),
    smtpUrl: mailServers.smtpUrl(user),
  })
  const mine = account('bare-asker')
  const echo = account('bare-echo')
  const options: EchoOptions = { account: echo, to: mine.address, replyBytes }
  const other = new Child('./bare-echo.ts', options)
  await other.waitFor('ready')
  const pool = barePool(mine)
  const client = bareImap(mine)
  await pool.verify()
  let onArrival: () => void = () => undefined
  await watchInbox(client, async () => onArrival())
  return {
    async request() {
      const back = new Promise<void>((resolve) => {
        onArrival = resolve
      })
      const from = performance.now()
      await pool.sendMail(bareMail(mine.address, echo.address, 'request', requestBytes))
      await back
      return performance.now() - from
    },
    async close() {
      pool.close()
      client.close()
      await other.end()
    },
  }
}

function reportOf(
  bareMs: readonly number[],
  oursMs: readonly number[],
  inputs: { readonly requestBytes: number; readonly replyBytes: number },
): Report {
  const figures = (values: readonly number[]) => ({
    p50Ms: round(quantile(values, 0.5), 1),
    p95Ms: round(quantile(values, 0.95), 1),
    leastMs: round(Math.min(...values), 1),
    mostMs: round(Math.max(...values), 1),
  })
  const ratio = round(quantile(oursMs, 0.5) / quantile(bareMs, 0.5))
  return {
    bench: 'reply',
    ratio,
    target: `at most ${maxRatio}`,
    pass: ratio <= maxRatio,
    baseline: figures(bareMs),
    measured: figures(oursMs),
    inputs: { rounds, peersInReply: others, ...inputs },
  }
}
