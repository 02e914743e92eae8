// The metrics of the process, with the names that the client libraries of Prometheus use.

import { readdirSync } from 'node:fs'
import { cpuUsage, memoryUsage, uptime } from 'node:process'
import { gauge, type Metric } from './metrics.ts'

export function processMetrics(wallNow: number): readonly Metric[] {
  const { user, system } = cpuUsage()
  const { rss, heapUsed } = memoryUsage()
  return [
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'Processor time used.',
      samples: [{ value: (user + system) / 1e6 }],
    },
    gauge('process_resident_memory_bytes', 'Memory in use, as the system counts it.', rss),
    gauge('nodejs_heap_size_used_bytes', 'Memory in use by JavaScript.', heapUsed),
    gauge('process_start_time_seconds', 'When the process started, in Unix time.', wallNow / 1e3 - uptime()),
    gauge('process_open_fds', 'Open files and sockets.', openFiles()),
  ]
}

/** Null where the system has no /proc. */
function openFiles(): number | null {
  try {
    // One of them is the folder that is being read.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return null
  }
}
