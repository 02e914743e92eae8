// Runs a host process with a backlog in its mailbox, and sends further requests while it works off the backlog.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Defer } from '../../harness/defer.ts'
import type { SmtpSink } from '../../harness/smtp-sink.ts'
import { waitUntil } from '../../harness/wait-until.ts'
import { FakeAgent } from '../fakes.ts'
import { HostProcess } from './host-process.ts'
import { planHost } from './real-host.ts'

export type BacklogOptions = {
  readonly defer: Defer
  readonly receive: string
  readonly deliver: (mail: string) => void
  readonly sink: SmtpSink
  readonly address: string
  readonly waiting: number
}

export type BacklogRun = {
  readonly tookMs: number
  /** How many replies agents got: the distinct numbers. */
  readonly repliesEach: readonly number[]
  /** The requests that came meanwhile. */
  readonly late: readonly Late[]
  /** How many old requests were answered before the last one of the oldest tenth. */
  readonly tenthAt: number
  /** Memory of the host: when it was ready, and its maximum. */
  readonly startMB: number
  readonly peakMB: number
}

export type Late = {
  readonly afterMs: number
  readonly oldUnanswered: number
  /** The memory of the host after a garbage collection at that time. */
  readonly heldMB: number
}

/** The share of the backlog that is answered when each late request is sent. */
const lateRequestsAt = [0.1, 0.2, 0.3]
const oldestMs = 3_600_000
const timeoutMs = 300_000

export async function workOffBacklog(options: BacklogOptions): Promise<BacklogRun> {
  const { defer, receive, deliver, sink, address, waiting } = options
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-backlog-'))
  defer(() => rmSync(folder, { recursive: true }))
  const {
    keys,
    room,
    options: plan,
  } = planHost({
    receiveUrl: receive,
    sendUrl: sink.url,
    address,
    database: join(folder, 'host.sqlite'),
    settings: {},
  })
  const sendRequest = (name: string, sentAt: number) => {
    const agent = new FakeAgent(name, keys, room)
    deliver(agent.mailRequest(sentAt).replace('host@mail.test', address))
    return agent.address
  }
  const start = Date.now()
  const old = Array.from({ length: waiting }, (_, index) =>
    sendRequest(`old${index}`, start - oldestMs + Math.floor((index * oldestMs) / waiting)),
  )
  const host = new HostProcess()
  defer(() => host.kill('SIGKILL'))
  await host.waitFor('loaded')
  host.go(plan)
  await host.waitFor('ready')
  const readyAt = performance.now()
  const startMB = megabytesOf(host, 'VmRSS')
  const received = new ReceivedReplies(sink)
  const until = (condition: () => boolean) =>
    waitUntil(
      condition,
      () =>
        `${received.update().size} answered; ${JSON.stringify(host.last.get('trouble') ?? {})} ${host.stderr}`,
      timeoutMs,
    )
  const late: Late[] = []
  const latecomers: string[] = []
  for (const share of lateRequestsAt) {
    await until(() => received.update().size >= share * waiting)
    const sentAt = performance.now()
    const latecomer = sendRequest(`late${share * 100}`, Date.now())
    latecomers.push(latecomer)
    await until(() => received.update().has(latecomer))
    const answered = received.before(latecomer, old)
    const afterMs = Math.round(performance.now() - sentAt)
    const held = await host.memory()
    const heldMB = Math.round(((held?.heapUsed ?? 0) + (held?.external ?? 0)) / 1e6)
    late.push({ afterMs, oldUnanswered: waiting - answered, heldMB })
  }
  const everybody = [...old, ...latecomers]
  await until(() => received.update().size >= everybody.length)
  const tookMs = Math.round(performance.now() - readyAt)
  const peakMB = megabytesOf(host, 'VmHWM')
  if ((await host.kill('SIGTERM')) !== 0) throw new Error(`the host did not end cleanly\n${host.stderr}`)
  const replies = received.update()
  const tenth = old[Math.floor(waiting / 10)] ?? ''
  return {
    tookMs,
    repliesEach: [...new Set(everybody.map((agent) => replies.get(agent)?.size ?? 0))],
    late,
    tenthAt: received.before(tenth, old),
    startMB,
    peakMB,
  }
}

function megabytesOf({ pid }: HostProcess, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1_000)
}

/** The Message-IDs of replies by recipient, in the order in which the recipients got their first one. */
class ReceivedReplies {
  readonly #sink: SmtpSink
  readonly #replies = new Map<string, Set<string>>()
  #read = 0

  constructor(sink: SmtpSink) {
    this.#sink = sink
  }

  update(): ReadonlyMap<string, ReadonlySet<string>> {
    for (; this.#read < this.#sink.mails.length; this.#read++) {
      const { to, text } = this.#sink.mails[this.#read] ?? { to: '', text: '' }
      const id = /^Message-ID: (.+)$/m.exec(text)?.[1]
      if (!id || !/^In-Reply-To: /m.test(text)) continue
      this.#replies.set(to, (this.#replies.get(to) ?? new Set()).add(id))
    }
    return this.#replies
  }

  /** How many of `among` were answered before this agent. */
  before(agent: string, among: readonly string[]): number {
    const wanted = new Set(among)
    const order = [...this.update().keys()]
    return order.slice(0, order.indexOf(agent)).filter((one) => wanted.has(one)).length
  }
}
