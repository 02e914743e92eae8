// The control API of a daemon: the same for agent and host.

import type { Route } from '../api/route.ts'
import type { ControlServer } from '../api/server.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { parseListenAddress } from '../config/listen-address.ts'
import { readSecret } from '../config/secret-files.ts'
import { EventLog } from '../daemon/event-log.ts'
import { maskTexts } from '../wording/mask-addresses.ts'
import type { Line } from '../wording/numbers-text.ts'

export type ControlSettings = {
  readonly enabled: boolean
  readonly listen: string
  /** Empty for none. */
  readonly metrics_token_file: string
}

export type Control = {
  /** For every event, as it is printed. */
  readonly tell: (told: object) => void
  /** Rejects with a Problem when the port cannot be had. Null when switched off. */
  readonly start: (routes: readonly Route[]) => Promise<ControlServer | null>
}

export type ControlOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly settings: ControlSettings
  /** Makes a path of the config absolute. */
  readonly path: (text: string) => string
  readonly configFile: string
  readonly json: boolean | undefined
  readonly describe: (event: object) => Line | null
  /** Whether events are kept with addresses masked already. */
  readonly isMasked: boolean
}

export function prepareControl(options: ControlOptions): Control {
  const { clock, crypto, settings, path, configFile, json, describe, isMasked } = options
  const listen = parseListenAddress(settings.listen)
  if (!settings.enabled || !listen) return { tell: () => {}, start: async () => null }
  const metricsToken = settings.metrics_token_file ? readToken(path(settings.metrics_token_file)) : null
  const log = new EventLog(Buffer.from(crypto.randomBytes(6)).toString('hex'))
  return {
    tell: (told) => log.add(isMasked ? maskTexts(told) : told),
    start: async (routes) => {
      // Read only where it is wanted: the library takes some megabytes.
      const { startControlServer } = await import('../api/server.ts')
      const server = await startControlServer({
        clock,
        log,
        routes,
        listen,
        configFile,
        metricsToken,
        describe: (event) => describe(maskTexts(event)),
        randomBytes: (length) => crypto.randomBytes(length),
      })
      if (!json && process.stdout.isTTY) {
        process.stdout.write(`Status page, for one browser: ${server.newPageAddress()}\n`)
      }
      return server
    },
  }
}

function readToken(file: string): string {
  const token = readSecret(file, 'The token for metrics')
  if (/^[\w-]{20,128}$/.test(token)) return token
  throw new Problem(
    'file',
    `${file} holds no token for metrics.`,
    'Put 20 to 128 letters and digits there, as `openssl rand -hex 32` makes them.',
  )
}
