// Runs a script of this folder in its own process. It gets its options as one argument, prints its events as
// JSON lines, and ends when its input ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type ScriptEvent = { readonly event: string; readonly [field: string]: unknown }

export class Child {
  readonly #child: ChildProcess
  readonly #events: ScriptEvent[] = []
  #wakeWaiter: () => void = () => undefined
  #ended = false

  /** `prefix` is a command that runs the script, such as `ip netns exec NAME`. */
  constructor(script: string, options: unknown, prefix: readonly string[] = []) {
    const file = fileURLToPath(new URL(script, import.meta.url))
    const [command = '', ...args] = [...prefix, process.execPath, file, JSON.stringify(options)]
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.#child
    if (stdout) {
      createInterface({ input: stdout }).on('line', (line) => {
        this.#events.push(JSON.parse(line) as ScriptEvent)
        this.#wakeWaiter()
      })
    }
    this.#child.on('close', () => {
      this.#ended = true
      this.#wakeWaiter()
    })
  }

  /** Resolves with the next event, which must have this name. */
  async waitFor(event: string): Promise<ScriptEvent> {
    for (;;) {
      const next = this.#events.shift()
      if (next?.event === event) return next
      if (next || this.#ended) throw new Error(`instead of "${event}" came ${next?.event ?? 'the end'}`)
      await new Promise<void>((resolve) => {
        this.#wakeWaiter = resolve
      })
    }
  }

  async end(): Promise<void> {
    this.#child.stdin?.end()
    if (!this.#ended) await once(this.#child, 'close')
  }
}

/** For the script: sends an event to its parent process. */
export function emitToParent(event: ScriptEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}
