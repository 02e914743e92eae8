// The part of Mailpit's web API (v1) that a mailbox needs: search, read, delete. Mailpit has the mails of all
// recipients in one store, and a deletion without IDs deletes all of them. So such a request is never sent.

import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import { type HttpAnswer, type HttpRequest, httpRequest } from '../http-request.ts'
import { allowsClearText, type MailpitUrl, serverName } from '../mail-url.ts'
import { clearTextProblem, loginProblem, serverProblem } from '../server-errors.ts'

type MailpitTiming = { readonly answerMs: number }

/** A mail in the result of a search. */
export type MailpitSummary = {
  readonly id: string
  readonly subject: string
  /** The addresses of To and Cc. */
  readonly recipients: readonly string[]
  readonly sizeBytes: number
}

const pageSize = 500
/** Mails of one search, at most. Further ones are found when these are gone. */
export const mostMailpitMails = 20_000
const deleteBatch = 200
/** One page of summaries. Each has a snippet and headers of any length. */
const mostPageBytes = 32 * 1024 * 1024

/** A search and one small request at the same time. */
const agentOptions = { keepAlive: true, maxSockets: 2 }

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
    this.#agent = isSecure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions)
    const path = url.path === '' ? '' : `/${url.path}`
    this.#base = `${scheme}://${serverName(url)}${path}`
    if (url.user !== null && url.tls !== 'always' && !allowsClearText(url))
      throw clearTextProblem('Mailpit', url)
    const login = Buffer.from(`${url.user ?? ''}:${url.password ?? ''}`).toString('base64')
    this.#headers = url.user === null ? {} : { authorization: `Basic ${login}` }
  }

  /** A WebSocket that sends an event when mail has come. The caller must close it. */
  events(): WebSocket {
    return new WebSocket(`${this.#base.replace(/^http/, 'ws')}/api/events`, { headers: this.#headers })
  }

  /** Rejects with a Problem if Mailpit cannot be used. */
  async ready(): Promise<void> {
    await this.#request('GET', '/readyz', 4_096)
    // Some versions demand no password for /readyz.
    await this.#request('GET', '/api/v1/messages?limit=1', mostPageBytes)
  }

  /** All mails with this text in the subject, or all mails if it is null. Oldest first. */
  async search(subject: string | null): Promise<MailpitSummary[]> {
    const found = new Map<string, MailpitSummary>()
    for (let start = 0; start < mostMailpitMails; start += pageSize) {
      const page = `start=${start}&limit=${pageSize}`
      const query = subject === null ? '' : `&query=${encodeURIComponent(`subject:"${subject}"`)}`
      const path = subject === null ? `/api/v1/messages?${page}` : `/api/v1/search?${page}${query}`
      const summaries = this.#summaries(await this.#json('GET', path))
      // New mails push others to the next page, so a mail can be on two pages.
      for (const summary of summaries) found.set(summary.id, summary)
      if (summaries.length < pageSize) break
    }
    return [...found.values()].reverse()
  }

  /** The bytes of a mail, truncated to `mostBytes` and one more. Null if it is gone. Does not mark it as read. */
  async raw(id: string, mostBytes: number): Promise<Uint8Array | null> {
    const answer = await this.#request('GET', `/api/v1/message/${id}/raw`, mostBytes + 1, [404, 400])
    return answer.status === 200 ? answer.body : null
  }

  /** Does not fail if mails are gone already. Does nothing with an empty list. */
  async delete(ids: readonly string[]): Promise<void> {
    const valid = ids.filter((id) => idForm.test(id))
    for (let at = 0; at < valid.length; at += deleteBatch) {
      const batch = valid.slice(at, at + deleteBatch)
      // Without IDs, Mailpit would delete all mails.
      if (batch.length === 0) continue
      await this.#request('DELETE', '/api/v1/messages', 4_096, [], JSON.stringify({ IDs: batch }))
    }
  }

  #summaries(answer: unknown): MailpitSummary[] {
    const { messages } = (answer ?? {}) as { messages?: unknown }
    if (!Array.isArray(messages)) throw this.#unexpectedAnswer()
    return messages.flatMap((message: unknown) => summaryOf(message) ?? [])
  }

  async #json(method: HttpRequest['method'], path: string): Promise<unknown> {
    const { body } = await this.#request(method, path, mostPageBytes)
    try {
      return JSON.parse(Buffer.from(body).toString('utf8'))
    } catch {
      throw this.#unexpectedAnswer()
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
        method,
        url: `${this.#base}${path}`,
        headers: this.#headers,
        agent: this.#agent,
        mostBytes,
        answerMs: this.#timing.answerMs,
        ...(body === undefined ? {} : { body: { type: 'application/json', text: body } }),
      })
      if (answer.status === 401 || answer.status === 403) {
        throw loginProblem('Mailpit', this.#url, new Error(`it answers ${answer.status}`))
      }
      if (answer.status !== 200 && !expected.includes(answer.status))
        throw this.#unexpectedAnswer(answer.status)
      return answer
    } catch (error) {
      throw serverProblem('Mailpit', this.#url, error)
    }
  }

  /** Closes the idle connections. If one connection failed, the others are mostly dead, too. */
  closeConnections(): void {
    this.#agent.destroy()
  }

  #unexpectedAnswer(status?: number): Problem {
    const what = status === undefined ? 'not like Mailpit' : `with the HTTP status ${status}`
    return new Problem(
      'mail-server',
      `The server ${serverName(this.#url)} answers ${what}.`,
      'Check that Mailpit listens there. If its API is below a path, write the path into the URL (mailpit+http://SERVER:8025/PATH).',
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

/** The addresses of To and Cc in a summary or event. */
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
