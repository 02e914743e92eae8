// The routes for monitoring: liveness, readiness and metrics.

import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import type { Problem } from '../base/problem.ts'
import { gauge, type Metric } from '../daemon/metrics.ts'
import { processMetrics } from '../daemon/process-metrics.ts'
import { formatMetrics } from './prometheus.ts'
import type { Route } from './route.ts'

export type MonitoredDaemon = {
  readonly clock: Clock
  /** Returns why the daemon is not ready, or null when it is. */
  readonly unready: () => Problem | null
  readonly metrics: () => readonly Metric[]
}

const aliveSchema = z.strictObject({ alive: z.literal(true) })
const readySchema = z.strictObject({ ready: z.literal(true) })

/** The first two need no token: their answers are no secret, and the programs that read them have no token. */
export function probeRoutes(daemon: MonitoredDaemon): readonly Route[] {
  const get = { method: 'GET' } as const
  return [
    {
      ...{ ...get, path: '/healthz', need: 'open', answer: aliveSchema },
      operationId: 'getHealth',
      summary: 'Whether the daemon answers at all.',
      handle: () => ({ alive: true }),
    },
    {
      ...{ ...get, path: '/readyz', need: 'open', answer: readySchema },
      operationId: 'getReadiness',
      summary: 'Whether the daemon can do its work now.',
      faults: { 'not-ready': 503, database: 503 },
      handle: () => daemon.unready() ?? { ready: true },
    },
    {
      ...{ ...get, path: '/metrics', need: 'metrics', answer: z.string() },
      operationId: 'getMetrics',
      summary: 'Numbers for Prometheus; the token of metrics_token_file is enough.',
      faults: { database: 503 },
      handle: () => {
        const ready = gauge(
          'peerpost_ready',
          'Whether the daemon can do its work now.',
          daemon.unready() ? 0 : 1,
        )
        return formatMetrics([ready, ...daemon.metrics(), ...processMetrics(daemon.clock.wallNow())])
      },
    },
  ]
}
