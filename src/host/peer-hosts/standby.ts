// A host that may stand by (A15): it keeps the table and answers nobody while another host does.

import { toHex } from '../../base/bytes.ts'
import type { RequestLetter } from '../../letter/letter-types.ts'
import type { ItemKey } from '../../sync/item-version.ts'
import { type StandbyAction, StandbyElection } from '../../sync/standby-election.ts'
import type { HostId } from '../../sync/table-sync.ts'
import { type HostGround, tryTransaction } from '../context.ts'

/** A request that this host has taken into its table, and that another one may answer. */
export type HeldRequest = {
  readonly letter: RequestLetter
  readonly signed: Uint8Array
  readonly messageId: string | null
}

export type StandbyNotices = {
  /** Nobody else answered them; inside a transaction. */
  readonly onAnswer: (held: readonly HeldRequest[]) => void
  /** This host is told that we are awake. */
  readonly onAnnounce: (to: HostId) => void
}

export class Standby {
  readonly #parts: HostGround
  readonly #notices: StandbyNotices
  /** Null: always awake, as who knows no other host is. */
  readonly #standing: StandbyElection<HeldRequest> | null
  #isRunning = false
  #cancelTimer: () => void = () => {}

  constructor(parts: HostGround, hosts: readonly HostId[], notices: StandbyNotices) {
    const { standbyMs } = parts.settings
    this.#parts = parts
    this.#notices = notices
    const self = toHex(parts.self.identity.publicKey)
    this.#standing =
      standbyMs === null || hosts.length === 0
        ? null
        : new StandbyElection({ self, hosts, answerTimeoutMs: standbyMs })
  }

  get isAwake(): boolean {
    return this.#standing?.isAwake ?? true
  }

  start(): void {
    this.#isRunning = true
    if (this.#standing) this.#tell()
    this.#arm()
  }

  stop(): void {
    this.#isRunning = false
    this.#cancelTimer()
  }

  /** Until another host tells of it, or it is answered here. `asked`: other hosts that its mail went to. */
  hold(key: ItemKey, version: string, held: HeldRequest, asked: readonly HostId[]): void {
    this.#standing?.handleRequest(this.#parts.clock.now(), key, version, held, asked)
    this.#arm()
  }

  /** Another host tells of a request. True when it waited here. */
  noteTold(key: ItemKey, version: string): boolean {
    const hasWaited = this.#standing?.handleAnswered(key, version) ?? false
    this.#arm()
    return hasWaited
  }

  /** Another host says that it is awake. */
  noteAnnouncement(from: HostId): void {
    this.#perform(this.#standing?.handleAnnouncement(this.#parts.clock.now(), from) ?? [])
    this.#arm()
  }

  #perform(actions: readonly StandbyAction<HeldRequest>[]): void {
    for (const action of actions) {
      if (action.type === 'announce') this.#notices.onAnnounce(action.to)
      else this.#tell()
      if (action.type === 'wake') this.#notices.onAnswer(action.answer)
    }
  }

  #tell(): void {
    this.#parts.emit({ event: 'standing', state: this.isAwake ? 'awake' : 'standby' })
  }

  #arm(): void {
    this.#cancelTimer()
    const due = this.#isRunning ? (this.#standing?.nextTimeout() ?? null) : null
    if (due === null) return
    const { clock } = this.#parts
    this.#cancelTimer = clock.after(Math.max(1, due - clock.now()), () => {
      // What cannot be answered for the disk's sake is asked again.
      tryTransaction(this.#parts, () => this.#perform(this.#standing?.handleTimeout(clock.now()) ?? []))
      this.#arm()
    })
  }
}
