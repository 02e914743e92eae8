// Metrics for monitoring, as data. `api/prometheus.ts` formats them.

export type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number }

export type Metric = {
  /** Ends with the unit, or with `_total` for a counter. */
  readonly name: string
  readonly type: 'counter' | 'gauge'
  /** A sentence. */
  readonly help: string
  /** No two have the same labels. */
  readonly samples: readonly Sample[]
}

/** Null: the metric has no sample and is not shown. */
export function gauge(name: string, help: string, value: number | null): Metric {
  return { name, type: 'gauge', help, samples: value === null ? [] : [{ value }] }
}
