// How fast one TCP connection is over a path with delay and loss: through two agents, against the kernel's own TCP as it is
// set (and with CUBIC, which most systems have) on the same path. Two network namespaces are joined by a program that delays and drops (slow-path.py).

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { within } from '../harness/namespaces.ts'
import { findProgram, lacks } from '../harness/needs.ts'
import { LinkRoom } from './link-room.ts'
import type { Quiet } from './quiet.ts'
import { quantile, type Report, round, tell } from './report.ts'

const roundTripMs = 50
const loss = 0.01
const seconds = 8
const turns = ['plain', 'link', 'link', 'plain', 'cubic', 'plain', 'link'] as const
/** A path without a rate is as fast as this computer, which both agents, both iperf3 and the path share; one with a rate is
 *  what a player has. */
const rates = [0, 100] as const
const leastShare = 0.9
const port = 5201
/** Public as far as `addressScope` is concerned. */
const addresses = ['198.18.77.1', '198.18.77.2'] as const

export async function benchStream(quiet: Pick<Quiet, 'wait'>): Promise<Report[]> {
  const reports: Report[] = []
  for (const rate of rates) reports.push(await benchOn(rate, quiet))
  return reports
}

async function benchOn(mbitPerS: number, quiet: Pick<Quiet, 'wait'>): Promise<Report> {
  const missing = lacks('network namespaces', 'iperf3')
  if (missing) throw new Error(missing)
  const names = ['a', 'b'].map((end) => `ppt-${process.pid}-slow-${end}`) as [string, string]
  const endings: (() => unknown)[] = []
  try {
    for (const name of names) {
      ip('netns', 'add', name)
      endings.push(() => ip('netns', 'delete', name))
      ip('-n', name, 'link', 'set', 'lo', 'up')
    }
    const path = await openPath(names, mbitPerS)
    endings.push(async () => {
      path.stdin?.end()
      if (path.exitCode === null) await once(path, 'close')
    })
    return await measure(names, mbitPerS, endings, quiet)
  } finally {
    for (const end of endings.reverse()) await end()
  }
}

async function measure(
  [home, away]: readonly [string, string],
  mbitPerS: number,
  endings: (() => unknown)[],
  quiet: Pick<Quiet, 'wait'>,
): Promise<Report> {
  const server = spawn('ip', [...within(home).slice(1), 'iperf3', '-s', '-p', String(port), '--forceflush'])
  endings.push(() => server.kill('SIGKILL'))
  await once(server.stdout, 'data')
  const room = await LinkRoom.open({ namespaces: [home, away], address: addresses[0] })
  endings.push(() => room.close())
  const gameConfig = await room.setUp('game', home)
  const playerConfig = await room.setUp('player', away)
  const game = room.start('game', gameConfig, ['--expose', `tcp:${port}`], home)
  await game.waitFor('replied')
  const player = room.start('player', playerConfig, ['--forward', `tcp:${port}=game:${port}`], away)
  await Promise.all([game.waitFor('connected'), player.waitFor('connected')])

  const measured: Record<(typeof turns)[number], number[]> = { plain: [], cubic: [], link: [] }
  for (const turn of turns) {
    await quiet.wait()
    const rate = transfer(
      away,
      turn === 'link' ? '127.0.0.1' : addresses[0],
      turn === 'cubic' ? ['-C', 'cubic'] : [],
    )
    measured[turn].push(rate)
    tell(`${turn}: ${round(rate, 2)} MB/s`)
  }
  for (const agent of [player, game]) await agent.stop(5_000)
  const [plain, link] = [quantile(measured.plain, 0.5), quantile(measured.link, 0.5)]
  return {
    bench: mbitPerS === 0 ? 'link stream' : `link stream at ${mbitPerS} Mbit/s`,
    ratio: round(link / plain),
    target: `>= ${leastShare}`,
    pass: link / plain >= leastShare,
    baseline: {
      ...{ MBPerS: round(plain, 2), all: measured.plain.map((rate) => round(rate, 2)) },
      'MBPerS with cubic': round(quantile(measured.cubic, 0.5), 2),
    },
    measured: { MBPerS: round(link, 2), all: measured.link.map((rate) => round(rate, 2)) },
    inputs: {
      roundTripMs,
      loss,
      ...(mbitPerS > 0 && { mbitPerS }),
      seconds,
      kernel: congestionControl(away),
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
