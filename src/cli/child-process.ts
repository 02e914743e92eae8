// Other peerpost processes, as the demo starts them: what they print as JSON lines, and their end.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Problem } from '../base/problem.ts'

/** `main.ts` in a checkout, `main.js` in the package. */
const program = fileURLToPath(new URL(`./main${import.meta.url.slice(-3)}`, import.meta.url))

export type ChildEvent = { readonly event: string; readonly [field: string]: unknown }

/** Output and errors kept, for whoever asks later; older ones are forgotten. */
const keptEvents = 1000
const keptErrorCharacters = 32_000

export class PeerpostProcess {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #onEvent: (event: ChildEvent) => void
  readonly #events: ChildEvent[] = []
  readonly #waiting = new Set<() => void>()
  #errors = ''
  readonly ended: Promise<number | null>

  /** `prefix` is a command that runs the program, such as `ip netns exec NAME`. */
  constructor(
    name: string,
    args: readonly string[],
    onEvent: (event: ChildEvent) => void = () => {},
    prefix: readonly string[] = [],
  ) {
    this.#name = name
    this.#onEvent = onEvent
    const [command = process.execPath, ...rest] = [...prefix, process.execPath, program, ...args]
    this.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const { stdout, stderr } = this.#child
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.#read(line))
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-keptErrorCharacters)
    })
    this.ended = new Promise((resolve) => {
      this.#child.on('error', () => resolve(null))
      this.#child.on('close', (code) => resolve(code))
    })
    void this.ended.then(() => this.#wake())
  }

  /** The first event, also of those that came before, that `fits`. Rejects when the process ends without it. */
  async waitFor(event: string, fits: (event: ChildEvent) => boolean = () => true): Promise<ChildEvent> {
    let over = false
    void this.ended.then(() => {
      over = true
    })
    for (;;) {
      const found = this.#events.find((candidate) => candidate.event === event && fits(candidate))
      if (found) return found
      if (over)
        throw new Problem('internal', `${this.#name} ended before its event "${event}".`, this.#errors)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  get events(): readonly ChildEvent[] {
    return this.#events
  }

  /** What it said on stderr, its last part. */
  get errors(): string {
    return this.#errors
  }

  get processId(): number {
    return this.#child.pid ?? 0
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The whole output of a command that ends by itself. Rejects with its error line if it fails. */
  static async run(name: string, args: readonly string[]): Promise<string> {
    const lines: string[] = []
    const child = new PeerpostProcess(name, args, ({ line }) => lines.push(String(line)))
    const code = await child.ended
    if (code !== 0) throw new Problem('internal', `${name} failed with exit code ${code}.`, child.#errors)
    return lines.join('\n')
  }

  /** SIGTERM, then SIGKILL after `graceMs`; resolves to the exit code. */
  async stop(graceMs: number): Promise<number | null> {
    this.#child.kill('SIGTERM')
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    const code = await this.ended
    clearTimeout(kill)
    return code
  }

  #read(line: string): void {
    const event = parseEvent(line)
    this.#events.push(event)
    if (this.#events.length > keptEvents) this.#events.shift()
    this.#onEvent(event)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** A line that is no event becomes one called `line`. */
function parseEvent(line: string): ChildEvent {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed === 'object' && parsed !== null && 'event' in parsed) return parsed as ChildEvent
  } catch {
    // Plain text.
  }
  return { event: 'line', line }
}
