// What those who watch over programs ask for: is it alive, is it ready, and numbers.

import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import type { Problem } from '../base/problem.ts'
import { gauge, type Metric } from '../daemon/metrics.ts'
import { processMetrics } from '../daemon/process-metrics.ts'
import { expose } from './prometheus.ts'
import type { Route } from './route.ts'

export type Probed = {
  readonly clock: Clock
  /** Why it cannot do its work now; null when it can. */
  readonly unready: () => Problem | null
  readonly metrics: () => readonly Metric[]
}

export const aliveSchema = z.strictObject({ alive: z.literal(true) })
export const readySchema = z.strictObject({ ready: z.literal(true) })

/** The first two tell nothing that is worth a token, and are asked by programs that have none. */
export function probeRoutes(probed: Probed): readonly Route[] {
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
      handle: () => probed.unready() ?? { ready: true },
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
          probed.unready() ? 0 : 1,
        )
        return expose([ready, ...probed.metrics(), ...processMetrics(probed.clock.wallNow())])
      },
    },
  ]
}
