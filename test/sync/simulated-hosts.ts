// Hosts on virtual time that exchange tables by mail. Letters are late, lost or doubled, and hosts are separated at times.

import type { Comparison } from '../../src/letter/letter-types.ts'
import { defaultSyncSettings, type HostId, type SyncAction, TableSync } from '../../src/sync/table-sync.ts'
import { SimulatedTime } from '../harness/simulator/simulated-time.ts'
import type { MemoryTable, Statement } from './memory-table.ts'

export type Faults = {
  readonly delayMs: readonly [least: number, most: number]
  readonly lost: number
  readonly doubled: number
}

type SimulatedHost = { readonly id: HostId; readonly table: MemoryTable; sync: TableSync | null }
type Letter = { readonly comparison: Comparison } | { readonly statements: readonly Statement[] }

export class SimulatedHosts {
  readonly time = new SimulatedTime()
  readonly hosts: readonly SimulatedHost[]
  readonly #random: () => number
  faults: Faults = { delayMs: [500, 2_000], lost: 0, doubled: 0 }
  /** Hosts in different networks cannot reach each other. */
  readonly #networks = new Map<HostId, number>()
  readonly #timers = new Map<HostId, () => void>()
  readonly sent: { readonly from: HostId; readonly to: HostId; readonly letter: Letter }[] = []

  /** The hosts start one after the other, `apartMs` apart. */
  constructor(tables: readonly MemoryTable[], random: () => number, apartMs = 0) {
    this.#random = random
    this.hosts = tables.map((table, index) => ({ id: `host ${index}`, table, sync: null }))
    for (const index of tables.keys()) this.time.after(index * apartMs, () => this.restart(index))
  }

  host(index: number): SimulatedHost {
    return this.hosts[index] as SimulatedHost
  }

  /** The host starts again with its old table. */
  restart(index: number): void {
    const host = this.host(index)
    host.sync = new TableSync({
      hosts: this.hosts.map(({ id }) => id).filter((id) => id !== host.id),
      table: host.table,
      random: this.#random,
      settings: defaultSyncSettings,
      now: this.time.now(),
    })
    this.#arm(host)
  }

  separate(index: number, network: number): void {
    this.#networks.set(this.host(index).id, network)
  }

  /** A letter of an agent reaches this host. */
  receive(index: number, statement: Statement): void {
    const host = this.host(index)
    if (host.table.take(statement)) host.sync?.noteChange(this.time.now(), statement.key, null)
    this.#arm(host)
  }

  get areEqual(): boolean {
    const [first, ...others] = this.hosts.map(({ table }) => table.content)
    return others.every((content) => content === first)
  }

  #arm(host: SimulatedHost): void {
    this.#timers.get(host.id)?.()
    const due = host.sync?.nextTimeout() ?? null
    if (due === null) return
    const cancel = this.time.after(due - this.time.now(), () => {
      this.#perform(host, host.sync?.handleTimeout(this.time.now()) ?? [])
    })
    this.#timers.set(host.id, cancel)
  }

  #perform(host: SimulatedHost, actions: readonly SyncAction[]): void {
    for (const action of actions) {
      const letter: Letter =
        action.type === 'compare'
          ? { comparison: action.comparison }
          : { statements: action.keys.flatMap((key) => host.table.get(key) ?? []) }
      this.#mail(host.id, action.to, letter)
    }
    this.#arm(host)
  }

  #mail(from: HostId, to: HostId, letter: Letter): void {
    this.sent.push({ from, to, letter })
    const { delayMs, lost, doubled } = this.faults
    const copies = this.#random() < lost ? 0 : this.#random() < doubled ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const late = delayMs[0] + this.#random() * (delayMs[1] - delayMs[0])
      this.time.after(late, () => {
        if ((this.#networks.get(from) ?? 0) === (this.#networks.get(to) ?? 0)) this.#receive(from, to, letter)
      })
    }
  }

  #receive(from: HostId, to: HostId, letter: Letter): void {
    const host = this.hosts.find(({ id }) => id === to)
    if (!host) return
    const now = this.time.now()
    if ('comparison' in letter) {
      this.#perform(host, host.sync?.handleComparison(now, from, letter.comparison) ?? [])
      return
    }
    for (const statement of letter.statements) {
      if (host.table.take(statement)) host.sync?.noteChange(now, statement.key, from)
    }
    this.#arm(host)
  }
}
