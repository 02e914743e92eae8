// `peerpost status`: what a running agent or host is doing.

import { Problem } from '../base/problem.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { ControlClient, type DaemonStatus } from './control-client.ts'
import { paint } from './output.ts'
import { untilStopped } from './shutdown.ts'
import { statusText } from './status-text.ts'

export type StatusOptions = {
  readonly config: string
  readonly json?: boolean
  /** Goes on until stopped. */
  readonly watch?: boolean
  /** Prints an address that lets one browser in. */
  readonly open?: boolean
  /** Only whether it can do its work. */
  readonly ready?: boolean
}

const lookAgainMs = 1_000

export async function showStatus({ config, json, watch, open, ready }: StatusOptions): Promise<void> {
  const client = new ControlClient(config)
  if (open) return openPage(client)
  if (ready) {
    await client.ready()
    process.stdout.write(json ? `${JSON.stringify({ event: 'ready' })}\n` : 'Ready.\n')
    return
  }
  const show = createShow(json === true, watch === true && process.stdout.isTTY === true)
  show(await client.status())
  if (!watch) return
  const { stopped } = untilStopped()
  let isOver = false
  void stopped.then(() => {
    isOver = true
  })
  while (!isOver) {
    let cancel = () => {}
    const pause = new Promise<void>((resolve) => {
      cancel = systemClock.after(lookAgainMs, resolve)
    })
    await Promise.race([pause, stopped])
    cancel()
    if (!isOver) show(await client.status())
  }
}

async function openPage(client: ControlClient): Promise<void> {
  if (!process.stdout.isTTY) {
    throw new Problem(
      'usage',
      '--open shows a secret, and this is no terminal.',
      'Run it in a terminal, without a pipe.',
    )
  }
  const address = await client.newPageAddress()
  process.stdout.write(`Open this in a browser within five minutes; it works once:\n${address}\n`)
}

/** `isScreen`: each status takes the place of the one before. Elsewhere one that says the same is left out. */
function createShow(json: boolean, isScreen: boolean): (status: DaemonStatus) => void {
  let before = ''
  return (status) => {
    const facts = JSON.stringify(status)
    if (facts === before && !isScreen) return
    before = facts
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
