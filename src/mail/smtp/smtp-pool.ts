// A few connections to one SMTP server that stay open, and the mails that wait for one of them. Knows nothing of
// second attempts.

import type { Clock } from '../../base/clock.ts'
import type { AccessToken } from '../auth/credentials.ts'
import type { SmtpUrl } from '../mail-url.ts'
import type { OutgoingMail } from '../sender.ts'
import { SmtpConnection, type SmtpTiming } from './smtp-connection.ts'
import { isLostConnection, type RejectedRecipient } from './smtp-outcome.ts'

/** Some servers stop taking mails on one connection after a while. */
const mailsPerConnection = 100

/** Given up before the mail was sent; whether it was taken is not known. */
const cancelled = Object.assign(new Error('the sending was cancelled'), { code: 'EABORT' })

type Job = {
  readonly mail: OutgoingMail
  readonly resolve: (rejected: readonly RejectedRecipient[]) => void
  readonly reject: (error: unknown) => void
  connection: SmtpConnection | null
  mayBeTaken: boolean
}

export type Sending = {
  /** Resolves with the recipients that were refused while the mail was taken for others. */
  readonly taken: Promise<readonly RejectedRecipient[]>
  /** The server had its bytes. */
  readonly mayBeTaken: boolean
  cancel(): void
}

export class SmtpPool {
  readonly #url: SmtpUrl
  readonly #token: AccessToken | undefined
  readonly #clock: Clock
  readonly #timing: SmtpTiming
  readonly #limit: number
  /** Bounded by whoever hands in mails. */
  #waiting: Job[] = []
  /** Last used last. `since` is monotonic ms. */
  #idle: { readonly connection: SmtpConnection; readonly since: number }[] = []
  /** At most `#limit`. */
  readonly #open = new Set<SmtpConnection>()
  /** Saying goodbye. */
  readonly #leaving = new Set<SmtpConnection>()
  #cancelIdleTimer: (() => void) | null = null
  #closed = false

  constructor(url: SmtpUrl, clock: Clock, timing: SmtpTiming, connections: number, token?: AccessToken) {
    this.#url = url
    this.#token = token
    this.#clock = clock
    this.#timing = timing
    this.#limit = connections
  }

  send(mail: OutgoingMail): Sending {
    const { promise: taken, resolve, reject } = Promise.withResolvers<readonly RejectedRecipient[]>()
    const job: Job = { mail, resolve, reject, connection: null, mayBeTaken: false }
    this.#waiting.push(job)
    this.#assign()
    return {
      taken,
      cancel: () => this.#cancel(job),
      get mayBeTaken() {
        return job.mayBeTaken
      },
    }
  }

  /** Connects and logs in once. */
  async verify(): Promise<void> {
    const connection = this.#connect()
    try {
      await connection.open()
    } catch (error) {
      connection.close()
      throw error
    }
    this.#release(connection)
  }

  /** Without a goodbye, since nobody may hear it. */
  dropIdle(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close()
  }

  /** At once; mails under way and waiting fail. */
  close(): void {
    this.#closed = true
    this.#cancelIdleTimer?.()
    for (const { reject } of this.#waiting.splice(0)) reject(cancelled)
    for (const connection of [...this.#open, ...this.#leaving]) connection.close()
  }

  #cancel(job: Job): void {
    job.connection?.close()
    this.#waiting = this.#waiting.filter((other) => other !== job)
    job.reject(cancelled)
  }

  #assign(): void {
    while (this.#waiting.length > 0 && !this.#closed) {
      const idle = this.#idle.pop()?.connection
      if (idle === undefined && this.#open.size >= this.#limit) return
      const job = this.#waiting.shift()
      if (job) void this.#run(job, idle ?? this.#connect(), idle === undefined)
    }
  }

  async #run(job: Job, connection: SmtpConnection, isNew: boolean): Promise<void> {
    job.connection = connection
    try {
      if (isNew) await connection.open()
      const rejected = await connection.send(job.mail, () => {
        job.mayBeTaken = true
      })
      this.#release(connection)
      job.resolve(rejected)
    } catch (error) {
      // What made the server drop one connection has mostly met those that are idle, too.
      if (isLostConnection(error)) this.dropIdle()
      job.reject(error)
      if (await connection.isUsableAfter(error)) this.#release(connection)
      else connection.close()
    }
  }

  #connect(): SmtpConnection {
    const connection: SmtpConnection = new SmtpConnection(this.#url, this.#timing, this.#token, () => {
      this.#open.delete(connection)
      this.#leaving.delete(connection)
      this.#idle = this.#idle.filter((one) => one.connection !== connection)
      this.#assign()
    })
    this.#open.add(connection)
    return connection
  }

  #release(connection: SmtpConnection): void {
    // It may have ended since.
    if (!this.#open.has(connection)) return
    if (connection.mails >= mailsPerConnection) {
      this.#leave(connection)
    } else {
      this.#idle.push({ connection, since: this.#clock.now() })
      this.#watchIdle()
    }
    this.#assign()
  }

  #leave(connection: SmtpConnection): void {
    this.#open.delete(connection)
    this.#leaving.add(connection)
    connection.quit()
  }

  /** One timer for all of them: the longest idle is the first. */
  #watchIdle(): void {
    const [longest] = this.#idle
    if (this.#cancelIdleTimer || this.#closed || longest === undefined) return
    const leftMs = longest.since + this.#timing.idleMs - this.#clock.now()
    this.#cancelIdleTimer = this.#clock.after(Math.max(1, leftMs), () => {
      this.#cancelIdleTimer = null
      const until = this.#clock.now() - this.#timing.idleMs
      const tired = this.#idle.filter(({ since }) => since <= until)
      this.#idle = this.#idle.filter(({ since }) => since > until)
      for (const { connection } of tired) this.#leave(connection)
      this.#watchIdle()
    })
  }
}
