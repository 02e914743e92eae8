// A real PostgreSQL cluster on a Unix socket in a temporary folder, with fsync on. PostgreSQL refuses to run as
// root, so root starts it as the user `postgres` of Debian's package.

import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from './needs.ts'
import { lastLinesOf } from './server-output.ts'

const run = promisify(execFile)

export class PostgresCluster {
  readonly #folder: string
  readonly #bin: string
  #made = 0

  private constructor(folder: string, bin: string) {
    this.#folder = folder
    this.#bin = bin
  }

  static async start(): Promise<PostgresCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-postgres-'))
    if (process.getuid?.() === 0) {
      chownSync(folder, Number(execFileSync('id', ['-u', 'postgres'])), 0)
      chmodSync(folder, 0o700)
    }
    const cluster = new PostgresCluster(folder, dirname(findProgram('initdb') ?? ''))
    try {
      const data = join(folder, 'data')
      await cluster.#do('initdb', '-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C')
      const settings = [
        `unix_socket_directories = '${folder}'`,
        ...["listen_addresses = ''", 'fsync = on', 'synchronous_commit = on', 'max_connections = 50'],
      ]
      writeFileSync(join(data, 'postgresql.auto.conf'), `${settings.join('\n')}\n`)
      await cluster.resume()
      return cluster
    } catch (thrown) {
      await cluster.stop()
      throw thrown
    }
  }

  /** Creates an empty database. */
  async database(): Promise<string> {
    const name = `test_${this.#made++}`
    await this.#do('createdb', '-h', this.#folder, '-U', 'postgres', name)
    return this.urlOf(name)
  }

  urlOf(name: string, user = 'postgres'): string {
    return `postgres://${user}@${encodeURIComponent(this.#folder)}/${name}`
  }

  /** `fast` ends all connections immediately. */
  async pause(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#do('pg_ctl', '-D', join(this.#folder, 'data'), '-m', mode, '-w', 'stop')
  }

  async resume(): Promise<void> {
    const log = join(this.#folder, 'log')
    try {
      await this.#do('pg_ctl', '-D', join(this.#folder, 'data'), '-l', log, '-w', 'start')
    } catch (thrown) {
      throw new Error(`PostgreSQL does not start: ${(thrown as Error).message}\n${lastLinesOf([log])}`)
    }
  }

  async sql(database: string, text: string): Promise<string> {
    const name = decodeURIComponent(database.slice(database.lastIndexOf('/') + 1))
    return this.#do('psql', '-h', this.#folder, '-U', 'postgres', '-d', name, '-Atc', text)
  }

  async stop(): Promise<void> {
    await this.pause('immediate').catch(() => undefined)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #do(program: string, ...args: readonly string[]): Promise<string> {
    const file = join(this.#bin, program)
    const isRoot = process.getuid?.() === 0
    const [command, rest] = isRoot
      ? ['setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', file, ...args]]
      : [file, args]
    const { stdout } = await run(command, rest, { cwd: this.#folder, env: { ...process.env, LC_ALL: 'C' } })
    return stdout.trim()
  }
}
