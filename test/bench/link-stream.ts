// Throughput of one TCP connection over a path with delay and loss: through two agents, against the kernel's
// own TCP with its configured congestion control (and with CUBIC, the usual one) on the same path. slow-path.py
// joins two network namespaces and delays and drops packets.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { within } from '../harness/namespaces.ts'
import { findProgram, lacks } from '../harness/needs.ts'
import type { IdleWait } from './idle-wait.ts'
import { LinkTestbed } from './link-testbed.ts'
import { printProgress, quantile, type Report, round } from './report.ts'

const roundTripMs = 50
const loss = 0.01
const seconds = 8
const runOrder = ['plain', 'link', 'link', 'plain', 'cubic', 'plain', 'link'] as const
/**
 * Rates of the path in Mbit/s. 0 means as fast as this computer, which the agents, iperf3 and the path share.
 * The other one is a player's usual rate.
 */
const rates = [0, 100] as const
const minShare = 0.9
const port = 5201
/** Public addresses according to `addressScope`. */
const addresses = ['198.18.77.1', '198.18.77.2'] as const

export async function benchStream(idleWait: Pick<IdleWait, 'wait'>): Promise<Report[]> {
  const reports: Report[] = []
  for (const rate of rates) reports.push(await benchOn(rate, idleWait))
  return reports
}

async function benchOn(mbitPerS: number, idleWait: Pick<IdleWait, 'wait'>): Promise<Report> {
  const missing = lacks('network namespaces', 'iperf3')
  if (missing) throw new Error(missing)
  const names = ['a', 'b'].map((end) => `ppt-${process.pid}-slow-${end}`) as [string, string]
  const cleanups: (() => unknown)[] = []
  try {
    for (const name of names) {
      ip('netns', 'add', name)
      cleanups.push(() => ip('netns', 'delete', name))
      ip('-n', name, 'link', 'set', 'lo', 'up')
    }
    const path = await openPath(names, mbitPerS)
    cleanups.push(async () => {
      path.stdin?.end()
      if (path.exitCode === null) await once(path, 'close')
    })
    return await measure(names, mbitPerS, cleanups, idleWait)
  } finally {
    for (const end of cleanups.reverse()) await end()
  }
}

async function measure(
  [gameNamespace, playerNamespace]: readonly [string, string],
  mbitPerS: number,
  cleanups: (() => unknown)[],
  idleWait: Pick<IdleWait, 'wait'>,
): Promise<Report> {
  const server = spawn('ip', [
    ...within(gameNamespace).slice(1),
    'iperf3',
    '-s',
    '-p',
    String(port),
    '--forceflush',
  ])
  cleanups.push(() => server.kill('SIGKILL'))
  await once(server.stdout, 'data')
  const testbed = await LinkTestbed.open({
    namespaces: [gameNamespace, playerNamespace],
    address: addresses[0],
  })
  cleanups.push(() => testbed.close())
  const gameConfig = await testbed.createAgent('game', gameNamespace)
  const playerConfig = await testbed.createAgent('player', playerNamespace)
  const game = testbed.start('game', gameConfig, ['--expose', `tcp:${port}`], gameNamespace)
  await game.waitFor('replied')
  const player = testbed.start(
    'player',
    playerConfig,
    ['--forward', `tcp:${port}=game:${port}`],
    playerNamespace,
  )
  await Promise.all([game.waitFor('connected'), player.waitFor('connected')])

  const measured: Record<(typeof runOrder)[number], number[]> = { plain: [], cubic: [], link: [] }
  for (const kind of runOrder) {
    await idleWait.wait()
    const rate = transfer(
      playerNamespace,
      kind === 'link' ? '127.0.0.1' : addresses[0],
      kind === 'cubic' ? ['-C', 'cubic'] : [],
    )
    measured[kind].push(rate)
    printProgress(`${kind}: ${round(rate, 2)} MB/s`)
  }
  for (const agent of [player, game]) await agent.stop(5_000)
  const [plain, link] = [quantile(measured.plain, 0.5), quantile(measured.link, 0.5)]
  return {
    bench: mbitPerS === 0 ? 'link stream' : `link stream at ${mbitPerS} Mbit/s`,
    ratio: round(link / plain),
    target: `>= ${minShare}`,
    pass: link / plain >= minShare,
    baseline: {
      MBPerS: round(plain, 2),
      all: measured.plain.map((rate) => round(rate, 2)),
      'MBPerS with cubic': round(quantile(measured.cubic, 0.5), 2),
    },
    measured: { MBPerS: round(link, 2), all: measured.link.map((rate) => round(rate, 2)) },
    inputs: {
      roundTripMs,
      loss,
      ...(mbitPerS > 0 && { mbitPerS }),
      seconds,
      kernel: congestionControl(playerNamespace),
    },
  }
}

/** MB/s from the second namespace to the first, without the slow start of the first second. */
function transfer(netns: string, host: string, options: readonly string[]): number {
  const args = ['iperf3', '-c', host, '-p', String(port), '-J', '-t', String(seconds), '-O', '1', ...options]
  const { stdout } = spawnSync('ip', [...within(netns).slice(1), ...args], { encoding: 'utf8' })
  const result = JSON.parse(stdout) as {
    readonly error?: string
    readonly end: { readonly sum_received?: { readonly bits_per_second: number } }
  }
  if (result.error !== undefined) throw new Error(`iperf3: ${result.error}`)
  return (result.end.sum_received?.bits_per_second ?? 0) / 8e6
}

async function openPath([first, second]: readonly [string, string], mbitPerS: number): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./slow-path.py', import.meta.url))
  const args = [
    script,
    first,
    addresses[0],
    second,
    addresses[1],
    String(roundTripMs / 2),
    String(loss),
    String(mbitPerS),
    '1',
  ]
  const python = ['/usr/bin/python3', findProgram('python3')].find((file) => file !== undefined) as string
  const path = spawn(python, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  await Promise.race([once(path.stdout as NodeJS.ReadableStream, 'data'), once(path, 'close')])
  if (path.exitCode !== null) throw new Error('the path between the namespaces could not be made')
  return path
}

function congestionControl(netns: string): string {
  const args = [...within(netns).slice(1), 'sysctl', '-n', 'net.ipv4.tcp_congestion_control']
  return spawnSync('ip', args, { encoding: 'utf8' }).stdout.trim()
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`)
}
