// Keeps the tables of several hosts equal (A13). Changes are sent soon, several in one letter. From time to time the tables
// are compared, which also finds changes whose letters were lost. A statement that we know already is not sent on, so no
// statement circulates for ever.
//
//     a change ── sendAfterMs ──> table letter to all hosts but the one it came from
//     every periodMs ──> groups ──> leaves ──> items ──> table letters, both ways          (table-diff.ts)
//
// Pure: table, time and randomness are handed in. The state need not be stored: after a restart the next comparison finds
// what was not sent.

import { type Rate, TokenBucket } from '../base/token-bucket.ts'
import type { Comparison } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import type { ItemKey } from './item-version.ts'
import { answer, type ComparedTable } from './table-diff.ts'

/** A host's user ID in hexadecimal. */
export type HostId = string

export interface SyncedTable extends ComparedTable {
  readonly isEmpty: boolean
  /** The size of the statement in a letter, in bytes. Null if it is gone. */
  statementBytes(key: ItemKey): number | null
}

export type TableSyncSettings = {
  /** Changes are collected for this time before they are sent. */
  readonly sendAfterMs: number
  /** Between two comparisons with the same host. Up to 16 times longer while nothing changes. */
  readonly periodMs: number
}

export const defaultSyncSettings: TableSyncSettings = { sendAfterMs: 2_000, periodMs: 10 * 60_000 }

export type SyncAction =
  | { readonly type: 'compare'; readonly to: HostId; readonly comparison: Comparison }
  /** The statements of these keys go into one table letter. */
  | { readonly type: 'send'; readonly to: HostId; readonly keys: readonly ItemKey[] }

export type TableSyncOptions = {
  readonly hosts: readonly HostId[]
  readonly table: SyncedTable
  /** 0..1. */
  readonly random: () => number
  readonly settings: TableSyncSettings
  readonly now: number
}

export const syncLimits = {
  /** Statements that wait to be sent to one host. Beyond this the oldest is dropped; the next comparison finds it. */
  waiting: 10_000,
  /** All statements in one table letter, so that they fit into a letter. */
  letterBytes: 15_000,
} as const

/** Letters to one host, also if it sends comparisons without end. */
const letters: Rate = { burst: 60, perSecond: 0.5 }
/** A host with an empty table asks another host if nothing came for this time. */
const askNewestAgainMs = 60_000
const longestPeriods = 16

type PeerHost = {
  readonly id: HostId
  readonly letters: TokenBucket
  /** In the order in which they changed. */
  readonly waiting: Set<ItemKey>
  /** When the waiting statements are sent; `Infinity` if there are none. */
  sendAt: number
  compareAt: number
  /** Periods until the next comparison. */
  periods: number
  /** Whether the table changed since the last comparison. */
  hasChanged: boolean
}

export class TableSync {
  readonly #options: TableSyncOptions
  readonly #peerHosts: ReadonlyMap<HostId, PeerHost>
  #askNewestAt: number
  #askedNewest = 0

  constructor(options: TableSyncOptions) {
    const { hosts, now, table } = options
    this.#options = options
    this.#peerHosts = new Map(hosts.map((id) => [id, this.#host(id)]))
    this.#askNewestAt = table.isEmpty && hosts.length > 0 ? now : Infinity
  }

  #host(id: HostId): PeerHost {
    const { now, random, table, settings } = this.#options
    // A host with an empty table first asks for the newest entries, so that it can work soon.
    const firstMs = table.isEmpty ? askNewestAgainMs : settings.sendAfterMs
    return {
      id,
      letters: new TokenBucket(now, letters),
      waiting: new Set(),
      sendAt: Infinity,
      compareAt: now + firstMs * (0.5 + random()),
      periods: 1,
      hasChanged: true,
    }
  }

  /** A `table-request` letter came from a host that we know. */
  handleComparison(now: number, from: HostId, comparison: Comparison): SyncAction[] {
    const host = this.#peerHosts.get(from)
    if (!host) return []
    const { table } = this.#options
    const { comparisons, send } = answer(table, comparison)
    // One comparison serves both hosts.
    if (comparison.groups) this.#compareLater(now, host)
    for (const key of send) this.#wait(now, host, key, 0)
    const actions: SyncAction[] = []
    for (const next of comparisons) {
      if (host.letters.tryTake(now)) actions.push({ type: 'compare', to: from, comparison: next })
    }
    return actions
  }

  /** A statement is newer than before. `from`: the host that sent it, or null if it came from the agent itself. `knownTo`:
   *  hosts that have it already. */
  noteChange(now: number, key: ItemKey, from: HostId | null, knownTo: readonly HostId[] = []): void {
    const { settings } = this.#options
    for (const host of this.#peerHosts.values()) {
      host.hasChanged = true
      host.compareAt = Math.min(host.compareAt, now + settings.periodMs)
      if (host.id === from || knownTo.includes(host.id)) continue
      this.#wait(now, host, key, settings.sendAfterMs)
    }
  }

  handleTimeout(now: number): SyncAction[] {
    const actions: SyncAction[] = []
    if (now >= this.#askNewestAt) actions.push(...this.#askNewest(now))
    for (const host of this.#peerHosts.values()) {
      if (now >= host.sendAt) actions.push(...this.#send(now, host))
      if (now >= host.compareAt) actions.push(...this.#compare(now, host))
    }
    return actions
  }

  nextTimeout(): number | null {
    let next = this.#askNewestAt
    for (const { sendAt, compareAt } of this.#peerHosts.values()) next = Math.min(next, sendAt, compareAt)
    return next === Infinity ? null : next
  }

  #wait(now: number, host: PeerHost, key: ItemKey, afterMs: number): void {
    const { waiting } = host
    const [oldest] = waiting
    if (oldest !== undefined && waiting.size >= syncLimits.waiting) waiting.delete(oldest)
    waiting.add(key)
    host.sendAt = Math.min(host.sendAt, now + afterMs)
  }

  #send(now: number, host: PeerHost): SyncAction[] {
    const actions: SyncAction[] = []
    while (host.waiting.size > 0 && host.letters.tryTake(now)) {
      const keys = this.#nextLetter(host.waiting)
      if (keys.length > 0) actions.push({ type: 'send', to: host.id, keys })
    }
    host.sendAt = host.waiting.size === 0 ? Infinity : host.letters.readyAt(1)
    return actions
  }

  /** Takes as many waiting keys as fit into one letter. */
  #nextLetter(waiting: Set<ItemKey>): ItemKey[] {
    const keys: ItemKey[] = []
    let bytes = 0
    for (const key of waiting) {
      const more = this.#options.table.statementBytes(key)
      if (more !== null && keys.length > 0 && bytes + more > syncLimits.letterBytes) break
      waiting.delete(key)
      if (more === null) continue
      bytes += more
      keys.push(key)
      if (keys.length >= limits.tableStatements) break
    }
    return keys
  }

  #compare(now: number, host: PeerHost): SyncAction[] {
    host.periods = host.hasChanged ? 1 : Math.min(2 * host.periods, longestPeriods)
    host.hasChanged = false
    this.#compareLater(now, host)
    if (!host.letters.tryTake(now)) return []
    const comparison = { groups: this.#options.table.groupHashes() }
    return [{ type: 'compare', to: host.id, comparison }]
  }

  /** At a random time, so that usually only one of two hosts starts a comparison. */
  #compareLater(now: number, host: PeerHost): void {
    const { settings, random } = this.#options
    host.compareAt = now + settings.periodMs * host.periods * (0.9 + 0.2 * random())
  }

  /** Asks one host after the other until the table has entries. */
  #askNewest(now: number): SyncAction[] {
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
