// Notifies systemd (sd_notify(3)): ready, reloading, stopping, and watchdog keepalives. Node has no Unix datagram sockets, so
// the program systemd-notify is run.

import { execFile } from 'node:child_process'
import { hrtime } from 'node:process'
import type { Clock } from '../base/clock.ts'

export type ServiceManager = {
  ready(status: string): void
  /** The service is reloading until the next `ready`. */
  reloading(): void
  /** Resolves when the notification is sent, or has failed. */
  stopping(): Promise<void>
}

export type ServiceManagerOptions = {
  readonly clock: Clock
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The watchdog is for one process. Child processes inherit its variables but must not use them. */
  readonly processId: number
  /** Called once, when a notification could not be sent. */
  readonly onFailure: (reason: string) => void
}

/** systemd-notify normally ends within milliseconds. */
const notifyTimeoutMs = 5_000

/** Does nothing when the process is not run by a service manager. */
export function openServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { clock, environment, onFailure } = options
  const { NOTIFY_SOCKET: socket, PATH } = environment
  if (!socket) return { ready: () => {}, reloading: () => {}, stopping: async () => {} }
  // One after the other, so that systemd ends up with the latest state.
  let last: Promise<void> = Promise.resolve()
  let hasFailed = false
  const notify = (...words: string[]): Promise<void> => {
    last = last.then(
      () =>
        new Promise((resolve) => {
          const settings = { timeout: notifyTimeoutMs, env: { NOTIFY_SOCKET: socket, ...(PATH && { PATH }) } }
          execFile('systemd-notify', words, settings, (error) => {
            if (error && !hasFailed) {
              hasFailed = true
              onFailure(error.code === 'ENOENT' ? 'there is no program systemd-notify' : error.message)
            }
            resolve()
          })
        }),
    )
    return last
  }
  const everyMs = watchdogMs(options)
  let isStopping = false
  let cancel = () => {}
  const watch = () => {
    if (everyMs === null || isStopping) return
    // The next keepalive waits until this one is sent. Otherwise they would queue up on a busy machine, before other
    // notifications.
    cancel = clock.after(everyMs, () => void notify('WATCHDOG=1').then(watch))
  }
  watch()
  return {
    ready: (status) => void notify('--ready', `--status=${status}`),
    // Newer versions of systemd need the time, to know which reload this is.
    reloading: () => void notify('RELOADING=1', `MONOTONIC_USEC=${hrtime.bigint() / 1000n}`),
    stopping: () => {
      isStopping = true
      cancel()
      return notify('STOPPING=1')
    },
  }
}

/** Half of the time that systemd waits. Null without a watchdog for this process. */
function watchdogMs({ environment, processId }: ServiceManagerOptions): number | null {
  const { WATCHDOG_USEC, WATCHDOG_PID = String(processId) } = environment
  const limitMs = Number(WATCHDOG_USEC) / 1000
  if (!(limitMs > 0) || Number(WATCHDOG_PID) !== processId) return null
  return Math.max(100, limitMs / 2)
}
