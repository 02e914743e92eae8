// `peerpost demo`: a post office, a host and two agents on this computer, each as a user would run it, and a
// datagram each way between two games.

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

/** The whole demo, stopping included, fits in 30 s. */
const deadlineMs = 24_000
const stopMs = 4_000
const domain = 'demo.invalid'

type Who = 'host' | 'anna' | 'ben'

/** What was started, and how it is ended, the newest first. */
class Cleanup {
  readonly #works: (() => Promise<unknown>)[] = []
  #isOver = false

  /** Throws once the end has begun, so that nothing more is started; what was, the next `end` ends. */
  add(work: () => Promise<unknown>): void {
    this.#works.push(work)
    if (this.#isOver) throw new Problem('internal', 'The demo was stopped.', 'Run it again.')
  }

  async end(): Promise<void> {
    this.#isOver = true
    for (let work = this.#works.pop(); work; work = this.#works.pop()) await work()
  }
}

export async function runDemo({ json }: { readonly json?: boolean }): Promise<void> {
  const { stopped } = untilStopped()
  const cleanup = new Cleanup()
  const deadline = Promise.withResolvers<never>()
  const cancel = systemClock.after(deadlineMs, () =>
    deadline.reject(
      new Problem(
        'internal',
        'The demo did not finish in time.',
        'Run `peerpost demo --json` to see where it stopped.',
      ),
    ),
  )
  const folder = await mkdtemp(join(tmpdir(), 'peerpost-demo-'))
  const played = play(json === true, folder, cleanup)
  let timings: Timings | null = null
  try {
    timings = await Promise.race([played, deadline.promise, stopped.then(() => null)])
  } finally {
    cancel()
    await cleanup.end()
    // It may have been starting something.
    await played.catch(() => {})
    await cleanup.end()
    await rm(folder, { recursive: true, force: true })
  }
  if (timings) conclude(json === true, timings)
}

type Timings = {
  readonly startMs: number
  readonly sinceRequestMs: number
  readonly sincePunchMs: number
  readonly roundTripMs: number
  readonly packets: number
  readonly path: string
}

async function play(json: boolean, folder: string, cleanup: Cleanup): Promise<Timings> {
  const startedAt = systemClock.now()
  const tell = (text: string) => {
    if (!json) process.stdout.write(`\n${paint('good', text)}\n`)
  }
  const watch = (who: Who) => (event: ChildEvent) => show(json, who, event)

  tell('A post office opens: SMTP on loopback, one Maildir for each of host, anna and ben.')
  const office = new TestMailServer({ clock: systemClock, folder: join(folder, 'mail'), domain })
  const smtpPort = await office.start()
  cleanup.add(() => office.stop())
  const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  cleanup.add(() => stun.close())
  const maildir: Record<Who, string> = {
    host: await office.maildirOf(`host@${domain}`),
    anna: await office.maildirOf(`anna@${domain}`),
    ben: await office.maildirOf(`ben@${domain}`),
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

  tell('The host is set up at its mailbox and started; then it gives out an invite.')
  const hostDir = join(folder, 'host')
  const hostConfig = join(hostDir, 'host.toml')
  const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
  await PeerpostProcess.run('init host', ['init', 'host', '--dir', hostDir, ...mail('host'), ...servers])
  const host = start('host', ['host', '--config', hostConfig, '--json'], watch('host'), cleanup)
  const [invite] = await Promise.all([
    PeerpostProcess.run('invite', ['invite', '--config', hostConfig]),
    host.waitFor('ready'),
  ])

  tell('Anna and Ben set up their agents with the invite.')
  const setUp = (who: Who) =>
    PeerpostProcess.run(`init agent ${who}`, [
      ...['init', 'agent', '--dir', join(folder, who), '--invite', invite, '--name', who],
      ...mail(who),
    ])
  await Promise.all([setUp('anna'), setUp('ben')])

  tell("Anna's game waits on a UDP port, and her agent lets the room reach it. She is the first to ask.")
  const annasGame = await openGame(cleanup)
  const agent = (who: Who, ...games: readonly string[]) =>
    start(
      who,
      ['agent', '--config', join(folder, who, 'agent.toml'), '--json', ...games],
      watch(who),
      cleanup,
    )
  const anna = agent('anna', '--expose', `udp:${annasGame.address().port}`)
  await anna.waitFor('replied')

  tell('Ben asks too. The host answers him with Anna and introduces him to her; both punch.')
  const localPort = await freePort()
  const ben = agent('ben', '--forward', `udp:${localPort}=anna:${annasGame.address().port}`)
  const [connected] = await Promise.all([ben.waitFor('connected'), anna.waitFor('connected')])

  tell("Ben's game sends Anna's a datagram, and hers answers; neither knows of peerpost.")
  const bensGame = await openGame(cleanup)
  const roundTripMs = await greet(bensGame, localPort, annasGame, (line) => {
    if (!json) process.stdout.write(`  ${line}\n`)
  })

  tell('Both leave.')
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
  // The children are our own program: their events are as typed.
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

/** A datagram each way; a lost one is sent again, as games do. Resolves to the round trip in ms. */
async function greet(
  asking: Socket,
  port: number,
  answering: Socket,
  tell: (line: string) => void,
): Promise<number> {
  answering.on('message', (text, from) => {
    tell(`anna's game got "${text}"`)
    answering.send('hello ben', from.port, from.address)
  })
  for (;;) {
    const sentAt = systemClock.now()
    asking.send('hello anna', port, '127.0.0.1')
    const { promise: late, resolve } = Promise.withResolvers<null>()
    const cancel = systemClock.after(1000, () => resolve(null))
    const answer = await Promise.race([once(asking, 'message'), late])
    cancel()
    if (answer) {
      tell(`ben's game got "${answer[0]}"`)
      return systemClock.now() - sentAt
    }
  }
}

function conclude(json: boolean, timings: Timings): void {
  const at = new Date(systemClock.wallNow()).toISOString()
  if (json) process.stdout.write(`${JSON.stringify({ event: 'demo', at, ok: true, ...timings })}\n`)
  else {
    process.stdout.write(`
${paint('good', 'It works.')}
  from Ben's request to the open link   ${seconds(timings.sinceRequestMs)} (mail included)
  of it, punching and handshake         ${seconds(timings.sincePunchMs)}, ${timings.packets} packets
  round trip between the games          ${timings.roundTripMs.toFixed(1)} ms, ${timings.path === 'lan' ? 'inside the local network' : 'direct'}
  everything, setting up and all        ${seconds(timings.startMs)}
`)
  }
}
