// The control API as a function from requests to answers: the guard, the routes, the event stream and the page.

import { Hono, type HonoRequest } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { concatBytes } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Endpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import type { EventLog } from '../daemon/event-log.ts'
import type { Line } from '../wording/numbers-text.ts'
import type { AccessTokens } from './access-tokens.ts'
import { ApiError, faultOf, faults } from './api-error.ts'
import { EventStreams } from './event-stream.ts'
import { describeApi } from './openapi.ts'
import { type PageFile, readPageFile } from './page-files.ts'
import { sessionRoutes } from './page-login-routes.ts'
import { type Need, RequestGuard } from './request-guard.ts'
import type { Route } from './route.ts'

export type ControlOptions = {
  readonly clock: Clock
  readonly access: AccessTokens
  readonly log: EventLog
  /** The routes of the agent or the host. */
  readonly routes: readonly Route[]
  /** The endpoint on which the server listens. It is known before the first request. */
  readonly endpoint: () => Endpoint
  /** Returns a sentence for an event of the log, with masked addresses, or null. */
  readonly describe: (event: object) => Line | null
}

export type ControlApp = {
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** Ends the event streams. */
  readonly close: () => void
}

const maxBodyBytes = 4096

/** The page may load its own files only. */
const headers = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
} as const

export function createControlApp(options: ControlOptions): ControlApp {
  const { clock, access, log, endpoint, describe } = options
  const guard = new RequestGuard({ clock, access, endpoint })
  const streams = new EventStreams({ clock, log, describe })
  const routes = [...options.routes, ...sessionRoutes(access, endpoint)]
  const description = describeApi(routes)
  const admit = (request: HonoRequest, need: Need) => guard.check(headOf(request), need)
  const app = new Hono()

  app.use(async (context, next) => {
    await next()
    for (const [name, value] of Object.entries(headers)) context.res.headers.set(name, value)
  })
  for (const route of routes) {
    app.on(route.method, [route.path], async ({ req }) => {
      const fault = admit(req, route.need)
      return answerOf(fault ?? (await serve(route, req)))
    })
  }
  app.get('/v1/openapi.json', ({ req }) => answerOf(admit(req, 'any-caller') ?? description))
  app.get('/v1/events', ({ req }) => {
    const fault = admit(req, 'any-caller')
    if (fault) return answerOf(fault)
    const stream = streams.open(req.header('last-event-id') ?? req.query('after'), req.query('words') === '1')
    if (!stream) return answerOf(faults.tooManyStreams)
    return new Response(stream, { headers: { 'Content-Type': 'text/event-stream' } })
  })
  for (const path of ['/', '/page/:file']) {
    app.get(path, async ({ req }) => {
      const fault = admit(req, 'open')
      if (fault) return answerOf(fault)
      const file = await readPageFile(req.param('file') ?? 'index.html')
      return file ? pageAnswer(file) : answerOf(faults.notFound)
    })
  }
  // Without a token a caller cannot find out which paths exist.
  app.notFound(({ req }) => answerOf(admit(req, 'any-caller') ?? faults.notFound))
  app.onError((thrown) => answerOf(faultOf(thrown)))
  return { fetch: (request) => app.fetch(request), close: () => streams.close() }
}

function headOf(request: HonoRequest) {
  return {
    host: request.header('host'),
    origin: request.header('origin'),
    site: request.header('sec-fetch-site'),
    authorization: request.header('authorization'),
  }
}

async function serve(route: Route, request: HonoRequest): Promise<unknown> {
  let body: unknown
  if (route.body) {
    const given = await readBody(request.raw.body)
    if (given instanceof ApiError) return given
    const checked = route.body.safeParse(given)
    if (!checked.success) return faults.badBody
    body = checked.data
  }
  try {
    const result = await route.handle({ params: request.param(), body })
    return result instanceof Problem ? faultOf(result) : result
  } catch (thrown) {
    return faultOf(thrown)
  }
}

/** Reads JSON of at most `maxBodyBytes`. The body of a request is never read if its route has none. */
async function readBody(stream: ReadableStream<Uint8Array> | null): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of stream ?? []) {
      size += chunk.length
      if (size > maxBodyBytes) return faults.tooBig
      chunks.push(chunk)
    }
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(concatBytes(...chunks)))
  } catch {
    return faults.badBody
  }
}

function answerOf(result: unknown): Response {
  if (typeof result === 'string') {
    return new Response(result, { headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' } })
  }
  if (!(result instanceof ApiError)) return Response.json(result)
  const status: ContentfulStatusCode = result.status
  const more = {
    ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    ...(status === 429 && { 'Retry-After': '1' }),
  }
  return Response.json(result.body, { status, headers: more })
}

function pageAnswer({ bytes, type }: PageFile): Response {
  return new Response(bytes, { headers: { 'Content-Type': type } })
}
