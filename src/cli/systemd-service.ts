// What host and agent have in common as services of a computer: they tell systemd how they are, and read their config
// again at SIGHUP.

import { systemClock } from '../runtime/system-clock.ts'
import type { Lifetime } from './shutdown.ts'
import { openServiceManager, type ServiceManager } from './systemd-notify.ts'

export function serviceManager(onNotice: (notice: string) => void): ServiceManager {
  return openServiceManager({
    clock: systemClock,
    environment: process.env,
    processId: process.pid,
    onFailure: (reason) => onNotice(`systemd could not be told how the daemon is: ${reason}.`),
  })
}

/**
 * `reload` runs once for each SIGHUP, never twice at the same time; several that come meanwhile count as one. Where
 * SIGHUP means that the terminal is gone, it ends the daemon as SIGTERM does. The promise rejects when a reload does.
 */
export function reloadOnHangUp(
  { stop }: Lifetime,
  manager: Pick<ServiceManager, 'ready' | 'reloading'>,
  reload: () => Promise<void>,
): Promise<never> {
  const failed = Promise.withResolvers<never>()
  let isRunning = false
  let isDue = false
  const run = async () => {
    isRunning = true
    while (isDue) {
      isDue = false
      manager.reloading()
      await reload()
      manager.ready('The config was read again.')
    }
    isRunning = false
  }
  const isInTerminal = process.stdin.isTTY === true || process.stdout.isTTY === true
  process.on('SIGHUP', () => {
    if (isInTerminal || process.platform === 'win32') return stop()
    isDue = true
    if (!isRunning) run().catch(failed.reject)
  })
  return failed.promise
}
