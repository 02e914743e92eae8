// A host process with a backlog in its mailbox, and agents that ask while it is worked off.

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
  /** How many replies agents got, each number once. */
  readonly repliesEach: readonly number[]
  /** Of those who asked meanwhile. */
  readonly late: readonly Late[]
  /** How many were answered when the last one of the oldest tenth was. */
  readonly tenthAt: number
  /** Of the host: when it was ready, and at its most. */
  readonly startMB: number
  readonly peakMB: number
}

export type Late = {
  readonly afterMs: number
  readonly oldUnanswered: number
  /** What the host held then when all that could be collected was gone. */
  readonly heldMB: number
}

/** Ever so much of the backlog is answered when somebody asks. */
const askAt = [0.1, 0.2, 0.3]
const oldestMs = 3_600_000
const longestMs = 300_000

export async function workOffBacklog(options: BacklogOptions): Promise<BacklogRun> {
  const { defer, receive, deliver, sink, address, waiting } = options
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-backlog-'))
  defer(() => rmSync(folder, { recursive: true }))
  const {
    keys,
    room,
    options: plan,
  } = planHost({
    ...{
      receiveUrl: receive,
      sendUrl: sink.url,
      address,
      database: join(folder, 'host.sqlite'),
      settings: {},
    },
  })
  const ask = (name: string, sentAt: number) => {
    const agent = new FakeAgent(name, keys, room)
    deliver(agent.mailRequest(sentAt).replace('host@mail.test', address))
    return agent.address
  }
  const start = Date.now()
  const old = Array.from({ length: waiting }, (_, index) =>
    ask(`old${index}`, start - oldestMs + Math.floor((index * oldestMs) / waiting)),
  )
  const host = new HostProcess()
  defer(() => host.kill('SIGKILL'))
  await host.heard('loaded')
  host.go(plan)
  await host.heard('ready')
  const readyAt = performance.now()
  const startMB = megabytesOf(host, 'VmRSS')
  const told = new RepliesTold(sink)
  const until = (condition: () => boolean) =>
    waitUntil(
      condition,
      () =>
        `${told.update().size} answered; ${JSON.stringify(host.last.get('trouble') ?? {})} ${host.stderr}`,
      longestMs,
    )
  const late: Late[] = []
  const latecomers: string[] = []
  for (const share of askAt) {
    await until(() => told.update().size >= share * waiting)
    const askedAt = performance.now()
    const latecomer = ask(`late${share * 100}`, Date.now())
    latecomers.push(latecomer)
    await until(() => told.update().has(latecomer))
    const answered = told.before(latecomer, old)
    const afterMs = Math.round(performance.now() - askedAt)
    const held = await host.memory()
    const heldMB = Math.round(((held?.heapUsed ?? 0) + (held?.external ?? 0)) / 1e6)
    late.push({ afterMs, oldUnanswered: waiting - answered, heldMB })
  }
  const everybody = [...old, ...latecomers]
  await until(() => told.update().size >= everybody.length)
  const tookMs = Math.round(performance.now() - readyAt)
  const peakMB = megabytesOf(host, 'VmHWM')
  if ((await host.kill('SIGTERM')) !== 0) throw new Error(`the host did not end cleanly\n${host.stderr}`)
  const replies = told.update()
  const tenth = old[Math.floor(waiting / 10)] ?? ''
  return {
    tookMs,
    repliesEach: [...new Set(everybody.map((agent) => replies.get(agent)?.size ?? 0))],
    late,
    tenthAt: told.before(tenth, old),
    startMB,
    peakMB,
  }
}

function megabytesOf({ pid }: HostProcess, field: 'VmRSS' | 'VmHWM'): number {
  const told = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(told)?.[1]) / 1_000)
}

/** Message-IDs of replies by recipient, in the order in which these got their first. */
class RepliesTold {
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

  /** How many of these were answered before this one. */
  before(agent: string, among: readonly string[]): number {
    const wanted = new Set(among)
    const order = [...this.update().keys()]
    return order.slice(0, order.indexOf(agent)).filter((one) => wanted.has(one)).length
  }
}
