// What one request costs a host with a small, large or huge table: from the mail's bytes to the committed
// transaction with its reply, with all of the host except IMAP and SMTP. Every table is full, so each newcomer
// evicts the oldest entry. The list of seen letters is full too.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HostContext } from '../../src/host/context.ts'
import { LetterBatchHandler } from '../../src/host/inbox/letter-batch.ts'
import { LetterDispatcher } from '../../src/host/inbox/letter-dispatcher.ts'
import type { Handled, MailHandler } from '../../src/host/inbox/mail-handler.ts'
import { PeerHosts } from '../../src/host/peer-hosts/peer-hosts.ts'
import { openRepositories, type Repositories } from '../../src/host/repositories.ts'
import { Admission } from '../../src/host/requests/admission.ts'
import { AgentLetterDispatcher } from '../../src/host/requests/agent-letter-dispatcher.ts'
import { bounceTokenKey } from '../../src/host/requests/bounce-token.ts'
import { RequestHandler } from '../../src/host/requests/handle-request.ts'
import { RoomMembers } from '../../src/host/requests/room-members.ts'
import { SenderLimits } from '../../src/host/requests/sender-rate-limits.ts'
import { defaultHostSettings } from '../../src/host/settings.ts'
import type { RoomKeys } from '../../src/letter/room-membership.ts'
import type { FetchedMail } from '../../src/mail/mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { FakeAgent, hostAddress, makeHostKeys, makeRoom, subject } from '../host/fakes.ts'
import type { FillOptions } from './fill-table.ts'
import { printProgress, quantile, type Report, round } from './report.ts'

export type TableOptions = {
  /** Numbers of entries; the last table is compared with the first. */
  readonly sizes: readonly number[]
  /** Number of requests measured per table. */
  readonly requests: number
}

export const tableOptions: TableOptions = { sizes: [1_000, 100_000, 1_000_000], requests: 600 }

/** Requests before the measurement, to warm up code and caches. */
const warmUpRequests = 50
const maxRatio = 1.3

/** The most rooms that a config may name, and a single one. */
const shapes = [
  { shape: 'manyRooms', rooms: 64 },
  { shape: 'oneRoom', rooms: 1 },
] as const

type Case = {
  readonly name: string
  readonly size: number
  readonly rooms: readonly RoomKeys[]
  readonly context: HostContext
  readonly repositories: Repositories
  readonly mailHandler: MailHandler
  readonly file: string
  readonly tookMs: number[]
}

export async function benchTable(
  idleWait: { wait(): Promise<void> },
  { sizes, requests }: TableOptions = tableOptions,
): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-'))
  const keys = makeHostKeys()
  const cases: Case[] = []
  try {
    for (const { shape, rooms } of shapes) {
      for (const size of sizes) cases.push(prepare(folder, `${shape} ${size}`, size, rooms, keys))
    }
    await idleWait.wait()
    for (let round = -warmUpRequests; round < requests; round++) {
      // The order rotates, so that no table always follows the same one.
      for (let position = 0; position < cases.length; position++) {
        const table = cases[(position + round + warmUpRequests) % cases.length]
        if (table) await measureRequest(table, keys, round)
      }
    }
    for (const table of cases) check(table)
    return reportOf(cases, sizes, requests)
  } finally {
    for (const { repositories } of cases) repositories.database.close()
    rmSync(folder, { recursive: true })
  }
}

function prepare(
  folder: string,
  name: string,
  size: number,
  roomCount: number,
  keys: ReturnType<typeof makeHostKeys>,
): Case {
  const file = join(folder, `${name.replace(' ', '-')}.sqlite`)
  const rooms = Array.from({ length: roomCount }, () => makeRoom())
  fill({ file, entries: size, roomTagsHex: rooms.map(({ tag }) => Buffer.from(tag).toString('hex')) })
  const settings = { ...defaultHostSettings, capacity: size, seenCapacity: size }
  const database = openHostDatabase(file)
  printProgress(`table ${name}: ${round(statSync(file).size / 2 ** 20, 1)} MiB`)
  const repositories = openRepositories(database, settings, '')
  const context: HostContext = {
    self: {
      ...keys,
      address: hostAddress,
      domain: 'mail.test',
      subject,
      blocked: new Set(),
      rooms: rooms.map(({ tag }) => ({ tag, invitesRequired: false })),
      bounceTokenKey: bounceTokenKey(realCrypto, keys.identity),
      hosts: [keys.identity.publicKey],
      ownAgent: null,
      agentFacingKeys: keys,
      representative: null,
    },
    settings,
    clock: systemClock,
    crypto: realCrypto,
    emit: () => undefined,
  }
  const mailHandler = makeMailHandler(context, repositories)
  return { name, size, rooms, context, repositories, mailHandler, file, tookMs: [] }
}

/** Builds the handler of a host without peer hosts. */
function makeMailHandler(context: HostContext, repositories: Repositories): MailHandler {
  const senderLimits = new SenderLimits(systemClock.now(), { perKey: 0, perAddress: 0, perDomain: 1e9 })
  const roomMembers = new RoomMembers(context, repositories)
  const outboxSender = { pump: () => undefined }
  const peerHosts = new PeerHosts(context, { ...repositories, hosts: [], roomMembers, outboxSender })
  const { standby, relay, tableExchange, lateIntroductions } = peerHosts
  const exchange = { standby, relay, tableExchange }
  const agentLetterDispatcher = new AgentLetterDispatcher(context, {
    ...repositories,
    ...exchange,
    peerHosts,
    senderLimits,
    admission: new Admission(context, { ...repositories, roomMembers, senderLimits }),
    requestHandler: new RequestHandler(context, { ...repositories, ...exchange, lateIntroductions }),
  })
  return new LetterDispatcher(context, {
    ...repositories,
    agentLetterDispatcher,
    peerHosts,
    workerLink: null,
  })
}

/** In its own process, so that the memory for filling is not counted. */
function fill(options: FillOptions): void {
  const script = fileURLToPath(new URL('./fill-table.ts', import.meta.url))
  const run = spawnSync(process.execPath, [script, JSON.stringify(options)], { stdio: 'inherit' })
  if (run.status !== 0) throw new Error(`filling ${options.file} failed`)
}

async function measureRequest(
  table: Case,
  keys: ReturnType<typeof makeHostKeys>,
  round: number,
): Promise<void> {
  const { repositories, rooms, tookMs } = table
  const room = rooms[(round + warmUpRequests) % rooms.length]
  if (!room) throw new Error('a table without rooms')
  const raw = new TextEncoder().encode(new FakeAgent('newcomer', keys, room).mailRequest(Date.now()))
  const mail = { ref: '1', raw, sizeBytes: raw.length }
  const from = performance.now()
  const handled = await handleMail(table, mail)
  const took = performance.now() - from
  if (handled.outcome !== 'accepted') throw new Error(`${table.name}: dropped as ${handled.reason}`)
  if (round >= 0) tookMs.push(took)
  // As the outbox sender and the introductions would do; otherwise their tables would grow with the requests.
  const { outbox, introductions, peers } = repositories
  outbox.drop(outbox.due('urgent', Number.MAX_SAFE_INTEGER, 10))
  const owed = introductions.next(Number.MAX_SAFE_INTEGER, 16)
  if (owed && peers.size > 0) introductions.settle(owed.room, owed.recipient, owed.requesters)
}

async function handleMail(
  { context, repositories: { database }, mailHandler }: Case,
  mail: FetchedMail,
): Promise<Handled> {
  const { promise: handled, resolve } = Promise.withResolvers<Handled>()
  const batch = new LetterBatchHandler(context, {
    database,
    mailHandler,
    onHandled: (_, result) => resolve(result),
    onCommit: () => undefined,
  })
  await batch.handle([mail], () => false)
  return handled
}

function check({ name, size, repositories: { peers, database } }: Case): void {
  if (peers.size !== size) throw new Error(`${name}: it holds ${peers.size} entries`)
  const mode = database.connection.prepare('PRAGMA synchronous').pluck().get()
  if (mode !== 2) throw new Error(`${name}: synchronous is ${mode}, not FULL`)
}

function reportOf(cases: readonly Case[], sizes: readonly number[], requests: number): Report {
  const smallest = Math.min(...sizes)
  const largest = Math.max(...sizes)
  const median = (shape: string, size: number) =>
    quantile(cases.find(({ name }) => name === `${shape} ${size}`)?.tookMs ?? [], 0.5)
  const ratios = shapes.map(({ shape }) => median(shape, largest) / median(shape, smallest))
  const ratio = round(Math.max(...ratios))
  const figures = (of: (size: number) => boolean) =>
    Object.fromEntries(
      cases
        .filter(({ size }) => of(size))
        .flatMap(({ name, tookMs }) => [
          [`${name} p50Ms`, round(quantile(tookMs, 0.5))],
          [`${name} p95Ms`, round(quantile(tookMs, 0.95))],
          [`${name} meanMs`, round(tookMs.reduce((sum, took) => sum + took, 0) / tookMs.length)],
        ]),
    )
  return {
    bench: 'table',
    ratio,
    target: `at most ${maxRatio}`,
    pass: ratio <= maxRatio,
    baseline: figures((size) => size === smallest),
    measured: {
      ...Object.fromEntries(shapes.map(({ shape }, index) => [`${shape} ratio`, round(ratios[index] ?? 0)])),
      ...figures((size) => size !== smallest),
      'rssMB, all tables open': round(process.memoryUsage.rss() / 1e6, 1),
    },
    inputs: { sizes, requests, shapes: shapes.map(({ shape, rooms }) => `${shape}: ${rooms}`).join(', ') },
  }
}
