// Runs other peerpost processes, for the demo: reads the JSON lines they print, and waits for their end.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Problem } from '../base/problem.ts'

/** `main.ts` in a checkout, `main.js` in the package. */
const program = fileURLToPath(new URL(`./main${import.meta.url.slice(-3)}`, import.meta.url))

export type ChildEvent = { readonly event: string; readonly [field: string]: unknown }

/** How many events and characters of standard error are stored. Older ones are removed. */
const maxEvents = 1000
const maxErrorCharacters = 32_000

export class PeerpostProcess {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #onEvent: (event: ChildEvent) => void
  readonly #events: ChildEvent[] = []
  readonly #waiters = new Set<() => void>()
  #errors = ''
  readonly ended: Promise<number | null>

  /** `prefix` is a command that runs another program, such as `ip netns exec NAME`. */
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
      this.#errors = (this.#errors + text).slice(-maxErrorCharacters)
    })
    this.ended = new Promise((resolve) => {
      this.#child.on('error', () => resolve(null))
      this.#child.on('close', (code) => resolve(code))
    })
    void this.ended.then(() => this.#wake())
  }

  /** Resolves to the first matching event, also an earlier one. Rejects when the process ends without it. */
  async waitFor(event: string, matches: (event: ChildEvent) => boolean = () => true): Promise<ChildEvent> {
    let isEnded = false
    void this.ended.then(() => {
      isEnded = true
    })
    for (;;) {
      const found = this.#events.find((candidate) => candidate.event === event && matches(candidate))
      if (found) return found
      if (isEnded)
        throw new Problem('internal', `${this.#name} ended before its event "${event}".`, this.#errors)
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    }
  }

  get events(): readonly ChildEvent[] {
    return this.#events
  }

  /** The last part of standard error. */
  get errors(): string {
    return this.#errors
  }

  get processId(): number {
    return this.#child.pid ?? 0
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Runs a command that ends by itself, and resolves to its output. Rejects with its errors when it fails. */
  static async run(name: string, args: readonly string[]): Promise<string> {
    const lines: string[] = []
    const child = new PeerpostProcess(name, args, ({ line }) => lines.push(String(line)))
    const code = await child.ended
    if (code !== 0) throw new Problem('internal', `${name} failed with exit code ${code}.`, child.#errors)
    return lines.join('\n')
  }

  /** Sends SIGTERM, then SIGKILL after `graceMs`. Resolves to the exit code. */
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
    if (this.#events.length > maxEvents) this.#events.shift()
    this.#onEvent(event)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiters) wake()
    this.#waiters.clear()
  }
}

/** A line that is not JSON becomes an event called `line`. */
function parseEvent(line: string): ChildEvent {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed === 'object' && parsed !== null && 'event' in parsed) return parsed as ChildEvent
  } catch {
    // Plain text.
  }
  return { event: 'line', line }
}
