// Calls a control API in this process, without a socket, and checks every answer against the schema of its route.

import assert from 'node:assert/strict'
import { AccessTokens } from '../../src/api/access-tokens.ts'
import { createControlApp } from '../../src/api/app.ts'
import { faultSchema, type Route } from '../../src/api/route.ts'
import type { Clock } from '../../src/base/clock.ts'
import { EventLog } from '../../src/daemon/event-log.ts'
import type { Line } from '../../src/wording/numbers-text.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

export const endpoint = { address: '127.0.0.1', port: 7070 }

export type Answer = {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
  readonly body: any
}

export class ApiClient {
  readonly log = new EventLog('run')
  readonly access: AccessTokens
  readonly #routes: readonly Route[]
  readonly #app: ReturnType<typeof createControlApp>
  /** The routes that were called, as `METHOD path`. */
  readonly asked = new Set<string>()

  constructor(clock: Clock, routes: readonly Route[], describe: (event: object) => Line | null = () => null) {
    const crypto = seededCrypto(1)
    this.access = new AccessTokens({ clock, randomBytes: (length) => crypto.randomBytes(length) })
    this.#routes = routes
    this.#app = createControlApp({
      clock,
      access: this.access,
      log: this.log,
      routes,
      describe,
      endpoint: () => endpoint,
    })
  }

  /** Returns the response without a check. Headers may be replaced, or removed with an empty text. */
  async raw(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<Response> {
    const all = {
      host: `127.0.0.1:${endpoint.port}`,
      authorization: `Bearer ${this.access.token}`,
      ...headers,
    }
    const given = Object.entries(all).filter(([, value]) => value !== '')
    return this.#app.fetch(
      new Request(`http://127.0.0.1:${endpoint.port}${path}`, {
        method,
        headers: Object.fromEntries(given),
        ...(body !== undefined && { body }),
      }),
    )
  }

  async ask(method: string, path: string, body?: object): Promise<Answer> {
    const response = await this.raw(method, path, {}, body && JSON.stringify(body))
    const isText = response.headers.get('content-type')?.startsWith('text/') === true
    const answer: unknown = isText ? await response.text() : await response.json()
    const route = this.#routes.find(
      (one) => one.method === method && new RegExp(`^${one.path.replace(/:\w+/g, '[^/]+')}$`).test(path),
    )
    assert.ok(route || response.status === 404, `${method} ${path} is a route`)
    if (route) this.#check(route, response.status, answer)
    return { status: response.status, body: answer }
  }

  close(): void {
    this.#app.close()
  }

  #check(route: Route, status: number, answer: unknown): void {
    const name = `${route.method} ${route.path}`
    this.asked.add(name)
    const checked = (status === 200 ? route.answer : faultSchema).safeParse(answer)
    assert.ok(checked.success, `${name} ${status}: ${checked.error?.message} in ${JSON.stringify(answer)}`)
    if (status === 200) return
    const { code } = (answer as { error: { code: string } }).error
    if (code in generalCodes) return
    assert.equal(route.faults?.[code], status, `${name} may answer ${code}`)
  }
}

/** Codes that every route may answer. */
const generalCodes: Readonly<Record<string, true>> = { 'no-token': true, 'bad-body': true, 'too-many': true }
