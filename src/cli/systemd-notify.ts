// What systemd wants to hear of a service (sd_notify(3)): ready, reloading, stopping, and every now and then that it is
// alive. Node cannot open datagram sockets of the Unix family, so systemd's own small program says it.

import { execFile } from 'node:child_process'
import { hrtime } from 'node:process'
import type { Clock } from '../base/clock.ts'

export type ServiceManager = {
  ready(status: string): void
  /** Until the next `ready`. */
  reloading(): void
  /** Resolves when it is said, or could not be. */
  stopping(): Promise<void>
}

export type ServiceManagerOptions = {
  readonly clock: Clock
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The watchdog is for one process; others that inherit its variables leave it alone. */
  readonly processId: number
  /** That it could not be said, once. */
  readonly onFailure: (reason: string) => void
}

/** It answers within milliseconds, or something is very wrong. */
const sayMs = 5_000

/** Does nothing where no service manager listens. */
export function openServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { clock, environment, onFailure } = options
  const { NOTIFY_SOCKET: socket, PATH } = environment
  if (!socket) return { ready: () => {}, reloading: () => {}, stopping: async () => {} }
  // One after the other: what is said last must be what stays.
  let said: Promise<void> = Promise.resolve()
  let hasFailed = false
  const say = (...words: string[]): Promise<void> => {
    said = said.then(
      () =>
        new Promise((resolve) => {
          const settings = { timeout: sayMs, env: { NOTIFY_SOCKET: socket, ...(PATH && { PATH }) } }
          execFile('systemd-notify', words, settings, (error) => {
            if (error && !hasFailed) {
              hasFailed = true
              onFailure(error.code === 'ENOENT' ? 'there is no program systemd-notify' : error.message)
            }
            resolve()
          })
        }),
    )
    return said
  }
  const everyMs = watchdogMs(options)
  let isStopping = false
  let cancel = () => {}
  const watch = () => {
    if (everyMs === null || isStopping) return
    // The next one when this one was said: on a busy machine they would queue up before what matters more.
    cancel = clock.after(everyMs, () => void say('WATCHDOG=1').then(watch))
  }
  watch()
  return {
    ready: (status) => void say('--ready', `--status=${status}`),
    // Newer systemds want to know which reload it is.
    reloading: () => void say('RELOADING=1', `MONOTONIC_USEC=${hrtime.bigint() / 1000n}`),
    stopping: () => {
      isStopping = true
      cancel()
      return say('STOPPING=1')
    },
  }
}

/** Twice within the time that systemd waits; null when it does not, or not for us. */
function watchdogMs({ environment, processId }: ServiceManagerOptions): number | null {
  const { WATCHDOG_USEC, WATCHDOG_PID = String(processId) } = environment
  const limitMs = Number(WATCHDOG_USEC) / 1000
  if (!(limitMs > 0) || Number(WATCHDOG_PID) !== processId) return null
  return Math.max(100, limitMs / 2)
}
