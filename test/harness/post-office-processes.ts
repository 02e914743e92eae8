// Starting and ending the daemons of a test's post office. Each runs in its own process group, and a
// guardian ends them when this process is killed, so that no run leaves anything behind.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export type Daemon = { readonly child: ChildProcess; readonly name: string }

export type Guardian = {
  watch(daemon: Daemon): void
  forget(daemon: Daemon): void
  dismiss(): void
}

// Reads `+PID` and `-PID` lines. The end of its input without `done` means that this process died.
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

/** Watches over the daemons and the folder of one post office. */
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

/** `ip netns exec` replaces itself by the program: the child's ID is the daemon's. */
export function startDaemon(name: string, command: readonly string[], netns: string | undefined): Daemon {
  const inside = netns === undefined ? [] : ['ip', 'netns', 'exec', netns]
  const [program, ...args] = [...inside, ...command] as [string, ...string[]]
  const child = spawn(program, args, { stdio: 'ignore', detached: true })
  child.on('error', () => undefined)
  return { child, name }
}

export function hasEnded({ child }: Daemon): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** SIGTERM to the daemon, which ends its own children; SIGKILL to its process group if that takes over `graceMs`
 *  (Dovecot takes a second). */
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
    // nobody of the group is left
  }
}

/** Ports that were free a moment ago; somebody may take one first, so the caller tries again. */
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

/** Whether a server there says its first line within a second. */
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

/** Waits until the daemon greets on its port; false when it ended instead or 20 s went by. */
export async function waitForGreeting(
  daemon: Daemon,
  address: string,
  port: number,
  netns: string | undefined,
): Promise<boolean> {
  const deadline = performance.now() + 20_000
  while (performance.now() < deadline) {
    if (hasEnded(daemon)) return false
    if (await greets(address, port, netns)) return true
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return false
}
