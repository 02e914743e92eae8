// A world on virtual time: real agents and real hosts on a simulated network with NATs and STUN servers, with a
// simulated mail system. Everything is drawn from one seed, except the hosts' keys and libsodium's internal
// ephemeral keys.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Host, HostEvent, HostSettings } from '../../src/host/host.ts'
import { hostAddress, makeHostKeys, makeRoom, subject } from '../host/fakes.ts'
import { answerRequest } from './answer-stun.ts'
import { seededCrypto, seededRandom } from './seeded-crypto.ts'
import { type NatKind, SimulatedNat } from './simulator/simulated-nat.ts'
import { createInternet, createLan, Segment } from './simulator/simulated-network.ts'
import { Computer } from './world/computer.ts'
import { HostSite } from './world/host-site.ts'
import { MailSystem } from './world/mail-system.ts'
import { Player, type PlayerOptions } from './world/player.ts'
import { WorldClock } from './world/world-clock.ts'

export { goodMailConditions, type MailConditions } from './world/mail-system.ts'
export type { EmittedEvent, Player } from './world/player.ts'

export type WorldOptions = {
  readonly seed: number
  /** Share of lost datagrams on the Internet, 0..1. */
  readonly loss?: number
  readonly host?: Partial<HostSettings>
  /** Number of hosts, default 1. All know each other. */
  readonly hosts?: number
}

type PlayerChoices = Pick<PlayerOptions, 'settings' | 'friends' | 'blocked' | 'address' | 'site'> & {
  /** The hosts in the player's invite; default: all. */
  readonly hosts?: readonly HostSite[]
  /** The host that created the player's invite; by default the player has the room's secret. */
  readonly invitedBy?: HostSite
}

export type Home = NatKind | Segment | 'no NAT'

/** Real unicast addresses, because `addressScope` rejects the documentation ranges. */
const stunServers = [
  { address: '11.0.0.1', port: 3478 },
  { address: '11.0.0.1', port: 3479 },
  { address: '11.0.0.2', port: 3478 },
] as const

export function nat(
  mapping: NatKind['mapping'],
  filtering: NatKind['filtering'],
  more: Partial<NatKind> = {},
): NatKind {
  return { mapping, filtering, allocation: 'preserving', lifetimeMs: 30_000, hairpin: false, ...more }
}

/** In memory if possible: the cost of syncs does not matter here. */
function fastFolder(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
}

export class World {
  readonly clock = new WorldClock()
  readonly post: MailSystem
  readonly internet: Segment
  readonly players: Player[] = []
  readonly room: ReturnType<typeof makeRoom>
  readonly keys: ReturnType<typeof makeHostKeys>
  readonly sites: readonly HostSite[]
  readonly #options: WorldOptions
  readonly #random: () => number
  readonly #folder = mkdtempSync(join(fastFolder(), 'peerpost-world-'))
  #count = 0

  constructor(options: WorldOptions) {
    this.#options = options
    const { seed, loss = 0 } = options
    this.#random = seededRandom(seed)
    const crypto = seededCrypto(seed)
    this.room = makeRoom(crypto)
    this.keys = makeHostKeys(crypto)
    this.post = new MailSystem(this.clock, this.#random)
    this.internet = createInternet(this.clock, this.#random, loss)
    this.sites = Array.from({ length: options.hosts ?? 1 }, (_, index) => {
      const keys = index === 0 ? this.keys : makeHostKeys(crypto)
      const address = index === 0 ? hostAddress : `host${index + 1}@mail.test`
      return new HostSite({
        name: `host ${index + 1}`,
        address,
        keys,
        seed: seed + 10_007 * index,
        clock: this.clock,
        post: this.post,
        folder: this.#folder,
        room: this.room,
        settings: options.host ?? {},
      })
    })
    for (const site of this.sites) site.hosts = this.sites.filter((other) => other !== site)
    for (const address of new Set(stunServers.map((server) => server.address))) {
      this.internet.join(address, {
        receive: (datagram) => {
          const answer = answerRequest(datagram, null)
          if (answer) this.internet.send(answer)
        },
      })
    }
  }

  /** Creates a LAN behind a NAT of this kind. */
  lan(kind: NatKind): Segment {
    return this.home(kind).lan
  }

  /** Creates a LAN and its NAT. */
  home(kind: NatKind): { readonly lan: Segment; readonly nat: SimulatedNat } {
    const inside = createLan(this.clock, this.#random)
    const { clock, internet: outside } = this
    const addresses = [this.newPublicAddress()]
    return {
      lan: inside,
      nat: new SimulatedNat({ clock, random: this.#random, kind, addresses, outside, inside }),
    }
  }

  newPublicAddress(): string {
    return `11.0.2.${++this.#count}`
  }

  player(name: string, home: Home = nat('EIM', 'APDF'), more: PlayerChoices = {}): Player {
    const segment = home === 'no NAT' ? this.internet : home instanceof Segment ? home : this.lan(home)
    const number = ++this.#count
    const address = home === 'no NAT' ? `11.0.1.${number}` : `192.168.1.${10 + number}`
    return this.#addPlayer(name, new Computer(this.clock, segment, address), more)
  }

  /** Another player at the same computer, whose agent gets the same port. */
  impostor(name: string, victim: Player): Player {
    victim.computer.reusePorts()
    return this.#addPlayer(name, victim.computer, {})
  }

  site(index: number): HostSite {
    const site = this.sites[index]
    if (!site) throw new Error(`there is no host ${index + 1}`)
    return site
  }

  /** Starts all hosts. */
  async startHost(): Promise<void> {
    await this.finish(Promise.all(this.sites.map((site) => site.start())))
  }

  /** Events of the first host. */
  get hostEvents(): readonly HostEvent[] {
    return this.site(0).events
  }

  get host(): Host {
    return this.site(0).host
  }

  async stopHost(): Promise<void> {
    await this.finish(Promise.all(this.sites.map((site) => site.stop())))
  }

  /** Advances time until the work is done. */
  async finish(work: Promise<unknown>, withinMs = 60_000): Promise<void> {
    let isDone = false
    const end = () => {
      isDone = true
    }
    work.then(end, end)
    if (!(await this.clock.until(() => isDone, withinMs))) throw new Error('it never ended')
    await work
  }

  /** Fails with `what` unless the condition holds in time. */
  async until(what: string, condition: () => boolean, withinMs = 30_000): Promise<void> {
    if (await this.clock.until(condition, withinMs)) return
    throw new Error(`not within ${withinMs / 1000} s: ${what}\n${this.eventLog()}`)
  }

  pass(byMs: number): Promise<void> {
    return this.clock.pass(byMs)
  }

  #addPlayer(
    name: string,
    computer: Computer,
    { hosts = this.sites, invitedBy, ...more }: PlayerChoices,
  ): Player {
    const player = new Player({
      name,
      seed: this.#options.seed * 101 + this.players.length,
      clock: this.clock,
      computer,
      post: this.post,
      room: invitedBy ? invitedBy.invite() : this.room,
      subject,
      hosts: hosts.map(({ known }) => known),
      stunServers: stunServers.map((server) => `${server.address}:${server.port}`),
      ...more,
    })
    this.players.push(player)
    return player
  }

  /** Starts the players one after the other, each after the reply to the one before. */
  async join(...players: readonly Player[]): Promise<void> {
    for (const player of players) {
      await this.finish(player.start())
      await this.until(`${player.name} gets a reply`, () => player.emitted('replied').length > 0)
    }
  }

  areLinked(...players: readonly Player[]): boolean {
    return players.every((one) => players.every((other) => one === other || one.isLinkedWith(other)))
  }

  accepted(kind: string): number {
    return this.site(0).accepted(kind)
  }

  /** Stops all players and hosts, and removes the hosts' files. */
  async close(): Promise<void> {
    try {
      await this.finish(Promise.all(this.players.map((player) => player.stop())))
      await this.stopHost()
    } finally {
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  /** The players' latest events, for the messages of failed tests. */
  eventLog(): string {
    const lines = this.players.flatMap(({ name, events }) =>
      events.map(({ at, ...event }) => ({ at, text: `${name}: ${JSON.stringify(event)}` })),
    )
    const latest = lines.sort((a, b) => a.at - b.at).slice(-120)
    return latest.map(({ at, text }) => `${(at / 1000).toFixed(2)} ${text}`).join('\n')
  }
}

/** Runs `work` in a world with running hosts, and closes the world in any case. */
export async function inWorld(options: WorldOptions, work: (world: World) => Promise<void>): Promise<void> {
  const world = new World(options)
  try {
    await world.startHost()
    await work(world)
  } finally {
    await world.close()
  }
}
