// `peerpost status`: prints the status of a running agent or host.

import { Problem } from '../base/problem.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { ControlClient, type DaemonStatus } from './control-client.ts'
import { paint } from './output.ts'
import { untilStopped } from './shutdown.ts'
import { statusText } from './status-text.ts'

export type StatusOptions = {
  readonly config: string
  readonly json?: boolean
  /** Print the status again and again until stopped. */
  readonly watch?: boolean
  /** Print a URL that opens the status page in one browser. */
  readonly open?: boolean
  /** Print only whether the daemon is ready. */
  readonly ready?: boolean
}

const refreshIntervalMs = 1_000

export async function showStatus({ config, json, watch, open, ready }: StatusOptions): Promise<void> {
  const client = new ControlClient(config)
  if (open) return openPage(client)
  if (ready) {
    await client.ready()
    process.stdout.write(json ? `${JSON.stringify({ event: 'ready' })}\n` : 'Ready.\n')
    return
  }
  const show = createDisplay(json === true, watch === true && process.stdout.isTTY === true)
  show(await client.status())
  if (!watch) return
  const { stopped } = untilStopped()
  let isStopped = false
  void stopped.then(() => {
    isStopped = true
  })
  while (!isStopped) {
    let cancel = () => {}
    const pause = new Promise<void>((resolve) => {
      cancel = systemClock.after(refreshIntervalMs, resolve)
    })
    await Promise.race([pause, stopped])
    cancel()
    if (!isStopped) show(await client.status())
  }
}

async function openPage(client: ControlClient): Promise<void> {
  if (!process.stdout.isTTY) {
    throw new Problem(
      'usage',
      '--open prints a secret, and standard output is no terminal.',
      'Run it in a terminal, without a pipe.',
    )
  }
  const address = await client.newPageAddress()
  process.stdout.write(`Open this in a browser within five minutes; it works once:\n${address}\n`)
}

/** On a screen each status replaces the one before. Elsewhere an unchanged status is not printed again. */
function createDisplay(json: boolean, isScreen: boolean): (status: DaemonStatus) => void {
  let previous = ''
  return (status) => {
    const current = JSON.stringify(status)
    if (current === previous && !isScreen) return
    previous = current
    const now = systemClock.wallNow()
    if (json) {
      process.stdout.write(
        `${JSON.stringify({ event: 'status', at: new Date(now).toISOString(), ...status })}\n`,
      )
      return
    }
    const text = statusText(status, now).map(({ tone, text }) => paint(tone, text))
    process.stdout.write(`${isScreen ? '\x1b[H\x1b[2J' : ''}${text.join('\n')}\n`)
  }
}
