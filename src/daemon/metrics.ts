// Numbers for whoever watches over programs, as data.

export type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number }

export type Metric = {
  /** With the unit at its end, and `_total` for what only grows. */
  readonly name: string
  readonly type: 'counter' | 'gauge'
  /** A sentence. */
  readonly help: string
  /** Each with other labels. */
  readonly samples: readonly Sample[]
}

export function gauge(name: string, help: string, value: number | null): Metric {
  return { name, type: 'gauge', help, samples: value === null ? [] : [{ value }] }
}
