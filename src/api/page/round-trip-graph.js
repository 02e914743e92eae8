// Draws round trip times as a line. A label has the numbers in words, for screen readers.

import { svg } from './dom.js'
import { count } from './format.js'

const [width, height] = [240, 56]
const padding = 4
/** Room for the scale above the line. */
const top = 16

/**
 * @param {readonly { readonly at: string, readonly ms: number }[]} trips oldest first
 * @param {string} name of the player
 */
export function graph(trips, name) {
  const values = trips.map(({ ms }) => ms)
  const max = Math.max(1, ...values)
  const step = (width - 2 * padding) / Math.max(1, values.length - 1)
  const points = values.map((ms, index) => {
    const x = padding + index * step
    const y = height - padding - (ms / max) * (height - padding - top)
    return `${x.toFixed(1)},${y.toFixed(1)}`
  })
  const last = points.at(-1)?.split(',') ?? []
  const words =
    `Round trips with ${name}: now ${values.at(-1) ?? 0} ms, ` +
    `least ${Math.min(...values)} ms, most ${Math.max(...values)} ms, of ${count(values.length, 'measurement')}`
  return svg(
    'svg',
    { class: 'graph', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': words },
    svg('line', { class: 'ground', x1: 0, x2: width, y1: height - 1, y2: height - 1 }),
    svg('polyline', { points: points.join(' ') }),
    svg('circle', { cx: last[0] ?? 0, cy: last[1] ?? 0, r: 3 }),
    svg('text', { 'aria-hidden': 'true', x: width - 2, y: 10, 'text-anchor': 'end' }, `${max} ms`),
  )
}
