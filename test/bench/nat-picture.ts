// Draws the grid as an SVG picture. Each cell shows in words and figures what its colour shows too.

import { type SideName, sideNames } from '../harness/simulator/nat-kinds.ts'

export type GridCell = {
  readonly left: SideName
  readonly right: SideName
  readonly pass: boolean
  /** 0..1. */
  readonly success: number
  readonly strategies: readonly string[]
  readonly packetsMedian: number
  readonly secondsMedian: number
  readonly goal: { readonly success: number | null }
}

type Tone = 'direct' | 'predicted' | 'searched' | 'none' | 'missed'

const tones: Readonly<
  Record<Tone, { readonly light: string; readonly dark: string; readonly label: string }>
> = {
  direct: { light: '#d5efdc', dark: '#1d4a2c', label: 'direct' },
  predicted: { light: '#d6e7fb', dark: '#1c3f66', label: 'ports predicted' },
  searched: { light: '#e8dcf8', dark: '#46306b', label: 'port searched for' },
  none: { light: '#e6e6e6', dark: '#3a3a3a', label: 'no path; reason given at once' },
  missed: { light: '#fbdcd3', dark: '#6b2a1b', label: 'below its goal' },
}

const cell = { width: 100, height: 62, gap: 4 }
const margin = { left: 152, top: 118 }
const step = { x: cell.width + cell.gap, y: cell.height + cell.gap }
const width = margin.left + sideNames.length * step.x + 8
const bottom = margin.top + sideNames.length * step.y

const note = 'peerpost in its simulator; the others in a lab with emulated NATs, November 2026.'

/** `totals`: number of pairs that each program connects, ours first. */
export function drawGrid(grid: readonly GridCell[], totals: Readonly<Record<string, number>>): string {
  const bars = Object.entries(totals)
  const barsFrom = bottom + 46
  const height = barsFrom + bars.length * 26 + 30
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title">`,
    '<title id="title">Which pairs of NATs peerpost connects, with median packets and seconds</title>',
    `<style>${style()}</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="8"/>`,
    text(16, 30, 'Which pairs of NATs connect', 'head'),
    text(
      16,
      50,
      'Runs that connected; median packets, both sides together; median time from knowing each other, with mail of 2 to 60 s.',
    ),
    ...sideNames.flatMap((name, index) => [
      ...sideLabel(name, margin.left + index * step.x + cell.width / 2, margin.top - 26, 'middle'),
      ...sideLabel(name, margin.left - 10, middleOf(name, index), 'end'),
    ]),
    ...grid.flatMap(drawCell),
    ...drawLegend(grid.map(toneOf), bottom + 18),
    ...bars.flatMap(([name, pairs], index) => drawBar(name, pairs, barsFrom + index * 26, index === 0)),
    text(margin.left, height - 16, note),
    '</svg>',
    '',
  ].join('\n')
}

function style(): string {
  const fills = (shade: 'light' | 'dark') =>
    Object.entries(tones)
      .map(([tone, colours]) => `.${tone}{fill:${colours[shade]}}`)
      .join('')
  return [
    'text{font:12px system-ui,sans-serif;fill:#1b1f24}.head{font-size:17px;font-weight:600}.strong{font-weight:600}',
    `.small{font-size:11px}.page{fill:#fff}.bar{fill:#e6e6e6}.ours{fill:#3f9a5b}.theirs{fill:#8a929b}${fills('light')}`,
    `@media(prefers-color-scheme:dark){text{fill:#e9edf1}.page{fill:#14181d}.bar{fill:#2b3138}${fills('dark')}}`,
  ].join('')
}

function drawCell(one: GridCell): string[] {
  const x = margin.left + sideNames.indexOf(one.right) * step.x
  const y = margin.top + sideNames.indexOf(one.left) * step.y
  const middle = x + cell.width / 2
  const tone = toneOf(one)
  const isNone = one.goal.success === null
  return [
    `<rect class="${tone}" x="${x}" y="${y}" width="${cell.width}" height="${cell.height}" rx="5"/>`,
    text(middle, y + 19, isNone ? 'says why' : percent(one.success), 'strong', 'middle'),
    text(middle, y + 36, `${one.packetsMedian} packets`, 'small', 'middle'),
    // There is no connection time without a connection.
    text(middle, y + 52, one.success > 0 ? `${one.secondsMedian.toFixed(1)} s` : '–', 'small', 'middle'),
  ]
}

function toneOf({ pass, goal, strategies }: GridCell): Tone {
  if (!pass) return 'missed'
  if (goal.success === null) return 'none'
  if (strategies.some((strategy) => /birthday|block/.test(strategy))) return 'searched'
  return strategies.every((strategy) => strategy === 'direct') ? 'direct' : 'predicted'
}

/** Rounded down, so never up to 100. */
function percent(part: number): string {
  return `${Math.floor(part * 1_000) / 10} %`
}

/** The kind in one line, its port allocation in a second one. */
function sideLabel(name: SideName, x: number, y: number, anchor: 'middle' | 'end'): string[] {
  const [kind = '', choice] = name === 'no NAT' ? [name] : name.split(' ')
  return [text(x, y, kind, 'strong', anchor), ...(choice ? [text(x, y + 16, choice, 'small', anchor)] : [])]
}

function drawLegend(used: readonly Tone[], y: number): string[] {
  const shown = Object.entries(tones).filter(([tone]) => used.some((one) => one === tone))
  const each = (width - 32) / shown.length
  return shown.flatMap(([tone, { label }], index) => {
    const x = 16 + index * each
    return [
      `<rect class="${tone}" x="${x}" y="${y - 11}" width="14" height="14" rx="3"/>`,
      text(x + 20, y, label, 'small'),
    ]
  })
}

function drawBar(name: string, pairs: number, y: number, isOurs: boolean): string[] {
  const all = sideNames.length ** 2
  const full = width - margin.left - 130
  return [
    text(margin.left - 10, y + 13, name, isOurs ? 'strong' : 'small', 'end'),
    `<rect class="bar" x="${margin.left}" y="${y}" width="${full}" height="18" rx="4"/>`,
    `<rect class="${isOurs ? 'ours' : 'theirs'}" x="${margin.left}" y="${y}" width="${Math.round((full * pairs) / all)}" height="18" rx="4"/>`,
    text(margin.left + full + 10, y + 13, `${pairs} of ${all} pairs`, isOurs ? 'strong' : 'small'),
  ]
}

/** Baseline of a row's label of one or two lines. */
function middleOf(name: SideName, index: number): number {
  return margin.top + index * step.y + cell.height / 2 + (name.includes(' ') && name !== 'no NAT' ? -3 : 4)
}

function text(x: number, y: number, words: string, kind = 'small', anchor = 'start'): string {
  const anchored = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text class="${kind}" x="${x}" y="${y}"${anchored}>${words}</text>`
}
