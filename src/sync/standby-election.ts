// Which of several hosts that can stand in for each other answers requests (A15). All hold the table; one is
// awake and answers, the others stand by. The host that answers a request reports this to the others (table-sync.ts). So
// if no report comes, no host has answered, and one that stands by wakes:
//
//     standby ── a request that no host tells of for patienceMs × (rank + 1) ──> awake, answers what waits
//     a leader was asked, too, and tells nothing for patienceMs ──> it sleeps, or is gone: our rank leaves it out
//     awake ── a host that comes before us is awake, too: our leader ──> standby
//
// Hosts need not all know each other. At rest no two that do are awake, and each agent asks one that is: of a chain
// A–B–C, where A leads B, C wakes for its own agents, which do not know A; so B waits longest for those.
//
// An awake host says so when it wakes and ever more seldom afterwards, so that two that woke at once find each other.
// Pure: time is handed in. Ranks are the order of the hosts' keys, the same for all.

import type { ItemKey } from './item-version.ts'
import type { HostId } from './table-sync.ts'

export const standingLimits = {
  /** Requests that wait to be told of; beyond it the oldest are answered by whoever is asked again. */
  waiting: 1_024,
  /** Between two announcements of an awake host, at last. */
  longestAnnounceMs: 60 * 60_000,
} as const

export type StandbyAction<Request> =
  /** `answer`: those that wait, oldest first. */
  | { readonly type: 'wake'; readonly answer: readonly Request[] }
  | { readonly type: 'sleep' }
  | { readonly type: 'announce'; readonly to: HostId }

export type StandbyElectionOptions = {
  readonly self: HostId
  readonly hosts: readonly HostId[]
  /** How long a host that is awake may take to tell of a request. */
  readonly patienceMs: number
}

type Waiting<Request> = {
  readonly version: string
  readonly request: Request
  /** The first time; who asks again is not put off. */
  readonly since: number
  /** Others should answer that have no leader. */
  readonly isLast: boolean
  /** Our leaders that were asked, too, and until when an awake one tells of the request. */
  readonly leaders: readonly HostId[]
  readonly leadersUntil: number
}

export class StandbyElection<Request> {
  readonly #options: StandbyElectionOptions
  /** By its entry's key, oldest first. */
  readonly #waiting = new Map<ItemKey, Waiting<Request>>()
  #isAwake = false
  /** Those that come before us and are awake, as far as we know. What none of them is asked, others should answer that have
   *  no leader: if we did, ours would put us to sleep again, and nobody would be awake for those agents. */
  readonly #leaders = new Set<HostId>()
  /** Those that come before us and did not answer what they should have: another host leads them, or they are gone. A host
   *  says when it wakes, but not when it goes to sleep. */
  readonly #asleep = new Set<HostId>()
  #announceAt = Infinity
  #announceMs = 0

  constructor(options: StandbyElectionOptions) {
    this.#options = options
  }

  get isAwake(): boolean {
    return this.#isAwake
  }

  /** An agent asked us, and those of the other hosts that are `asked`. False when it has to be answered now. */
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
    if (!before && oldest !== undefined && this.#waiting.size >= standingLimits.waiting)
      this.#waiting.delete(oldest)
    const leaders = asked.filter((host) => this.#leaders.has(host))
    this.#waiting.set(key, {
      version,
      request,
      since: before?.since ?? now,
      isLast: before?.isLast ?? (this.#leaders.size > 0 && leaders.length === 0),
      leaders,
      leadersUntil: now + this.#options.patienceMs,
    })
    return true
  }

  /** Another host tells of a request, so some host has answered it. True when it waited here. */
  handleTold(key: ItemKey, version: string): boolean {
    const waiting = this.#waiting.get(key)
    return waiting !== undefined && version >= waiting.version && this.#waiting.delete(key)
  }

  /** Another host says that it is awake. */
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
    // It has not heard us: soon again, and as often as after waking.
    if (this.#announceMs > this.#options.patienceMs) this.#announceSoon(now)
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
      this.#announceMs = Math.min(2 * this.#announceMs, standingLimits.longestAnnounceMs)
    }
    return actions
  }

  nextTimeout(): number | null {
    const next = this.#isAwake ? this.#announceAt : Math.min(this.#dueAt, this.#leadersDueAt)
    return next === Infinity ? null : next
  }

  #announceSoon(now: number): void {
    this.#announceAt = now
    this.#announceMs = this.#options.patienceMs
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
    const { self, hosts, patienceMs } = this.#options
    const rank = hosts.filter((host) => host < self && !this.#asleep.has(host)).length
    let first = Infinity
    for (const { since, isLast } of this.#waiting.values()) {
      first = Math.min(first, since + patienceMs * (isLast ? 1.5 + hosts.length : 1 + rank))
    }
    return first
  }
}
