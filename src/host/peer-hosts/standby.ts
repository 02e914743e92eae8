// A host that may stand by (A15): it keeps its table up to date, but answers no agents while another host does.

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
import type { OutgoingHostLetters } from './outgoing-host-letters.ts'

/** A request in the table of this host that another host may answer. */
export type HeldRequest = {
  readonly letter: RequestLetter
  readonly signed: Uint8Array
  readonly messageId: string | null
}

type StandbyOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly statements: SignedStatements
  readonly outgoingLetters: OutgoingHostLetters
}

export class Standby {
  readonly #context: HostContext
  readonly #options: StandbyOptions
  /** Null: this host is always awake, because it has no standby setting or knows no other host. */
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

  /** Whether this host answers a letter. `otherHosts`: the hosts to which the same mail went. A standby host answers when
   *  there are none, because the agent then knows no other host. */
  mustAnswer(otherHosts: readonly HostId[]): boolean {
    return this.isAwake || otherHosts.length === 0
  }

  /** `onUnanswered`: called inside a transaction with requests that no other host answered. */
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

  /** Leaves the request to another host until that host sends its statement or this one answers it. This host sends the
   *  statement only after its own answer: otherwise two standby hosts would each believe that the other one answered. */
  hold(held: HeldRequest, otherHosts: readonly HostId[]): void {
    const { clock, crypto } = this.#context
    const { letter } = held
    const key = this.#options.statements.keyOf(letter.room, letter.from)
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    this.#election?.handleRequest(clock.now(), key, version, held, otherHosts)
    this.#arm()
  }

  /** Another host sent the statement of a request, so it was answered. True when the request was held here. */
  noteAnsweredElsewhere(key: ItemKey, version: string): boolean {
    const hasWaited = this.#election?.handleAnswered(key, version) ?? false
    this.#arm()
    return hasWaited
  }

  /** Another host announced that it is awake. */
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
    if (host) this.#options.outgoingLetters.enqueueTable(host, [])
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
      // If the database fails, the agents send their requests again.
      tryDatabase(this.#context, database, () =>
        database.transaction(() => this.#perform(this.#election?.handleTimeout(clock.now()) ?? [])),
      )
      this.#arm()
    })
  }
}
