// Calls the control API of the daemon that runs with a config.

import { existsSync } from 'node:fs'
import { type ControlFile, controlFileOf, readControlFile } from '../api/control-file.ts'
import { faultSchema } from '../api/route.ts'
import { messageOf, Problem } from '../base/problem.ts'
import type { AgentStatus, PeerStatus } from '../daemon/agent-schemas.ts'
import type { HostStatus } from '../daemon/host-schemas.ts'

export type DaemonStatus = (AgentStatus & { readonly peers: readonly PeerStatus[] }) | HostStatus

const timeoutMs = 5_000

/** Null when no daemon with a control API runs with this config. Rejects with a Problem when its answer is wrong. */
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
      throw new Problem(
        'file',
        `There is no config file ${configFile}.`,
        'Name the config file of an agent or a host.',
      )
    }
    const file = readControlFile(controlFileOf(configFile))
    if (!file) throw notRunningProblem(configFile)
    this.#file = file
    this.#configFile = configFile
  }

  async status(): Promise<DaemonStatus> {
    const status = (await this.#request('GET', '/v1/status')) as AgentStatus | HostStatus
    if (status.role === 'host') return status
    if (status.role !== 'agent') throw this.#wrongServerProblem()
    const { peers } = (await this.#request('GET', '/v1/peers')) as { readonly peers: readonly PeerStatus[] }
    return { ...status, peers }
  }

  /** Rejects with a Problem that says why the daemon is not ready. */
  async ready(): Promise<void> {
    await this.#request('GET', '/readyz')
  }

  /** Returns a URL that opens the page in one browser, once. */
  async newPageAddress(): Promise<string> {
    return ((await this.#request('POST', '/v1/codes')) as { readonly url: string }).url
  }

  async #request(method: string, path: string): Promise<object> {
    const { url, token } = this.#file
    let response: Response
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
    } catch (thrown) {
      const { cause } = thrown as { readonly cause?: NodeJS.ErrnoException }
      if (cause?.code === 'ECONNREFUSED') throw notRunningProblem(this.#configFile)
      throw new Problem(
        'network',
        `The daemon does not answer at ${url}: ${messageOf(cause ?? thrown)}.`,
        'Check its log, or restart it.',
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
    // Either the daemon was restarted and has a new token, or another program now has the port of a killed daemon.
    throw this.#wrongServerProblem()
  }

  #wrongServerProblem(): Problem {
    return new Problem(
      'network',
      `The program that answers at ${this.#file.url} is not the daemon of ${this.#configFile}.`,
      'Try again; if that does not help, restart the daemon.',
    )
  }
}

function notRunningProblem(configFile: string): Problem {
  return new Problem(
    'not-running',
    `No daemon runs with ${configFile}, or its [control] is switched off.`,
    `Start it: \`peerpost agent --config ${configFile}\`, or \`peerpost host …\` for a host.`,
  )
}
