// Sends the probes of an attempt's tactics: sockets, samples, pacing and the packet budget. It never exceeds
// the budget, and it knows which sockets are open.

import type { Endpoint } from '../base/endpoint.ts'
import type { CloseAction, SendAction, Via } from '../base/protocol-machine.ts'
import type { Signal } from '../base/signaling-message.ts'
import { TokenBucket } from '../base/token-bucket.ts'
import { newMappingRate } from './check-pacing.ts'
import type { Punch } from './connectivity-checks.ts'
import { PortSampler } from './port-sampler.ts'
import { ProbeQueue } from './probe-queue.ts'
import type { Probe, ProbeSender } from './tactics/tactic.ts'

type ProbeSchedulerOptions = {
  readonly crypto: ConstructorParameters<typeof PortSampler>[0]
  readonly punch: Punch
  readonly servers: readonly Endpoint[]
  /** Our public addresses, as seen before the attempt. */
  readonly ownAddresses: readonly string[]
  readonly now: number
  /** Unix ms at `now`. */
  readonly wallNow: number
  /** Packets that all tactics together may send. */
  readonly budget: number
  readonly bubbleTtl: number | undefined
  /** Receives the actions, in order. */
  readonly onAction: (action: SendAction | CloseAction) => void
  readonly onSignal: (signal: Signal) => void
}

export class ProbeScheduler implements ProbeSender {
  readonly #options: ProbeSchedulerOptions
  readonly #sampler: PortSampler
  readonly #bucket: TokenBucket
  readonly #probeQueue: ProbeQueue
  /** Sockets in use; bounded by the budget. */
  readonly #open = new Set<Via>()
  #lastVia: Via = 0
  #sent = 0
  /** Requests sent to STUN servers; the punch machine counts the other packets. */
  samples = 0

  constructor(options: ProbeSchedulerOptions) {
    this.#options = options
    this.#sampler = new PortSampler(options.crypto, options.servers)
    this.#bucket = new TokenBucket(options.now, newMappingRate)
    this.#probeQueue = new ProbeQueue(this.#bucket)
  }

  get ownAddresses(): readonly string[] {
    return this.#options.ownAddresses
  }

  get remaining(): number {
    return this.#options.budget - this.#sent - this.#probeQueue.waiting
  }

  newVia(): Via {
    return ++this.#lastVia
  }

  sendBurst(burst: readonly Probe[]): boolean {
    if (burst.length > this.remaining || burst.length === 0) return false
    this.#probeQueue.add(burst)
    return true
  }

  sendSignal(signal: Signal): void {
    this.#options.onSignal(signal)
  }

  close(vias: Iterable<Via>): void {
    const closed = new Set(vias)
    this.#probeQueue.drop(closed)
    for (const via of closed) {
      if (!this.#dropSocket(via)) continue
      this.#options.onAction({ type: 'close', via })
    }
  }

  hasReceivedOn(via: Via): boolean {
    return this.#options.punch.hasReceivedOn(via)
  }

  toWall(now: number): number {
    return this.#options.wallNow + now - this.#options.now
  }

  fromWall(wallNow: number): number {
    return this.#options.now + wallNow - this.#options.wallNow
  }

  isOpen(via: Via): boolean {
    return this.#open.has(via)
  }

  nextTimeout(): number | null {
    const due = [this.#sampler.nextTimeout(), this.#probeQueue.nextAt()].filter((at) => at !== null)
    return due.length > 0 ? Math.min(...due) : null
  }

  /** Counts packets that were sent without waiting for pacing. */
  charge(now: number, packets: number): void {
    this.#bucket.take(now, packets)
  }

  repeatSamples(now: number): void {
    const { sends, settled } = this.#sampler.handleTimeout(now, Math.max(0, this.remaining))
    for (const send of sends) this.#sendSample(send)
    this.close(settled.map(({ via }) => via))
  }

  /** Whether this was the answer to a sample. */
  handleSample(bytes: Uint8Array, from: Endpoint, via: Via): boolean {
    const sample = this.#sampler.handleDatagram(bytes, from, via)
    if (sample) this.close([sample.via])
    return sample !== null
  }

  /**
   * Sends the probes that pacing allows. True when samples were settled by that, because there is no server.
   */
  sendDue(now: number): boolean {
    const due = this.#probeQueue.takeDue(now)
    for (const probe of due) this.#send(now, probe)
    return !this.#sampler.hasServers && due.some(({ type }) => type === 'sample')
  }

  /** The socket could not be opened. False when it is not in use anyway. */
  handleSocketFailure(via: Via): boolean {
    return this.#dropSocket(via)
  }

  /** Drops queued probes and closes all sockets except those to `keep`. */
  stopSending(keep: (via: Via) => boolean): void {
    this.#probeQueue.clear()
    this.close([...this.#open].filter((via) => !keep(via)))
  }

  #dropSocket(via: Via): boolean {
    this.#sampler.giveUp(via)
    this.#options.punch.dropSocket(via)
    return this.#open.delete(via)
  }

  #send(now: number, probe: Probe): void {
    if (probe.type === 'sample') {
      const send = this.#sampler.request(now, probe.sample)
      if (send) this.#sendSample(send)
      return
    }
    const { punch, bubbleTtl, onAction } = this.#options
    const send = punch.probe(probe.to, probe.via, probe.type === 'bubble' ? bubbleTtl : undefined)
    if (!send) return
    this.#sent++
    if (probe.via !== 0) this.#open.add(probe.via)
    onAction(send)
  }

  #sendSample(send: SendAction): void {
    this.#sent++
    this.samples++
    this.#open.add(send.via ?? 0)
    this.#options.onAction(send)
  }
}
