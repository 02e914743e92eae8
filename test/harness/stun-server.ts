// A real STUN server: coturn on two addresses, so that NAT mappings can be told apart (RFC 5780).

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './needs.ts'

export type StunServer = { readonly servers: readonly string[]; stop(): Promise<void> }

export type StunServerOptions = {
  readonly addresses: readonly [string, string]
  readonly port: number
  /** Command that runs it, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
  /** Whether it answers over TCP, too; most STUN servers do not. */
  readonly overTcp?: boolean
}

export async function startStunServer({
  addresses,
  port,
  prefix = [],
  overTcp = false,
}: StunServerOptions): Promise<StunServer> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-coturn-'))
  const [command = '', ...args] = [
    ...prefix,
    findProgram('turnserver') ?? 'turnserver',
    '-n',
    '--stun-only',
    ...addresses.flatMap((address) => ['-L', address]),
    ...['-p', String(port), ...(overTcp ? [] : ['--no-tcp']), '--no-tls', '--no-dtls', '--no-cli'],
    ...['--log-file', 'stdout', '--simple-log'],
    ...['--pidfile', join(folder, 'pid'), '--db', join(folder, 'db')],
  ]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  let output = ''
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await new Promise<void>((resolve, reject) => {
      const read = (text: string) => {
        output += text
        if (output.includes('Total General servers')) resolve()
      }
      child.stdout.setEncoding('utf8').on('data', read)
      child.stderr.setEncoding('utf8').on('data', read)
      child.on('error', reject)
      child.on('close', () => reject(new Error(`coturn ended early:\n${output}`)))
    })
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return { servers: addresses.map((address) => `${address}:${port}`), stop }
}
