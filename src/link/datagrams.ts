// Carries datagrams of any size in packets that fit the path.

import { viewOf } from '../base/bytes.ts'
import type { Family } from '../base/endpoint.ts'
import { Reassembly, splitDatagram } from './fragments.ts'
import { MtuDiscovery } from './mtu-discovery.ts'
import { dataOverheadBytes, frameKinds } from './packet-codec.ts'
import type { Frame } from './packet-crypto.ts'

export class Datagrams {
  readonly #mtuDiscovery: MtuDiscovery
  readonly #reassembly = new Reassembly()
  #number = 0

  constructor(now: number, family: Family) {
    this.#mtuDiscovery = new MtuDiscovery(now, family)
  }

  /** The largest datagram that fits in one packet now, in bytes. */
  get singlePacketBytes(): number {
    return this.#mtuDiscovery.packetBytes - dataOverheadBytes
  }

  /** The frames that carry these bytes, at most `maxDatagramBytes` of them. */
  frames(bytes: Uint8Array): Frame[] {
    const { singlePacketBytes } = this
    this.#mtuDiscovery.noteSent(Math.min(bytes.length, singlePacketBytes) + dataOverheadBytes)
    if (bytes.length <= singlePacketBytes) return [{ kind: frameKinds.datagram, body: bytes }]
    this.#number = (this.#number + 1) >>> 0
    return splitDatagram(this.#number, bytes, singlePacketBytes).map((body) => ({
      kind: frameKinds.fragment,
      body,
    }))
  }

  /** The whole datagram when this was its last missing fragment; else null. */
  takeFragment(now: number, body: Uint8Array): Uint8Array | null {
    return this.#reassembly.take(now, body)
  }

  dueAt(): number {
    return this.#mtuDiscovery.dueAt()
  }

  /** An MTU probe when one is due, and whether a ping must accompany it. */
  probe(now: number): { readonly frame: Frame; readonly needsPing: boolean } | null {
    this.#reassembly.expire(now)
    const probe = this.#mtuDiscovery.nextProbe(now)
    if (!probe) return null
    const body = new Uint8Array(probe.bytes - dataOverheadBytes)
    viewOf(body).setUint32(0, probe.number)
    return { frame: { kind: frameKinds.probe, body }, needsPing: probe.isRepeated }
  }

  handleProbeAnswer(now: number, body: Uint8Array): void {
    if (body.length === 4) this.#mtuDiscovery.handleAnswer(now, viewOf(body).getUint32(0))
  }

  noteReceived(now: number): void {
    this.#mtuDiscovery.noteReceived(now)
  }

  noteRoundTrip(ms: number): void {
    this.#mtuDiscovery.noteRoundTrip(ms)
  }

  restart(now: number, family: Family): void {
    this.#mtuDiscovery.restart(now, family)
  }

  clear(): void {
    this.#reassembly.clear()
  }
}
