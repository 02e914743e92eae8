// Starts the control API of an agent or a host.

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
  /** Empty: none. */
  readonly metrics_token_file: string
}

export type Control = {
  /** Adds an event, as `--json` prints it, to the event log. */
  readonly record: (printed: object) => void
  /** Rejects with a Problem when the port cannot be opened. Null when the API is switched off. */
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
  /** Whether addresses in stored events are masked. */
  readonly isMasked: boolean
}

export function prepareControl(options: ControlOptions): Control {
  const { clock, crypto, settings, path, configFile, json, describe, isMasked } = options
  const listen = parseListenAddress(settings.listen)
  if (!settings.enabled || !listen) return { record: () => {}, start: async () => null }
  const metricsToken = settings.metrics_token_file ? readToken(path(settings.metrics_token_file)) : null
  const log = new EventLog(Buffer.from(crypto.randomBytes(6)).toString('hex'))
  return {
    record: (printed) => log.add(isMasked ? maskTexts(printed) : printed),
    start: async (routes) => {
      // Loaded only when it is needed: the HTTP library takes some megabytes.
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
    `${file} holds no valid token for metrics.`,
    'Write 20 to 128 letters and digits into it, for example from `openssl rand -hex 32`.',
  )
}
