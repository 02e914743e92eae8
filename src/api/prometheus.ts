// Metrics as Prometheus reads them (text exposition format 0.0.4). Written by us: prom-client costs a daemon 20 MB.

import type { Metric, Sample } from '../daemon/metrics.ts'

/** Metrics without samples are left out. */
export function expose(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${numberText(value)}`)
      const explained = help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
      return `# HELP ${name} ${explained}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`
    })
    .join('')
}

function labelText(labels: Sample['labels']): string {
  const parts = Object.entries(labels ?? {}).map(([name, value]) => {
    const escaped = value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
    return `${name}="${escaped}"`
  })
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}
