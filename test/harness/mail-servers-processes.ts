// Starts and stops the daemons of a test's mail servers. Each has its own process group. A guardian process
// kills them when this process is killed, so that nothing is left behind.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { lastLinesOf } from './server-output.ts'

export type Daemon = {
  readonly child: ChildProcess
  readonly name: string
  /** Files with its output, and its log if it has one. */
  readonly outputs: readonly string[]
}

export type DaemonOptions = {
  readonly name: string
  readonly command: readonly string[]
  /** Folder for its output file. A pipe would stay open while the daemon's children live. */
  readonly folder: string
  /** The log file that it writes itself. */
  readonly log?: string
  readonly netns?: string | undefined
}

export type Guardian = {
  watch(daemon: Daemon): void
  forget(daemon: Daemon): void
  dismiss(): void
}

// Reads `+PID` and `-PID` lines. If its input ends without `done`, this process died.
const guardianScript = `
groups=" "
while read -r line; do
  case "$line" in
    +*) groups="$groups\${line#+} " ;;
    -*) groups="\${groups/ \${line#-} / }" ;;
    done) exit 0 ;;
  esac
done
for group in $groups; do kill -KILL -- "-$group"; done
rm -rf "$1"
`

/** Guards the daemons and the folder of a test's mail servers. */
export function startGuardian(folder: string): Guardian {
  const child = spawn('bash', ['-c', guardianScript, 'guardian', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  const { stdin } = child
  stdin.on('error', () => undefined)
  child.unref()
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
  return {
    watch: (daemon) => void stdin.write(`+${daemon.child.pid}\n`),
    forget: (daemon) => void stdin.write(`-${daemon.child.pid}\n`),
    dismiss: () => void stdin.end('done\n'),
  }
}

/** `ip netns exec` replaces itself with the program, so the child's ID is the daemon's. */
export function startDaemon({ name, command, folder, log, netns }: DaemonOptions): Daemon {
  const inside = netns === undefined ? [] : ['ip', 'netns', 'exec', netns]
  const [program, ...args] = [...inside, ...command] as [string, ...string[]]
  const printed = join(folder, `${name}.out`)
  const output = openSync(printed, 'w')
  const child = spawn(program, args, { stdio: ['ignore', output, output], detached: true })
  closeSync(output)
  child.on('error', () => undefined)
  return { child, name, outputs: log === undefined ? [printed] : [printed, log] }
}

export function hasEnded({ child }: Daemon): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/**
 * Sends SIGTERM to the daemon, which ends its own children. After `graceMs` it sends SIGKILL to its process
 * group (Dovecot takes a second).
 */
export async function stopDaemon(daemon: Daemon, graceMs = 5_000): Promise<void> {
  const { child } = daemon
  if (hasEnded(daemon) || child.pid === undefined) return
  const group = -child.pid
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const killer = setTimeout(() => signalGroup(group, 'SIGKILL'), graceMs)
  await ended
  clearTimeout(killer)
  signalGroup(group, 'SIGKILL')
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(group, signal)
  } catch {
    // No process of the group is left.
  }
}

/** Ports that were free a moment ago. Another program may take one first, so the caller must retry. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Whether a server there sends its greeting within a second. */
async function greets(address: string, port: number, netns: string | undefined): Promise<boolean> {
  if (netns !== undefined) {
    const script = `exec 3<>/dev/tcp/${address}/${port} && read -r -t 1 line <&3 && test -n "$line"`
    const probe = spawnSync('ip', ['netns', 'exec', netns, 'bash', '-c', script], { stdio: 'ignore' })
    return probe.status === 0
  }
  return new Promise((resolve) => {
    const socket = connect({ host: address, port })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1_000, () => end(false))
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}

/** An error that names the daemon and quotes its last lines. */
export function failureOf({ name, outputs }: Daemon, what: string): Error {
  return new Error(`${name} ${what}:\n${lastLinesOf(outputs)}`)
}

/**
 * Waits for the daemon's greeting on its port. Rejects with its last lines when it ended or 20 s have passed.
 */
export async function untilGreeting(
  daemon: Daemon,
  address: string,
  port: number,
  netns: string | undefined,
): Promise<void> {
  const deadline = performance.now() + 20_000
  while (performance.now() < deadline && !hasEnded(daemon)) {
    if (await greets(address, port, netns)) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw failureOf(daemon, `does not answer on ${address}:${port}`)
}
