// Decides which of several hosts with the same table answers requests (A15). One host is awake and answers, the others stand
// by. The host that answers a request sends its statement to the others (table-sync.ts). If no host sends the statement of a
// request, no host has answered it:
//
//     standby ── no host sent a request's statement for answerTimeoutMs × (rank + 1) ──> awake, answers waiting requests
//     a leader got the request too, and sent no statement for answerTimeoutMs ──> asleep or gone: our rank skips it
//     awake ── a host of lower rank announces that it is awake: it is our leader ──> standby
//
// Rank is the position among the hosts' keys, the same for all. The host with the lowest key comes first.
//
// Not all hosts need to know each other. When nothing changes any more, no two awake hosts know each other, and each agent
// asks a host that is awake. In a chain A–B–C, A leads B. The agents of C do not know A, so C wakes for them, and B must
// wait longest with their requests.
//
// A host announces when it wakes, and again at growing intervals. So two hosts that woke together find each other.
// Pure: time is handed in.

import type { ItemKey } from './item-version.ts'
import type { HostId } from './table-sync.ts'

export const standbyLimits = {
  /** Waiting requests. Beyond this the oldest is dropped; its agent sends another request. */
  waiting: 1_024,
  /** The longest interval between two announcements of an awake host. */
  longestAnnounceMs: 60 * 60_000,
} as const

export type StandbyAction<Request> =
  /** `answer`: the waiting requests, oldest first. */
  | { readonly type: 'wake'; readonly answer: readonly Request[] }
  | { readonly type: 'sleep' }
  | { readonly type: 'announce'; readonly to: HostId }

export type StandbyElectionOptions = {
  readonly self: HostId
  readonly hosts: readonly HostId[]
  /** How long an awake host may take until its statement about a request arrives here. */
  readonly answerTimeoutMs: number
}

type Waiting<Request> = {
  readonly version: string
  readonly request: Request
  /** When the first request of the agent came. A repeated request does not wait longer. */
  readonly since: number
  /** Hosts without a leader should answer first. */
  readonly isLast: boolean
  /** Our leaders that got the request too. If they are awake, they answer until `leadersUntil`. */
  readonly leaders: readonly HostId[]
  readonly leadersUntil: number
}

export class StandbyElection<Request> {
  readonly #options: StandbyElectionOptions
  /** By the key of the entry, oldest first. */
  readonly #waiting = new Map<ItemKey, Waiting<Request>>()
  #isAwake = false
  /** Hosts of lower rank that are awake, as far as we know. A request that none of them got should be answered by a host
   *  without a leader. If we answered it, our leader would put us to sleep again, and nobody would answer those agents. */
  readonly #leaders = new Set<HostId>()
  /** Hosts of lower rank that did not answer a request: another host leads them, or they are gone. A host announces that it
   *  wakes, but not that it goes to sleep. */
  readonly #asleep = new Set<HostId>()
  #announceAt = Infinity
  #announceMs = 0

  constructor(options: StandbyElectionOptions) {
    this.#options = options
  }

  get isAwake(): boolean {
    return this.#isAwake
  }

  /** A request came here and to the other hosts in `asked`. False if it must be answered now. */
  handleRequest(
    now: number,
    key: ItemKey,
    version: string,
    request: Request,
    asked: readonly HostId[],
  ): boolean {
    if (this.#isAwake) return false
    const before = this.#waiting.get(key)
    const [oldest] = this.#waiting.keys()
    if (!before && oldest !== undefined && this.#waiting.size >= standbyLimits.waiting)
      this.#waiting.delete(oldest)
    const leaders = asked.filter((host) => this.#leaders.has(host))
    this.#waiting.set(key, {
      version,
      request,
      since: before?.since ?? now,
      isLast: before?.isLast ?? (this.#leaders.size > 0 && leaders.length === 0),
      leaders,
      leadersUntil: now + this.#options.answerTimeoutMs,
    })
    return true
  }

  /** Another host sent the statement of a request, so a host has answered it. True if it waited here. */
  handleAnswered(key: ItemKey, version: string): boolean {
    const waiting = this.#waiting.get(key)
    return waiting !== undefined && version >= waiting.version && this.#waiting.delete(key)
  }

  /** Another host announces that it is awake. */
  handleAnnouncement(now: number, from: HostId): StandbyAction<Request>[] {
    const { self, hosts } = this.#options
    if (!hosts.includes(from)) return []
    this.#asleep.delete(from)
    if (from < self) this.#leaders.add(from)
    if (!this.#isAwake) return []
    if (from < self) {
      this.#isAwake = false
      this.#announceAt = Infinity
      return [{ type: 'sleep' }]
    }
    // It has not got our announcement. Start again with short intervals.
    if (this.#announceMs > this.#options.answerTimeoutMs) this.#announceSoon(now)
    return []
  }

  handleTimeout(now: number): StandbyAction<Request>[] {
    const actions: StandbyAction<Request>[] = []
    this.#noteSilentLeaders(now)
    if (!this.#isAwake && now >= this.#dueAt) {
      this.#isAwake = true
      this.#leaders.clear()
      actions.push({ type: 'wake', answer: [...this.#waiting.values()].map(({ request }) => request) })
      this.#waiting.clear()
      this.#announceSoon(now)
    }
    if (now >= this.#announceAt) {
      for (const to of this.#options.hosts) actions.push({ type: 'announce', to })
      this.#announceAt = now + this.#announceMs
      this.#announceMs = Math.min(2 * this.#announceMs, standbyLimits.longestAnnounceMs)
    }
    return actions
  }

  nextTimeout(): number | null {
    const next = this.#isAwake ? this.#announceAt : Math.min(this.#dueAt, this.#leadersDueAt)
    return next === Infinity ? null : next
  }

  #announceSoon(now: number): void {
    this.#announceAt = now
    this.#announceMs = this.#options.answerTimeoutMs
  }

  #noteSilentLeaders(now: number): void {
    for (const { leaders, leadersUntil } of this.#waiting.values()) {
      if (now < leadersUntil) continue
      for (const leader of leaders) if (this.#leaders.delete(leader)) this.#asleep.add(leader)
    }
  }

  get #leadersDueAt(): number {
    let first = Infinity
    for (const { leaders, leadersUntil } of this.#waiting.values()) {
      if (leaders.some((leader) => this.#leaders.has(leader))) first = Math.min(first, leadersUntil)
    }
    return first
  }

  get #dueAt(): number {
    const { self, hosts, answerTimeoutMs } = this.#options
    const rank = hosts.filter((host) => host < self && !this.#asleep.has(host)).length
    let first = Infinity
    for (const { since, isLast } of this.#waiting.values()) {
      first = Math.min(first, since + answerTimeoutMs * (isLast ? 1.5 + hosts.length : 1 + rank))
    }
    return first
  }
}
