// Prints the output of commands: JSON lines for programs, sentences for people. Only terminals get colours.

import { styleText } from 'node:util'
import type { Line, Tone } from '../wording/numbers-text.ts'

const styles = { good: 'green', bad: 'yellow', worst: 'red', quiet: 'dim' } as const

export function paint(tone: Tone | 'worst', text: string): string {
  // styleText itself checks the stream, NO_COLOR and FORCE_COLOR.
  return tone === 'plain' ? text : styleText(styles[tone], text, { stream: process.stdout })
}

/** Formats rows in columns of equal width. */
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

/** Ends the command when the reader of its output has gone, as with `| head`. This is not an error. It emits SIGTERM first
 *  for commands that have to clean up. */
export function endWithReader(): void {
  // Nobody reads standard error any more, but the exit code can still be read.
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

/** A daemon goes on when nobody reads its output. */
function outliveReader(): void {
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', () => {})
}

/** Prints one event as a JSON line. `wallNow` is Unix ms. */
export function printEvent(wallNow: number, event: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ event, at: new Date(wallNow).toISOString(), ...fields })}\n`)
}

export type Reporter<Event> = (event: Event) => void

/** Returns a function that prints the events of a daemon. `describe` returns a sentence for people, or null when only
 *  programs need the event. `onPrinted` gets each event as `--json` prints it. */
export function createReporter<Event extends { readonly event: string }>(
  json: boolean | undefined,
  wallNow: () => number,
  describe: (event: Event) => Line | null,
  onPrinted: (printed: object) => void = () => {},
): Reporter<Event> {
  outliveReader()
  return (event) => {
    const at = new Date(wallNow())
    const { event: name, ...fields } = event
    const printed = { event: name, at: at.toISOString(), ...fields }
    onPrinted(printed)
    if (json) {
      process.stdout.write(`${JSON.stringify(printed)}\n`)
      return
    }
    const line = describe(event)
    if (!line) return
    process.stdout.write(`${paint('quiet', at.toTimeString().slice(0, 8))}  ${paint(line.tone, line.text)}\n`)
  }
}
