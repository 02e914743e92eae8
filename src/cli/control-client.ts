// Asks the control API of the daemon that a config belongs to.

import { existsSync } from 'node:fs'
import { type ControlFile, controlFileOf, readControlFile } from '../api/control-file.ts'
import { faultSchema } from '../api/route.ts'
import { messageOf, Problem } from '../base/problem.ts'
import type { AgentStatus, PeerStatus } from '../daemon/agent-schemas.ts'
import type { HostStatus } from '../daemon/host-schemas.ts'

export type DaemonStatus = (AgentStatus & { readonly peers: readonly PeerStatus[] }) | HostStatus

const limitMs = 5_000

/** Null when no daemon runs with this config, or none that can be asked. Rejects with a Problem when it does not answer
 *  as it should. */
export async function findStatus(configFile: string): Promise<DaemonStatus | null> {
  try {
    return await new ControlClient(configFile).status()
  } catch (thrown) {
    if (thrown instanceof Problem && thrown.code === 'not-running') return null
    throw thrown
  }
}

export class ControlClient {
  readonly #file: ControlFile
  readonly #configFile: string

  /** Throws a Problem when no daemon runs with this config. */
  constructor(configFile: string) {
    if (!existsSync(configFile)) {
      throw new Problem('file', `There is no config file ${configFile}.`, 'Name that of an agent or a host.')
    }
    const file = readControlFile(controlFileOf(configFile))
    if (!file) throw notRunning(configFile)
    this.#file = file
    this.#configFile = configFile
  }

  async status(): Promise<DaemonStatus> {
    const status = (await this.#ask('GET', '/v1/status')) as AgentStatus | HostStatus
    if (status.role === 'host') return status
    if (status.role !== 'agent') throw this.#odd()
    const { peers } = (await this.#ask('GET', '/v1/peers')) as { readonly peers: readonly PeerStatus[] }
    return { ...status, peers }
  }

  /** Rejects with a Problem that says why it is not. */
  async ready(): Promise<void> {
    await this.#ask('GET', '/readyz')
  }

  /** Good for one browser. */
  async newPageAddress(): Promise<string> {
    return ((await this.#ask('POST', '/v1/codes')) as { readonly url: string }).url
  }

  async #ask(method: string, path: string): Promise<object> {
    const { url, token } = this.#file
    let response: Response
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
        redirect: 'error',
        signal: AbortSignal.timeout(limitMs),
      })
    } catch (thrown) {
      const { cause } = thrown as { readonly cause?: NodeJS.ErrnoException }
      if (cause?.code === 'ECONNREFUSED') throw notRunning(this.#configFile)
      throw new Problem(
        'network',
        `The daemon does not answer at ${url}: ${messageOf(cause ?? thrown)}.`,
        'Look at what it prints, or restart it.',
        { cause: thrown },
      )
    }
    const answer: unknown = await response.json().catch(() => null)
    if (response.ok && typeof answer === 'object' && answer !== null) return answer
    const refused = faultSchema.safeParse(answer)
    if (response.status === 503 && refused.success) {
      const { message, remedy } = refused.data.error
      throw new Problem('not-ready', message, remedy)
    }
    // A new daemon with a new token, or some other program that has the port of one that was killed.
    throw this.#odd()
  }

  #odd(): Problem {
    return new Problem(
      'network',
      `What answers at ${this.#file.url} is not the daemon of ${this.#configFile}.`,
      'Try again; if that does not help, restart the daemon.',
    )
  }
}

function notRunning(configFile: string): Problem {
  return new Problem(
    'not-running',
    `No daemon runs with ${configFile}, or its [control] is switched off.`,
    `Start it: \`peerpost agent --config ${configFile}\`, or \`peerpost host …\` for a host.`,
  )
}
