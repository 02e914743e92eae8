// A script beside this one in a process of its own: gets its options as one argument, tells its events as JSON
// lines, and ends when its input does.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type Told = { readonly event: string; readonly [field: string]: unknown }

export class Child {
  readonly #child: ChildProcess
  readonly #told: Told[] = []
  #ring: () => void = () => undefined
  #ended = false

  /** `prefix` is a command that runs the script, such as `ip netns exec NAME`. */
  constructor(script: string, options: unknown, prefix: readonly string[] = []) {
    const file = fileURLToPath(new URL(script, import.meta.url))
    const [command = '', ...args] = [...prefix, process.execPath, file, JSON.stringify(options)]
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.#child
    if (stdout) {
      createInterface({ input: stdout }).on('line', (line) => {
        this.#told.push(JSON.parse(line) as Told)
        this.#ring()
      })
    }
    this.#child.on('close', () => {
      this.#ended = true
      this.#ring()
    })
  }

  /** The next event, which must be this one. */
  async heard(event: string): Promise<Told> {
    for (;;) {
      const told = this.#told.shift()
      if (told?.event === event) return told
      if (told || this.#ended) throw new Error(`instead of "${event}" came ${told?.event ?? 'the end'}`)
      await new Promise<void>((resolve) => {
        this.#ring = resolve
      })
    }
  }

  async end(): Promise<void> {
    this.#child.stdin?.end()
    if (!this.#ended) await once(this.#child, 'close')
  }
}

/** For the script: tells the process that started it. */
export function tellParent(told: Told): void {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}
