// How datagrams of any size travel in packets of the size that the path carries.

import { viewOf } from '../base/bytes.ts'
import type { Family } from '../base/endpoint.ts'
import { Reassembly, splitDatagram } from './fragments.ts'
import { MtuDiscovery } from './mtu-discovery.ts'
import { dataOverheadBytes, frameKinds } from './packet-codec.ts'
import type { Frame } from './packet-crypto.ts'

export class Datagrams {
  readonly #size: MtuDiscovery
  readonly #reassembly = new Reassembly()
  #number = 0

  constructor(now: number, family: Family) {
    this.#size = new MtuDiscovery(now, family)
  }

  /** The largest that travels in one packet now. */
  get wholeBytes(): number {
    return this.#size.packetBytes - dataOverheadBytes
  }

  /** The frames that carry these bytes, at most `maxDatagramBytes` of them. */
  frames(bytes: Uint8Array): Frame[] {
    const whole = this.wholeBytes
    this.#size.noteSent(Math.min(bytes.length, whole) + dataOverheadBytes)
    if (bytes.length <= whole) return [{ kind: frameKinds.datagram, body: bytes }]
    this.#number = (this.#number + 1) >>> 0
    return splitDatagram(this.#number, bytes, whole).map((body) => ({ kind: frameKinds.part, body }))
  }

  /** The datagram that is whole with this part. */
  takePart(now: number, body: Uint8Array): Uint8Array | null {
    return this.#reassembly.take(now, body)
  }

  dueAt(): number {
    return this.#size.dueAt()
  }

  /** A probe of the path's size, when one is due, and whether a ping is to go with it. */
  probe(now: number): { readonly frame: Frame; readonly withPing: boolean } | null {
    this.#reassembly.expire(now)
    const probe = this.#size.next(now)
    if (!probe) return null
    const body = new Uint8Array(probe.bytes - dataOverheadBytes)
    viewOf(body).setUint32(0, probe.number)
    return { frame: { kind: frameKinds.probe, body }, withPing: probe.isRepeated }
  }

  probeAnswered(now: number, body: Uint8Array): void {
    if (body.length === 4) this.#size.answered(now, viewOf(body).getUint32(0))
  }

  hear(now: number): void {
    this.#size.hear(now)
  }

  noteRoundTrip(ms: number): void {
    this.#size.noteRoundTrip(ms)
  }

  restart(now: number, family: Family): void {
    this.#size.restart(now, family)
  }

  clear(): void {
    this.#reassembly.clear()
  }
}
