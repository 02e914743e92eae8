// What the services host and agent have in common: they notify systemd, and read their config again on SIGHUP.

import { systemClock } from '../runtime/system-clock.ts'
import type { Shutdown } from './shutdown.ts'
import { openServiceManager, type ServiceManager } from './systemd-notify.ts'

export function serviceManager(onNotice: (notice: string) => void): ServiceManager {
  return openServiceManager({
    clock: systemClock,
    environment: process.env,
    processId: process.pid,
    onFailure: (reason) => onNotice(`systemd could not be notified: ${reason}.`),
  })
}

/**
 * Runs `reload` on each SIGHUP, never twice at the same time. Several signals during a reload cause one more. In a terminal
 * SIGHUP means that the terminal is gone, so it stops the daemon like SIGTERM. The promise rejects when a reload rejects.
 */
export function reloadOnHangUp(
  { stop }: Shutdown,
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
