// The part of Mailpit's web API (v1) that a mailbox needs: search, read, delete. Mailpit keeps the mail of everybody in
// one place, and a deletion without IDs deletes it all: so none is ever sent.

import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import { type HttpAnswer, type HttpRequest, httpRequest } from '../http-request.ts'
import { type MailpitUrl, mayStayInClear, serverName } from '../mail-url.ts'
import { clearTextProblem, loginProblem, serverProblem } from '../server-errors.ts'

type MailpitTiming = { readonly answerMs: number }

/** What a search tells of a mail. */
export type MailpitSummary = {
  readonly id: string
  readonly subject: string
  /** Of To and Cc. */
  readonly recipients: readonly string[]
  readonly sizeBytes: number
}

const pageSize = 500
/** Mails of one search that are looked at; the newest beyond it are found when these are gone. */
export const mostMailpitMails = 20_000
const deleteBatch = 200
/** A page of summaries, each with a snippet and headers of any length. */
const mostPageBytes = 32 * 1024 * 1024

/** One search and, beside it, nothing much. */
const kept = { keepAlive: true, maxSockets: 2 }

const idForm = /^[A-Za-z0-9_-]{1,64}$/

export class MailpitApi {
  readonly #url: MailpitUrl
  readonly #clock: Clock
  readonly #timing: MailpitTiming
  readonly #base: string
  readonly #agent: HttpAgent
  readonly #headers: Readonly<Record<string, string>>

  constructor(url: MailpitUrl, clock: Clock, timing: MailpitTiming) {
    this.#url = url
    this.#clock = clock
    this.#timing = timing
    const isSecure = url.tls === 'always'
    const scheme = isSecure ? 'https' : 'http'
    this.#agent = isSecure ? new HttpsAgent(kept) : new HttpAgent(kept)
    const path = url.path === '' ? '' : `/${url.path}`
    this.#base = `${scheme}://${serverName(url)}${path}`
    if (url.user !== null && url.tls !== 'always' && !mayStayInClear(url))
      throw clearTextProblem('Mailpit', url)
    const login = Buffer.from(`${url.user ?? ''}:${url.password ?? ''}`).toString('base64')
    this.#headers = url.user === null ? {} : { authorization: `Basic ${login}` }
  }

  /** A WebSocket that says something when mail has come. The caller closes it. */
  events(): WebSocket {
    return new WebSocket(`${this.#base.replace(/^http/, 'ws')}/api/events`, { headers: this.#headers })
  }

  /** Rejects with a Problem while Mailpit cannot be used. */
  async ready(): Promise<void> {
    await this.#request('GET', '/readyz', 4_096)
    // /readyz asks for no password on some versions.
    await this.#request('GET', '/api/v1/messages?limit=1', mostPageBytes)
  }

  /** All mails whose subject contains this, or all there are when null; oldest first. */
  async search(subject: string | null): Promise<MailpitSummary[]> {
    const found = new Map<string, MailpitSummary>()
    for (let start = 0; start < mostMailpitMails; start += pageSize) {
      const page = `start=${start}&limit=${pageSize}`
      const query = subject === null ? '' : `&query=${encodeURIComponent(`subject:"${subject}"`)}`
      const path = subject === null ? `/api/v1/messages?${page}` : `/api/v1/search?${page}${query}`
      const summaries = this.#summaries(await this.#json('GET', path))
      // Mails that come meanwhile push others to the next page, where they are seen twice.
      for (const summary of summaries) found.set(summary.id, summary)
      if (summaries.length < pageSize) break
    }
    return [...found.values()].reverse()
  }

  /** The bytes of a mail, at most `mostBytes` and one more; null where it is gone. Marks nothing as read. */
  async raw(id: string, mostBytes: number): Promise<Uint8Array | null> {
    const answer = await this.#request('GET', `/api/v1/message/${id}/raw`, mostBytes + 1, [404, 400])
    return answer.status === 200 ? answer.body : null
  }

  /** Mails that are gone already are no failure. Does nothing with an empty list. */
  async delete(ids: readonly string[]): Promise<void> {
    const valid = ids.filter((id) => idForm.test(id))
    for (let at = 0; at < valid.length; at += deleteBatch) {
      const batch = valid.slice(at, at + deleteBatch)
      // Without IDs it would delete everybody's mail.
      if (batch.length === 0) continue
      await this.#request('DELETE', '/api/v1/messages', 4_096, [], JSON.stringify({ IDs: batch }))
    }
  }

  #summaries(answer: unknown): MailpitSummary[] {
    const { messages } = (answer ?? {}) as { messages?: unknown }
    if (!Array.isArray(messages)) throw this.#strange()
    return messages.flatMap((message: unknown) => summaryOf(message) ?? [])
  }

  async #json(method: HttpRequest['method'], path: string): Promise<unknown> {
    const { body } = await this.#request(method, path, mostPageBytes)
    try {
      return JSON.parse(Buffer.from(body).toString('utf8'))
    } catch {
      throw this.#strange()
    }
  }

  async #request(
    method: HttpRequest['method'],
    path: string,
    mostBytes: number,
    expected: readonly number[] = [],
    body?: string,
  ): Promise<HttpAnswer> {
    try {
      const answer = await httpRequest(this.#clock, {
        ...{ method, url: `${this.#base}${path}`, headers: this.#headers, agent: this.#agent },
        ...{ mostBytes, answerMs: this.#timing.answerMs },
        ...(body === undefined ? {} : { body: { type: 'application/json', text: body } }),
      })
      if (answer.status === 401 || answer.status === 403) {
        throw loginProblem('Mailpit', this.#url, new Error(`it answers ${answer.status}`))
      }
      if (answer.status !== 200 && !expected.includes(answer.status)) throw this.#strange(answer.status)
      return answer
    } catch (error) {
      throw serverProblem('Mailpit', this.#url, error)
    }
  }

  /** Closes the connections that are kept for the next request; what made one fail has mostly met all. */
  hangUp(): void {
    this.#agent.destroy()
  }

  #strange(status?: number): Problem {
    const what = status === undefined ? 'not as Mailpit does' : `with the HTTP status ${status}`
    return new Problem(
      'mail-server',
      `The server ${serverName(this.#url)} answers ${what}.`,
      'Check that Mailpit listens there; a path before its API goes into the URL (mailpit+http://SERVER:8025/PATH).',
    )
  }
}

function summaryOf(message: unknown): MailpitSummary | null {
  const { ID, Subject, Size } = (message ?? {}) as Record<string, unknown>
  if (typeof ID !== 'string' || !idForm.test(ID)) return null
  return {
    id: ID,
    subject: typeof Subject === 'string' ? Subject : '',
    recipients: recipientsOf(message),
    sizeBytes: typeof Size === 'number' ? Size : 0,
  }
}

/** Of To and Cc of a summary. */
export function recipientsOf(message: unknown): string[] {
  const { To, Cc } = (message ?? {}) as Record<string, unknown>
  return [...addresses(To), ...addresses(Cc)]
}

function addresses(list: unknown): string[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((entry: unknown) => {
    const { Address } = (entry ?? {}) as Record<string, unknown>
    return typeof Address === 'string' ? [Address] : []
  })
}
