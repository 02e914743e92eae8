// A real host for a bench: made by `peerpost init host`, run by `peerpost host --json` in a process of its own,
// whose events go to a file as a service's log would, so that reading them costs the host nothing.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type HostKeys, readHostKeys } from '../../src/cli/host-keys.ts'
import { loadHostConfig } from '../../src/config/load.ts'
import type { PostOffice } from '../harness/post-office.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { sleep } from './report.ts'

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export type HostEvent = { readonly event: string; readonly at: string; readonly [field: string]: unknown }

export type HostFolder = { readonly dir: string; readonly config: string; readonly keys: HostKeys }

/** Makes the folder of a host whose mailbox is `user`'s. */
export function makeHostFolder(office: PostOffice, user: string, dir: string): HostFolder {
  const address = office.address(user)
  const mail = ['--address', address, '--receive', office.imapUrl(user), '--send', office.smtpUrl(user)]
  const args = [program, 'init', 'host', '--dir', dir, ...mail, '--yes']
  const run = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`init host failed: ${run.stderr}`)
  const config = join(dir, 'host.toml')
  return { dir, config, keys: readHostKeys(realCrypto, loadHostConfig(config, {})) }
}

export class BenchHost {
  readonly #child: ChildProcess
  readonly #log: string
  readonly #descriptor: number
  #rest = ''

  constructor({ config, dir }: HostFolder) {
    this.#log = join(dir, `host-${Date.now()}.log`)
    const log = openSync(this.#log, 'a')
    this.#child = spawn(process.execPath, [program, 'host', '--config', config, '--json'], {
      stdio: ['ignore', log, 'inherit'],
    })
    closeSync(log)
    this.#descriptor = openSync(this.#log, 'r')
  }

  /** Events told since the last call. */
  read(): HostEvent[] {
    const chunk = Buffer.alloc(1 << 20)
    const length = readSync(this.#descriptor, chunk, 0, chunk.length, null)
    const lines = (this.#rest + chunk.toString('utf8', 0, length)).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#child.exitCode !== null && length === 0) throw new Error(`the host ended; see ${this.#log}`)
    return lines.map((line) => JSON.parse(line) as HostEvent)
  }

  /** Reads until an event fits; returns it and drops those before. */
  async until(fits: (event: HostEvent) => boolean): Promise<HostEvent> {
    for (;;) {
      const found = this.read().find(fits)
      if (found) return found
      await sleep(5)
    }
  }

  /** Resident memory now and at its most. */
  memory(): { readonly rssMB: number; readonly peakMB: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    const megabytes = (name: string) => {
      const kibibytes = Number(new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(status)?.[1])
      return Math.round((kibibytes * 1024) / 1e5) / 10
    }
    return { rssMB: megabytes('VmRSS'), peakMB: megabytes('VmHWM') }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM')
      await once(this.#child, 'exit')
    }
    closeSync(this.#descriptor)
    if (this.#child.exitCode !== 0) throw new Error(`the host ended with ${this.#child.exitCode}`)
  }
}
