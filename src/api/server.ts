// The control API on a loopback port, with bounds on what a client may send and for how long.

import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { messageOf, Problem } from '../base/problem.ts'
import { AccessTokens, type AccessTokensOptions } from './access-tokens.ts'
import { type ApiError, faults } from './api-error.ts'
import { type ControlOptions, createControlApp } from './app.ts'
import { controlFileOf, removeControlFile, writeControlFile } from './control-file.ts'
import { pageAddress } from './page-login-routes.ts'

export type ControlServerOptions = Pick<ControlOptions, 'clock' | 'log' | 'routes' | 'describe'> &
  Pick<AccessTokensOptions, 'randomBytes' | 'metricsToken'> & {
    /** On loopback; port 0 for any. */
    readonly listen: Endpoint
    /** Of the daemon; the control file is put beside it. */
    readonly configFile: string
  }

export interface ControlServer {
  readonly place: Endpoint
  /** Opens the page in a browser, once. A secret: for a terminal only. */
  newPageAddress(): string
  close(): Promise<void>
}

const maxConnections = 64
const maxHeaderBytes = 8192
const headersMs = 5_000
const requestMs = 10_000
/** Between looks for requests that are late. */
const lookMs = 1_000
/** A connection on which nothing moves, not even a heartbeat of events. */
const silenceMs = 60_000

/** Rejects with a Problem when the port cannot be had. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { clock, log, routes, describe, randomBytes, metricsToken = null, listen, configFile } = options
  const access = new AccessTokens({ clock, randomBytes, metricsToken })
  let place = listen
  const app = createControlApp({ clock, access, log, routes, describe, place: () => place })
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: lookMs,
      keepAliveTimeout: headersMs,
    },
  }) as Server
  server.maxConnections = maxConnections
  server.setTimeout(silenceMs)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuse(error.code, socket))
  place = await open(server, listen)
  const file = controlFileOf(configFile)
  const content = { url: `http://${formatEndpoint(place)}`, token: access.token }
  try {
    writeControlFile(file, content)
  } catch (thrown) {
    server.close()
    throw thrown
  }
  return {
    place,
    newPageAddress: () => pageAddress(access, place),
    close: async () => {
      removeControlFile(file, content)
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      app.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function open(server: Server, { address, port }: Endpoint): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    server.once('error', (thrown) => reject(openProblem(thrown, address, port)))
    server.listen({ host: address, port, exclusive: true }, () =>
      resolve({ address, port: (server.address() as AddressInfo).port }),
    )
  })
}

function openProblem(thrown: NodeJS.ErrnoException, address: string, port: number): Problem {
  const place = `TCP port ${port} of ${address}`
  if (thrown.code === 'EADDRINUSE') {
    return new Problem(
      'port-taken',
      `The control API cannot have ${place}: another program uses it.`,
      'Stop that program, or choose another port in [control] listen; 0 lets the system choose.',
      { cause: thrown },
    )
  }
  return new Problem(
    'network',
    `The control API cannot have ${place}: ${messageOf(thrown)}.`,
    'Change [control] listen, or switch it off by [control] enabled = false.',
    { cause: thrown },
  )
}

/** Requests that never became one: what is answered is written by hand. */
function refuse(code: string | undefined, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const fault = faultFor(code)
  const body = JSON.stringify(fault.body)
  socket.end(
    `HTTP/1.1 ${fault.status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  )
}

function faultFor(code: string | undefined): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') return faults.tooLongHeaders
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? faults.tooSlow : faults.malformed
}
