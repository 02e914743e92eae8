// Starts and stops main.ts, and waits for the events that it prints.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { v8Flags } from '../../harness/v8-flags.ts'
import type { RealHostOptions } from './real-host.ts'

const script = fileURLToPath(new URL('./main.ts', import.meta.url))

export class HostProcess {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #exited: Promise<unknown>
  readonly #waiting = new Map<string, () => void>()
  readonly #emitted = new Set<string>()
  stderr = ''
  /** The last event of each name. */
  readonly last = new Map<string, Record<string, unknown>>()
  /** How often each event was printed. */
  readonly counts = new Map<string, number>()
  #rest = ''

  /** Loads the code and waits for `go`. `wrapper`: a command that ends by executing the host. */
  constructor(wrapper: readonly string[] = []) {
    const [program = process.execPath, ...rest] = [...wrapper, process.execPath, ...v8Flags, script]
    this.#child = spawn(program, rest, { stdio: 'pipe' })
    this.#exited = once(this.#child, 'exit')
    this.#child.stdin.on('error', () => undefined)
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-4_000)
    })
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  go(options: RealHostOptions): void {
    this.#child.stdin.write(`${JSON.stringify(options)}\n`)
  }

  /** Resolves when the host has printed this event. Rejects when the host ends before that. */
  async waitFor(event: string): Promise<void> {
    if (this.#emitted.has(event)) return
    const emitted = new Promise<void>((resolve) => this.#waiting.set(event, resolve))
    const exited = this.#exited.then(() => {
      throw new Error(`the host ended before it printed "${event}"\n${this.stderr}`)
    })
    await Promise.race([emitted, exited])
    exited.catch(() => undefined)
  }

  /** Its memory after a garbage collection; null when the host ends before it answers. Call it after `loaded`. */
  async memory(): Promise<NodeJS.MemoryUsage | null> {
    this.#emitted.delete('memory')
    this.#child.kill('SIGUSR2')
    return this.waitFor('memory').then(
      () => this.last.get('memory') as unknown as NodeJS.MemoryUsage,
      () => null,
    )
  }

  /** Waits for a host that ends by itself. Resolves with its exit code. */
  async ended(): Promise<number | null> {
    await this.#exited
    return this.#child.exitCode
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal)
    await this.#exited
    return this.#child.exitCode
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = JSON.parse(line) as Record<string, unknown>
      const name = String(event.event)
      this.last.set(name, event)
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
      this.#emitted.add(name)
      this.#waiting.get(name)?.()
    }
  }
}
