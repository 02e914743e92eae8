// Starts and ends main.ts, and waits for what it tells.

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
  readonly #told = new Set<string>()
  stderr = ''
  /** Last event of each name. */
  readonly last = new Map<string, Record<string, unknown>>()
  /** How often each event was told. */
  readonly counts = new Map<string, number>()
  #rest = ''

  /** Loads its code and then waits for `go`. `wrapper`: a command that becomes the host in the end. */
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

  /** Resolves when the host has told this event, or rejects when it ends without. */
  async heard(event: string): Promise<void> {
    if (this.#told.has(event)) return
    const heard = new Promise<void>((resolve) => this.#waiting.set(event, resolve))
    const exited = this.#exited.then(() => {
      throw new Error(`the host ended before it told "${event}"\n${this.stderr}`)
    })
    await Promise.race([heard, exited])
    exited.catch(() => undefined)
  }

  /** What it holds when all that could be collected is gone, once it was `loaded`; null when it ends before it says so. */
  async memory(): Promise<NodeJS.MemoryUsage | null> {
    this.#told.delete('memory')
    this.#child.kill('SIGUSR2')
    return this.heard('memory').then(
      () => this.last.get('memory') as unknown as NodeJS.MemoryUsage,
      () => null,
    )
  }

  /** The exit code of a host that ends by itself. */
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
      const told = JSON.parse(line) as Record<string, unknown>
      const name = String(told.event)
      this.last.set(name, told)
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
      this.#told.add(name)
      this.#waiting.get(name)?.()
    }
  }
}
