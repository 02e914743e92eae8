// A real host for a benchmark: created by `peerpost init host`, run by `peerpost host --json` in its own
// process. Its events go to a file, like a service's log, so that reading them costs the host nothing.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, openSync, readFileSync, readSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadHostConfig } from '../../src/config/load-config.ts'
import { type HostKeys, readHostKeys } from '../../src/setup/host-keys.ts'
import type { MailServers } from '../harness/mail-servers.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { sleep } from './report.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The compiled program, as in the package. From its sources, Node's type stripping would be measured too. */
export function buildProgram(folder: string): string {
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const built = spawnSync(tsc, ['-p', root, '--outDir', join(folder, 'dist')], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`tsc failed: ${built.stdout}`)
  // The program finds its version and dependencies as in the package.
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'dist', 'cli', 'main.js')
}

export type HostEvent = { readonly event: string; readonly at: string; readonly [field: string]: unknown }

export type HostFolder = {
  readonly program: string
  readonly dir: string
  readonly config: string
  readonly keys: HostKeys
}

/** Creates the folder of a host that uses the mailbox of `user`. */
export function makeHostFolder(
  mailServers: MailServers,
  user: string,
  dir: string,
  program: string,
): HostFolder {
  const address = mailServers.address(user)
  const mail = [
    '--address',
    address,
    '--receive',
    mailServers.imapUrl(user),
    '--send',
    mailServers.smtpUrl(user),
  ]
  const args = [program, 'init', 'host', '--dir', dir, ...mail, '--yes']
  const run = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`init host failed: ${run.stderr}`)
  const config = join(dir, 'host.toml')
  return { program, dir, config, keys: readHostKeys(realCrypto, loadHostConfig(config, {})) }
}

export class BenchHost {
  readonly #child: ChildProcess
  readonly #log: string
  readonly #descriptor: number
  #rest = ''

  constructor({ program, config, dir }: HostFolder) {
    this.#log = join(dir, `host-${Date.now()}.log`)
    const log = openSync(this.#log, 'a')
    this.#child = spawn(process.execPath, [program, 'host', '--config', config, '--json'], {
      stdio: ['ignore', log, 'inherit'],
    })
    closeSync(log)
    this.#descriptor = openSync(this.#log, 'r')
  }

  /** Events emitted since the last call. */
  read(): HostEvent[] {
    const chunk = Buffer.alloc(1 << 20)
    const length = readSync(this.#descriptor, chunk, 0, chunk.length, null)
    const lines = (this.#rest + chunk.toString('utf8', 0, length)).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#child.exitCode !== null && length === 0) throw new Error(`the host ended; see ${this.#log}`)
    return lines.map((line) => JSON.parse(line) as HostEvent)
  }

  /** Reads until an event matches, returns it, and drops those before. */
  async until(matches: (event: HostEvent) => boolean): Promise<HostEvent> {
    for (;;) {
      const found = this.read().find(matches)
      if (found) return found
      await sleep(5)
    }
  }

  /** Resident memory now, and its highest value. */
  memory(): { readonly rssMB: number; readonly peakMB: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    const megabytes = (name: string) => {
      const kibibytes = Number(new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(status)?.[1])
      return Math.round((kibibytes * 1024) / 1e5) / 10
    }
    return { rssMB: megabytes('VmRSS'), peakMB: megabytes('VmHWM') }
  }

  /** Processor time of all threads so far. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    // utime and stime (proc_pid_stat(5)), in hundredths of a second.
    return 10 * (Number(fields[11]) + Number(fields[12]))
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
