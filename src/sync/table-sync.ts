// Keeps one host's table in step with those of the hosts it knows (A13). What changes here is told soon, a few
// changes to a letter; and from time to time the tables are compared, which finds whatever letters were lost. A host
// that tells what we know already is not passed on, so echoes end.
//
//     a change ── tellAfterMs ──> table letter to all but the host it came from
//     every periodMs ──> groups ──> leaves ──> items ──> table letters, both ways          (comparison.ts)
//
// Pure: the table, the time and the chance are handed in. What was not told when the program ends is found by the next
// comparison, so nothing here need be kept.

import { type Rate, TokenBucket } from '../base/token-bucket.ts'
import type { Comparison } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import type { ItemKey } from './item-version.ts'
import { answer, type ComparedTable } from './table-diff.ts'

/** A host's user ID in hexadecimal. */
export type HostId = string

export interface ExchangedTable extends ComparedTable {
  readonly isEmpty: boolean
  /** Bytes that its statement takes in a letter; null when there is none any more. */
  statementBytes(key: ItemKey): number | null
}

export type TableSyncSettings = {
  /** Changes are gathered so long before they are told. */
  readonly tellAfterMs: number
  /** Between two comparisons with the same host; longer, up to 16 times, while they find nothing that helps. */
  readonly periodMs: number
}

export const defaultExchangeSettings: TableSyncSettings = { tellAfterMs: 2_000, periodMs: 10 * 60_000 }

export type ExchangeAction =
  | { readonly type: 'compare'; readonly to: HostId; readonly comparison: Comparison }
  /** Their statements go into one table letter. */
  | { readonly type: 'tell'; readonly to: HostId; readonly keys: readonly ItemKey[] }

export type TableSyncOptions = {
  readonly hosts: readonly HostId[]
  readonly table: ExchangedTable
  /** 0..1. */
  readonly random: () => number
  readonly settings: TableSyncSettings
  readonly now: number
}

export const exchangeLimits = {
  /** Statements waiting to be told to one host; beyond it the oldest are left to the next comparison. */
  waiting: 10_000,
  /** Of a table letter's statements, so that it fits a letter. */
  letterBytes: 15_000,
} as const

/** Letters to one host: a host that asks without end is answered so often. */
const letters: Rate = { burst: 60, perSecond: 0.5 }
/** A host that has nothing asks another one, when nothing came. */
const askNewestAgainMs = 60_000
const longestPeriods = 16

type Neighbour = {
  readonly id: HostId
  readonly letters: TokenBucket
  /** In the order in which they changed. */
  readonly waiting: Set<ItemKey>
  /** When they are told; `Infinity` while there are none. */
  tellAt: number
  compareAt: number
  /** Periods to the next comparison. */
  periods: number
  /** Whether the table changed since the last comparison. */
  isWorthComparing: boolean
}

export class TableSync {
  readonly #options: TableSyncOptions
  readonly #peerHosts: ReadonlyMap<HostId, Neighbour>
  #askNewestAt: number
  #askedNewest = 0

  constructor(options: TableSyncOptions) {
    const { hosts, now, table } = options
    this.#options = options
    this.#peerHosts = new Map(hosts.map((id) => [id, this.#neighbour(id)]))
    this.#askNewestAt = table.isEmpty && hosts.length > 0 ? now : Infinity
  }

  #neighbour(id: HostId): Neighbour {
    const { now, random, table, settings } = this.#options
    // Whoever has nothing asks for the newest first, so that it is useful at once.
    const firstMs = table.isEmpty ? askNewestAgainMs : settings.tellAfterMs
    return {
      id,
      letters: new TokenBucket(now, letters),
      waiting: new Set(),
      tellAt: Infinity,
      compareAt: now + firstMs * (0.5 + random()),
      periods: 1,
      isWorthComparing: true,
    }
  }

  /** A `table-request` of a host that we know. */
  handleComparison(now: number, from: HostId, comparison: Comparison): ExchangeAction[] {
    const neighbour = this.#peerHosts.get(from)
    if (!neighbour) return []
    const { table } = this.#options
    const { comparisons, send } = answer(table, comparison)
    // Either of the two asks; the other need not ask again.
    if (comparison.groups) this.#compareLater(now, neighbour)
    for (const key of send) this.#wait(now, neighbour, key, 0)
    const actions: ExchangeAction[] = []
    for (const next of comparisons) {
      if (neighbour.letters.tryTake(now)) actions.push({ type: 'compare', to: from, comparison: next })
    }
    return actions
  }

  /** A statement is newer than before. `from`: the host that told of it, or null when the agent itself did. */
  noteChange(now: number, key: ItemKey, from: HostId | null, knownTo: readonly HostId[] = []): void {
    const { settings } = this.#options
    for (const neighbour of this.#peerHosts.values()) {
      neighbour.isWorthComparing = true
      neighbour.compareAt = Math.min(neighbour.compareAt, now + settings.periodMs)
      if (neighbour.id === from || knownTo.includes(neighbour.id)) continue
      this.#wait(now, neighbour, key, settings.tellAfterMs)
    }
  }

  handleTimeout(now: number): ExchangeAction[] {
    const actions: ExchangeAction[] = []
    if (now >= this.#askNewestAt) actions.push(...this.#askNewest(now))
    for (const neighbour of this.#peerHosts.values()) {
      if (now >= neighbour.tellAt) actions.push(...this.#tell(now, neighbour))
      if (now >= neighbour.compareAt) actions.push(...this.#compare(now, neighbour))
    }
    return actions
  }

  nextTimeout(): number | null {
    let next = this.#askNewestAt
    for (const { tellAt, compareAt } of this.#peerHosts.values()) next = Math.min(next, tellAt, compareAt)
    return next === Infinity ? null : next
  }

  #wait(now: number, neighbour: Neighbour, key: ItemKey, afterMs: number): void {
    const { waiting } = neighbour
    const [oldest] = waiting
    if (oldest !== undefined && waiting.size >= exchangeLimits.waiting) waiting.delete(oldest)
    waiting.add(key)
    neighbour.tellAt = Math.min(neighbour.tellAt, now + afterMs)
  }

  #tell(now: number, neighbour: Neighbour): ExchangeAction[] {
    const actions: ExchangeAction[] = []
    while (neighbour.waiting.size > 0 && neighbour.letters.tryTake(now)) {
      const keys = this.#nextLetter(neighbour.waiting)
      if (keys.length > 0) actions.push({ type: 'tell', to: neighbour.id, keys })
    }
    neighbour.tellAt = neighbour.waiting.size === 0 ? Infinity : neighbour.letters.readyAt(1)
    return actions
  }

  /** As many as one letter holds; they wait no longer. */
  #nextLetter(waiting: Set<ItemKey>): ItemKey[] {
    const keys: ItemKey[] = []
    let bytes = 0
    for (const key of waiting) {
      const more = this.#options.table.statementBytes(key)
      if (more !== null && keys.length > 0 && bytes + more > exchangeLimits.letterBytes) break
      waiting.delete(key)
      if (more === null) continue
      bytes += more
      keys.push(key)
      if (keys.length >= limits.tableStatements) break
    }
    return keys
  }

  #compare(now: number, neighbour: Neighbour): ExchangeAction[] {
    const isFutile = !neighbour.isWorthComparing
    neighbour.periods = isFutile ? Math.min(2 * neighbour.periods, longestPeriods) : 1
    neighbour.isWorthComparing = false
    this.#compareLater(now, neighbour)
    if (!neighbour.letters.tryTake(now)) return []
    const comparison = { groups: this.#options.table.groupPrints() }
    return [{ type: 'compare', to: neighbour.id, comparison }]
  }

  /** A little apart from each other, so that mostly one of two hosts asks. */
  #compareLater(now: number, neighbour: Neighbour): void {
    const { settings, random } = this.#options
    neighbour.compareAt = now + settings.periodMs * neighbour.periods * (0.9 + 0.2 * random())
  }

  /** Of one host after the other, until something is here. */
  #askNewest(now: number): ExchangeAction[] {
    const { table, hosts } = this.#options
    const to = hosts[this.#askedNewest % hosts.length]
    if (!table.isEmpty || to === undefined || this.#askedNewest >= 2 * hosts.length) {
      this.#askNewestAt = Infinity
      return []
    }
    this.#askedNewest++
    this.#askNewestAt = now + askNewestAgainMs
    return [{ type: 'compare', to, comparison: { newest: true } }]
  }
}
