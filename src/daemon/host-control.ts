// Reports the status of a host. Addresses and keys are masked: whoever runs a host need not see who meets.

import type { Clock } from '../base/clock.ts'
import type { Problem } from '../base/problem.ts'
import type { Host, HostEvent, HostSettings } from '../host/host.ts'
import { maskText } from '../wording/mask-addresses.ts'
import { instant } from './agent-status.ts'
import type { HostAdmin } from './host-admin.ts'
import { type HostVitals, hostMetrics, hostUnready } from './host-health.ts'
import type { HostStatus } from './host-schemas.ts'
import { MailboxStatus, type ShownMailbox } from './mailbox-status.ts'
import type { Metric } from './metrics.ts'

export type HostControlOptions = {
  readonly clock: Clock
  readonly host: Pick<Host, 'counters' | 'scannedAt'>
  readonly settings: Pick<HostSettings, 'capacity' | 'outboxCapacity' | 'seenCapacity' | 'perDay'>
  readonly address: string
  readonly rooms: readonly string[]
  /** The host is ready only if the last successful scan of the mailbox is not older. */
  readonly maxScanAgeMs: number
  readonly admin: HostAdmin
}

export class HostControl {
  #options: HostControlOptions
  readonly #startedAt: number
  #isReady = false
  #stateAt: number
  readonly #mailbox: MailboxStatus
  #trouble: HostStatus['trouble'] = null

  constructor(options: HostControlOptions) {
    this.#options = options
    this.#startedAt = options.clock.wallNow()
    this.#stateAt = this.#startedAt
    this.#mailbox = new MailboxStatus(this.#startedAt)
  }

  /** Called when a new host with a new config replaces the running one. */
  replaceHost(next: Omit<HostControlOptions, 'clock'>): void {
    this.#options = { ...this.#options, ...next }
    this.#isReady = false
    this.#stateAt = this.#options.clock.wallNow()
  }

  /** Called for every event of the host. */
  handleEvent(event: HostEvent): void {
    const now = this.#options.clock.wallNow()
    if (event.event === 'ready') {
      this.#isReady = true
      this.#stateAt = now
    } else if (event.event === 'mailbox') {
      this.#mailbox.handle(event, now)
    } else if (event.event === 'trouble') {
      const { message, remedy } = event.problem
      this.#trouble = { at: instant(now), message: maskText(message), remedy: maskText(remedy) }
    }
  }

  get clock(): Clock {
    return this.#options.clock
  }

  /** That of the running host. */
  get admin(): HostAdmin {
    return this.#options.admin
  }

  unready(): Problem | null {
    return hostUnready(this.#vitals)
  }

  metrics(): readonly Metric[] {
    return hostMetrics(this.#vitals)
  }

  get #vitals(): HostVitals {
    const { host, clock, maxScanAgeMs } = this.#options
    return {
      status: () => this.status(),
      scanAgeMs: () => (host.scannedAt === null ? null : clock.now() - host.scannedAt),
      maxScanAgeMs,
    }
  }

  status(): HostStatus {
    const { host, settings, address, rooms } = this.#options
    const counters = host.counters()
    return {
      role: 'host',
      address: maskText(address),
      rooms: [...rooms],
      startedAt: instant(this.#startedAt),
      state: this.#isReady ? 'ready' : 'starting',
      since: instant(this.#stateAt),
      mailbox: maskedMailbox(this.#mailbox.shown),
      letters: Object.entries(counters.letters).map(([name, count]) => {
        const [kind = '', outcome = '', reason = null] = name.split(' ')
        return { kind, outcome: outcome === 'accepted' ? outcome : 'dropped', reason, count }
      }),
      mails: Object.entries(counters.mails).map(([name, count]) => {
        const [kind = '', outcome = ''] = name.split(' ')
        return { kind, outcome, count }
      }),
      waitingIntroductions: counters.waitingIntroductions,
      budgets: {
        table: { used: counters.entries, limit: settings.capacity },
        outbox: { used: counters.waitingMails, limit: settings.outboxCapacity },
        letterIds: { used: counters.seenLetters, limit: settings.seenCapacity },
        sentInDay: { used: counters.sentInDay, limit: settings.perDay === 0 ? null : settings.perDay },
      },
      trouble: this.#trouble,
    }
  }
}

function maskedMailbox({ state, reason, since }: ShownMailbox): ShownMailbox {
  return { state, reason: reason === null ? null : maskText(reason), since }
}
