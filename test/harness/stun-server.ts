// A real STUN server: coturn on two addresses, so that kinds of NAT mapping can be distinguished (RFC 5780).

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './needs.ts'
import { ServerOutput } from './server-output.ts'

export type StunServer = { readonly servers: readonly string[]; stop(): Promise<void> }

export type StunServerOptions = {
  readonly addresses: readonly [string, string]
  readonly port: number
  /** Prefix of its command, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
  /** Whether it also answers over TCP; most STUN servers do not. */
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
  const output = new ServerOutput('coturn', child)
  const stop = async () => {
    child.kill('SIGKILL')
    await output.ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await output.says(/Total General servers/)
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return { servers: addresses.map((address) => `${address}:${port}`), stop }
}
