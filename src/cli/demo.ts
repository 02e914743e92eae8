// `peerpost demo`: runs a mail server, a host and two agents on this computer, as users would run them. Then two games
// exchange a datagram in each direction.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentEvent } from '../agent/events.ts'
import { formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import type { HostEvent } from '../host/events.ts'
import { TestMailServer } from '../mail/test-mail-server.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { startAddressServer } from '../stun-server/stun-server.ts'
import { describeAgentEvent, describeHostEvent } from '../wording/event-text.ts'
import { seconds } from '../wording/numbers-text.ts'
import { type ChildEvent, PeerpostProcess } from './child-process.ts'
import { paint } from './output.ts'
import { untilStopped } from './shutdown.ts'

/** A demo without any progress for so long has failed. A slow computer takes longer in all. */
const silenceMs = 24_000
const stopMs = 4_000
const domain = 'demo.invalid'

type Who = 'host' | 'anna' | 'ben'

/** Ends everything that was started, the newest first. */
class Cleanup {
  readonly #tasks: (() => Promise<unknown>)[] = []
  #isOver = false

  /** Throws after `end` was called, so that nothing more is started. The task is added all the same, for the next `end`. */
  add(work: () => Promise<unknown>): void {
    this.#tasks.push(work)
    if (this.#isOver) throw new Problem('internal', 'The demo was stopped.', 'Run it again.')
  }

  async end(): Promise<void> {
    this.#isOver = true
    for (let work = this.#tasks.pop(); work; work = this.#tasks.pop()) await work()
  }
}

export async function runDemo({ json }: { readonly json?: boolean }): Promise<void> {
  const { stopped } = untilStopped()
  const cleanup = new Cleanup()
  const silence = new Silence()
  const folder = await mkdtemp(join(tmpdir(), 'peerpost-demo-'))
  const steps = runSteps(json === true, folder, cleanup, () => silence.end())
  let timings: Timings | null = null
  try {
    timings = await Promise.race([steps, silence.tooLong, stopped.then(() => null)])
  } finally {
    silence.stop()
    await cleanup.end()
    // The steps may have started something after the first `end`. A failure of theirs was thrown above.
    await steps.catch(() => {})
    await cleanup.end()
    await rm(folder, { recursive: true, force: true })
  }
  if (timings) printResult(json === true, timings)
}

/** Watches that the demo makes progress. */
class Silence {
  readonly #tooLong = Promise.withResolvers<never>()
  #cancel = () => {}

  constructor() {
    this.end()
  }

  /** Rejects with a Problem after `silenceMs` without progress. */
  get tooLong(): Promise<never> {
    return this.#tooLong.promise
  }

  /** There is progress. */
  end(): void {
    this.#cancel()
    this.#cancel = systemClock.after(silenceMs, () =>
      this.#tooLong.reject(
        new Problem(
          'internal',
          `The demo made no progress for ${silenceMs / 1_000} s.`,
          'Run `peerpost demo --json` to see where it stopped.',
        ),
      ),
    )
  }

  stop(): void {
    this.#cancel()
  }
}

type Timings = {
  readonly startMs: number
  readonly sinceRequestMs: number
  readonly sincePunchMs: number
  readonly roundTripMs: number
  readonly packets: number
  readonly path: string
}

async function runSteps(
  json: boolean,
  folder: string,
  cleanup: Cleanup,
  onProgress: () => void,
): Promise<Timings> {
  const startedAt = systemClock.now()
  const print = (text: string) => {
    onProgress()
    if (!json) process.stdout.write(`\n${paint('good', text)}\n`)
  }
  const printer = (who: Who) => (event: ChildEvent) => {
    onProgress()
    show(json, who, event)
  }

  print('A mail server starts: SMTP on loopback, one Maildir for each of host, anna and ben.')
  const mailServer = new TestMailServer({ clock: systemClock, folder: join(folder, 'mail'), domain })
  const smtpPort = await mailServer.start()
  cleanup.add(() => mailServer.stop())
  const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  cleanup.add(() => stun.close())
  const maildir: Record<Who, string> = {
    host: await mailServer.maildirOf(`host@${domain}`),
    anna: await mailServer.maildirOf(`anna@${domain}`),
    ben: await mailServer.maildirOf(`ben@${domain}`),
  }
  const mail = (user: Who) => [
    '--address',
    `${user}@${domain}`,
    '--receive',
    `maildir:${maildir[user]}`,
    '--send',
    `smtp://127.0.0.1:${smtpPort}`,
    '--yes',
  ]

  print('The host is set up at its mailbox and started. Then it makes an invite.')
  const hostDir = join(folder, 'host')
  const hostConfig = join(hostDir, 'host.toml')
  const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
  await PeerpostProcess.run('init host', ['init', 'host', '--dir', hostDir, ...mail('host'), ...servers])
  const host = start('host', ['host', '--config', hostConfig, '--json'], printer('host'), cleanup)
  const [invite] = await Promise.all([
    PeerpostProcess.run('invite', ['invite', '--config', hostConfig]),
    host.waitFor('ready'),
  ])

  print('Anna and Ben set up their agents with the invite.')
  const setUp = (who: Who) =>
    PeerpostProcess.run(`init agent ${who}`, [
      ...['init', 'agent', '--dir', join(folder, who), '--invite', invite, '--name', who],
      ...mail(who),
    ])
  await Promise.all([setUp('anna'), setUp('ben')])

  print("Anna's game waits on a UDP port, and her agent exposes it to the room. She asks the host first.")
  const annasGame = await openGame(cleanup)
  const agent = (who: Who, ...games: readonly string[]) =>
    start(
      who,
      ['agent', '--config', join(folder, who, 'agent.toml'), '--json', ...games],
      printer(who),
      cleanup,
    )
  const anna = agent('anna', '--expose', `udp:${annasGame.address().port}`)
  await anna.waitFor('replied')

  print('Ben asks too. The host names Anna to him and introduces him to her. Both punch.')
  const localPort = await freePort()
  const ben = agent('ben', '--forward', `udp:${localPort}=anna:${annasGame.address().port}`)
  const [connected] = await Promise.all([ben.waitFor('connected'), anna.waitFor('connected')])

  print("Ben's game sends a datagram to Anna's game, which answers. Neither game knows peerpost.")
  const bensGame = await openGame(cleanup)
  const roundTripMs = await exchangeDatagrams(bensGame, localPort, annasGame, (line) => {
    if (!json) process.stdout.write(`  ${line}\n`)
  })

  print('Both leave.')
  for (const [name, child] of [
    ['ben', ben],
    ['anna', anna],
    ['host', host],
  ] as const) {
    const code = await child.stop(stopMs)
    if (code !== 0)
      throw new Problem('internal', `${name} ended with exit code ${code}.`, 'Please report it.')
  }
  const { sinceRequestMs, sincePunchMs, packets, path } = connected as ChildEvent & Connected
  return {
    startMs: systemClock.now() - startedAt,
    sinceRequestMs,
    sincePunchMs,
    roundTripMs,
    packets,
    path: path.kind,
  }
}

type Connected = Extract<AgentEvent, { event: 'connected' }>

function start(
  name: Who,
  args: readonly string[],
  onEvent: (event: ChildEvent) => void,
  cleanup: Cleanup,
): PeerpostProcess {
  const child = new PeerpostProcess(name, args, onEvent)
  cleanup.add(() => child.stop(stopMs))
  return child
}

function show(json: boolean, who: Who, event: ChildEvent): void {
  if (json) {
    const { event: name, at, ...fields } = event
    process.stdout.write(`${JSON.stringify({ event: name, at, who, ...fields })}\n`)
    return
  }
  // The children run our own program, so their events have these types.
  const line =
    who === 'host'
      ? describeHostEvent(event as unknown as HostEvent)
      : describeAgentEvent(event as unknown as AgentEvent)
  if (line) process.stdout.write(`  ${who.padEnd(4)}  ${paint(line.tone, line.text)}\n`)
}

async function openGame(cleanup: Cleanup): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  cleanup.add(async () => socket.close())
  return socket
}

async function freePort(): Promise<number> {
  const cleanup = new Cleanup()
  const { port } = (await openGame(cleanup)).address()
  await cleanup.end()
  return port
}

/** Sends one datagram in each direction. A lost one is sent again, as games do. Resolves to the round trip in ms. */
async function exchangeDatagrams(
  sender: Socket,
  port: number,
  receiver: Socket,
  print: (line: string) => void,
): Promise<number> {
  receiver.on('message', (text, from) => {
    print(`anna's game got "${text}"`)
    receiver.send('hello ben', from.port, from.address)
  })
  for (;;) {
    const sentAt = systemClock.now()
    sender.send('hello anna', port, '127.0.0.1')
    const { promise: late, resolve } = Promise.withResolvers<null>()
    const cancel = systemClock.after(1000, () => resolve(null))
    const answer = await Promise.race([once(sender, 'message'), late])
    cancel()
    if (answer) {
      print(`ben's game got "${answer[0]}"`)
      return systemClock.now() - sentAt
    }
  }
}

function printResult(json: boolean, timings: Timings): void {
  const at = new Date(systemClock.wallNow()).toISOString()
  if (json) process.stdout.write(`${JSON.stringify({ event: 'demo', at, ok: true, ...timings })}\n`)
  else {
    process.stdout.write(`
${paint('good', 'It works.')}
  from Ben's request to the open link   ${seconds(timings.sinceRequestMs)} (mail included)
  of this, punching and handshake       ${seconds(timings.sincePunchMs)}, ${timings.packets} packets
  round trip between the games          ${timings.roundTripMs.toFixed(1)} ms, ${timings.path === 'lan' ? 'inside the local network' : 'direct'}
  the whole demo                        ${seconds(timings.startMs)}
`)
  }
}
