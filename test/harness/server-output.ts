// The output of a test's server, for the error that is shown when it does not start.

import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

const mostLines = 20
const mostCharacters = 3_000

/** Servers start within a second or two, or longer on a busy computer. */
const startMs = 20_000

export function lastLines(text: string): string {
  const lines = text.trimEnd().split('\n').slice(-mostLines).join('\n').slice(-mostCharacters)
  return lines === '' ? 'it said nothing' : lines
}

/** The last lines of files such as its output and log; missing files are skipped. */
export function lastLinesOf(files: readonly string[]): string {
  const texts = files.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8'))
  return lastLines(
    texts
      .filter((text) => text.trim() !== '')
      .map((text) => lastLines(text))
      .join('\n'),
  )
}

/** Both output streams of a server that prints when it is ready. */
export class ServerOutput {
  readonly #name: string
  readonly ended: Promise<void>
  #text = ''
  #hasEnded = false
  readonly #waiting = new Set<() => void>()

  constructor(name: string, child: ChildProcess) {
    this.#name = name
    const read = (text: string) => {
      this.#text += text
      this.#wake()
    }
    child.stdout?.setEncoding('utf8').on('data', read)
    child.stderr?.setEncoding('utf8').on('data', read)
    this.ended = new Promise<void>((resolve) => {
      child.on('error', ({ message }) => {
        this.#text += `${message}\n`
        resolve()
      })
      child.on('close', () => resolve())
    }).then(() => {
      this.#hasEnded = true
      this.#wake()
    })
  }

  /**
   * Resolves when `pattern` has matched so often. Rejects with the last lines when the server ends before or
   * takes too long.
   */
  says(pattern: RegExp, times = 1, withinMs = startMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (reason?: string) => {
        this.#waiting.delete(check)
        clearTimeout(timer)
        if (reason === undefined) resolve()
        else reject(new Error(`${this.#name} ${reason}:\n${lastLines(this.#text)}`))
      }
      const check = () => {
        const found = [...this.#text.matchAll(new RegExp(pattern, 'g'))].length >= times
        if (found) end()
        else if (this.#hasEnded) end('ended')
      }
      const timer = setTimeout(() => end(`did not say ${pattern} within ${withinMs / 1000} s`), withinMs)
      this.#waiting.add(check)
      check()
    })
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check()
  }
}
