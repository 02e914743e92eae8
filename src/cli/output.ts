// What a running command prints: JSON lines for programs, sentences for people. Colour only on terminals.

import { styleText } from 'node:util'
import type { Line, Tone } from '../wording/numbers-text.ts'

const styles = { good: 'green', bad: 'yellow', worst: 'red', quiet: 'dim' } as const

export function paint(tone: Tone | 'worst', text: string): string {
  // styleText looks at the stream, NO_COLOR and FORCE_COLOR itself.
  return tone === 'plain' ? text : styleText(styles[tone], text, { stream: process.stdout })
}

/** Columns as wide as they must be. */
export function table(
  head: readonly string[],
  rows: readonly { readonly tone: Tone; readonly cells: readonly string[] }[],
): string {
  const all = [{ tone: 'quiet' as const, cells: head }, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(({ cells }) => (cells[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return all.map(({ tone, cells }) => paint(tone, line(cells).trimEnd())).join('\n')
}

/** A command whose reader has gone, as of `| head`, ends: nobody wants the rest. It is no fault. Whoever has something
 *  to clean up first waits for SIGTERM. */
export function endWithReader(): void {
  // Where complaints cannot be read, the exit code still can.
  process.stderr.on('error', () => {})
  process.stdout.once('error', (error: NodeJS.ErrnoException) => {
    process.stdout.on('error', () => {})
    if (error.code !== 'EPIPE') {
      process.stderr.write(`peerpost: Standard output cannot be written: ${error.message}.\n`)
      process.exitCode = 1
    }
    if (!process.emit('SIGTERM')) process.exit()
  })
}

/** What a daemon does instead: its work is not what it prints. */
function outliveReader(): void {
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', () => {})
}

/** One event of a command that tells and ends. `wallNow` is Unix ms. */
export function tellEvent(wallNow: number, event: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ event, at: new Date(wallNow).toISOString(), ...fields })}\n`)
}

export type Reporter<Event> = (event: Event) => void

/** `describe` gives a sentence for a person, or null for what only programs want to know; `onTold` gets what is
 *  printed with `--json`. */
export function createReporter<Event extends { readonly event: string }>(
  json: boolean | undefined,
  wallNow: () => number,
  describe: (event: Event) => Line | null,
  onTold: (told: object) => void = () => {},
): Reporter<Event> {
  outliveReader()
  return (event) => {
    const at = new Date(wallNow())
    const { event: name, ...fields } = event
    const told = { event: name, at: at.toISOString(), ...fields }
    onTold(told)
    if (json) {
      process.stdout.write(`${JSON.stringify(told)}\n`)
      return
    }
    const line = describe(event)
    if (!line) return
    process.stdout.write(`${paint('quiet', at.toTimeString().slice(0, 8))}  ${paint(line.tone, line.text)}\n`)
  }
}
