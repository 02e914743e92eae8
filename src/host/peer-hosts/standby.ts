// A host that may stand by (A15): it keeps the table and answers nobody while another host does.

import { toHex } from '../../base/bytes.ts'
import type { InviteHost } from '../../letter/invite.ts'
import { requestContent } from '../../letter/letter-codec.ts'
import type { RequestLetter } from '../../letter/letter-types.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import { type ItemKey, itemVersion } from '../../sync/item-version.ts'
import { type StandbyAction, StandbyElection } from '../../sync/standby-election.ts'
import type { HostId } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import { tryDatabase } from '../host-problems.ts'
import type { HostMails } from './host-mails.ts'

/** A request that this host has taken into its table, and that another one may answer. */
export type HeldRequest = {
  readonly letter: RequestLetter
  readonly signed: Uint8Array
  readonly messageId: string | null
}

type StandbyOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly statements: SignedStatements
  readonly hostMails: HostMails
}

export class Standby {
  readonly #context: HostContext
  readonly #options: StandbyOptions
  /** Null: always awake, as who knows no other host is. */
  readonly #election: StandbyElection<HeldRequest> | null
  #onUnanswered: (held: readonly HeldRequest[]) => void = () => {}
  #isRunning = false
  #cancelTimer: () => void = () => {}

  constructor(context: HostContext, options: StandbyOptions) {
    this.#context = context
    this.#options = options
    const { standbyMs } = context.settings
    const hosts = [...options.hosts.keys()]
    const self = toHex(context.self.identity.publicKey)
    this.#election =
      standbyMs === null || hosts.length === 0
        ? null
        : new StandbyElection({ self, hosts, answerTimeoutMs: standbyMs })
  }

  get isAwake(): boolean {
    return this.#election?.isAwake ?? true
  }

  /** Whether this host answers a letter. `asked`: other hosts that its mail went to. Also while we stand by, where no other
   *  host can do it: its agent knows us alone. */
  isForUs(asked: readonly HostId[]): boolean {
    return this.isAwake || asked.length === 0
  }

  /** `onUnanswered`: nobody else answered these requests; inside a transaction. */
  start(onUnanswered: (held: readonly HeldRequest[]) => void): void {
    this.#onUnanswered = onUnanswered
    this.#isRunning = true
    if (this.#election) this.#emitState()
    this.#arm()
  }

  stop(): void {
    this.#isRunning = false
    this.#cancelTimer()
  }

  /** The request is left to another host for now: until that tells of it, or it is answered here. It is told to nobody before
   *  it is answered: hosts that both stand by would take each other for the one that answers. */
  hold(held: HeldRequest, asked: readonly HostId[]): void {
    const { clock, crypto } = this.#context
    const { letter } = held
    const key = this.#options.statements.keyOf(letter.room, letter.from)
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    this.#election?.handleRequest(clock.now(), key, version, held, asked)
    this.#arm()
  }

  /** Another host tells of a request. True when it waited here. */
  noteTold(key: ItemKey, version: string): boolean {
    const hasWaited = this.#election?.handleAnswered(key, version) ?? false
    this.#arm()
    return hasWaited
  }

  /** Another host says that it is awake. */
  noteAnnouncement(from: HostId): void {
    this.#perform(this.#election?.handleAnnouncement(this.#context.clock.now(), from) ?? [])
    this.#arm()
  }

  #perform(actions: readonly StandbyAction<HeldRequest>[]): void {
    for (const action of actions) {
      if (action.type === 'announce') this.#announceTo(action.to)
      else this.#emitState()
      if (action.type === 'wake') this.#onUnanswered(action.answer)
    }
  }

  #announceTo(id: HostId): void {
    const host = this.#options.hosts.get(id)
    if (host) this.#options.hostMails.enqueueTable(host, [])
  }

  #emitState(): void {
    this.#context.emit({ event: 'standing', state: this.isAwake ? 'awake' : 'standby' })
  }

  #arm(): void {
    this.#cancelTimer()
    const due = this.#isRunning ? (this.#election?.nextTimeout() ?? null) : null
    if (due === null) return
    const { clock } = this.#context
    const { database } = this.#options
    this.#cancelTimer = clock.after(Math.max(1, due - clock.now()), () => {
      // What cannot be answered for the disk's sake is asked again.
      tryDatabase(this.#context, database, () =>
        database.transaction(() => this.#perform(this.#election?.handleTimeout(clock.now()) ?? [])),
      )
      this.#arm()
    })
  }
}
