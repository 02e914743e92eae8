// Serves the control API on a loopback port, with limits on the size and the duration of requests.

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
    /** A loopback address. Port 0 means any. */
    readonly listen: Endpoint
    /** The config of the daemon. The control file is written beside it. */
    readonly configFile: string
  }

export interface ControlServer {
  readonly endpoint: Endpoint
  /** Returns a URL that opens the page in a browser, once. It is a secret: print it only to a terminal. */
  newPageAddress(): string
  close(): Promise<void>
}

const maxConnections = 64
const maxHeaderBytes = 8192
const headersTimeoutMs = 5_000
const requestTimeoutMs = 10_000
/** How often Node checks for requests that take too long. */
const checkIntervalMs = 1_000
/** Longer than the page waits between two requests, so that no browser sends one while we close its connection. */
const keepAliveTimeoutMs = 20_000
/** A connection without any traffic, also without heartbeats of an event stream, is closed after this time. */
const idleTimeoutMs = 60_000

/** Rejects with a Problem when the port cannot be opened. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { clock, log, routes, describe, randomBytes, metricsToken = null, listen, configFile } = options
  const access = new AccessTokens({ clock, randomBytes, metricsToken })
  let endpoint = listen
  const app = createControlApp({ clock, access, log, routes, describe, endpoint: () => endpoint })
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: checkIntervalMs,
      keepAliveTimeout: keepAliveTimeoutMs,
    },
  }) as Server
  server.maxConnections = maxConnections
  server.setTimeout(idleTimeoutMs)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuse(error.code, socket))
  endpoint = await open(server, listen)
  const file = controlFileOf(configFile)
  const content = { url: `http://${formatEndpoint(endpoint)}`, token: access.token }
  try {
    writeControlFile(file, content)
  } catch (thrown) {
    server.close()
    throw thrown
  }
  return {
    endpoint,
    newPageAddress: () => pageAddress(access, endpoint),
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
  const socketText = `TCP port ${port} of ${address}`
  if (thrown.code === 'EADDRINUSE') {
    return new Problem(
      'port-taken',
      `The control API cannot use ${socketText}: another program uses it.`,
      'Stop that program, or choose another port in [control] listen; 0 lets the system choose.',
      { cause: thrown },
    )
  }
  return new Problem(
    'network',
    `The control API cannot use ${socketText}: ${messageOf(thrown)}.`,
    'Change [control] listen, or switch it off by [control] enabled = false.',
    { cause: thrown },
  )
}

/** Answers bytes that Node could not parse as a request. There is no response object, so the answer is written by hand. */
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
