// Seals frames into data packets and opens them, under the keys of the handshake. This runs for every datagram
// of the game, so buffers are reused: a frame is sealed directly into its packet and opened in place.

import { BufferPool } from '../base/buffer-pool.ts'
import { viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import type { DirectionKeys } from './handshake.ts'
import {
  counterLimit,
  dataByte,
  dataHeaderBytes,
  dataOverheadBytes,
  hasPrefix,
  macBytes,
  maxBodyBytes,
} from './packet-codec.ts'
import { ReplayWindow } from './replay-window.ts'

export type Frame = { readonly kind: number; readonly body: Uint8Array }
/** `isNewest`: its counter is higher than all before. */
export type OpenedFrame = Frame & { readonly isNewest: boolean }

const minPacketBytes = dataOverheadBytes
const maxPacketBytes = minPacketBytes + maxBodyBytes
const nonceBytes = 24
const counterInNonce = 16

export class PacketCrypto {
  readonly #crypto: Crypto
  readonly #tag: Uint8Array
  readonly #keys: DirectionKeys
  readonly #window = new ReplayWindow()
  readonly #plaintext = new Uint8Array(1 + maxBodyBytes)
  readonly #header = new Uint8Array(dataHeaderBytes)
  readonly #headerView = viewOf(this.#header)
  readonly #sendNonce = new Uint8Array(nonceBytes)
  readonly #sendNonceView = viewOf(this.#sendNonce)
  readonly #receiveNonce = new Uint8Array(nonceBytes)
  readonly #bufferPool = new BufferPool()
  #counter: number

  /** `keys` are fresh, and this object owns them from now on. `firstCounter` is above 0 only in tests. */
  constructor(crypto: Crypto, tag: Uint8Array, keys: DirectionKeys, firstCounter = 0) {
    this.#crypto = crypto
    this.#tag = tag
    this.#keys = keys
    this.#counter = firstCounter
    this.#header[0] = dataByte
    this.#header.set(tag, 1)
  }

  /** How many packets can still be sent under these keys. */
  get remaining(): number {
    return counterLimit - this.#counter
  }

  /** `body`: at most `maxBodyBytes`. Throws when no counter remains: a nonce must never repeat. */
  seal(kind: number, body: Uint8Array): Uint8Array {
    if (this.remaining <= 0) throw new RangeError('all counters of this link are used')
    writeCounter(this.#headerView, 1 + this.#tag.length, this.#counter)
    writeCounter(this.#sendNonceView, counterInNonce, this.#counter)
    this.#counter++
    this.#plaintext[0] = kind
    this.#plaintext.set(body, 1)
    const plaintext = this.#plaintext.subarray(0, 1 + body.length)
    const packet = this.#bufferPool.take(dataOverheadBytes + body.length)
    packet.set(this.#header)
    const sealed = packet.subarray(dataHeaderBytes)
    this.#crypto.encryptInto(sealed, this.#keys.sendKey, this.#sendNonce, plaintext, this.#header)
    return packet
  }

  /**
   * Opens a packet in place; the body is a view of it. Null for anything not authentic or seen before; the
   * packet is then unchanged.
   */
  open(packet: Uint8Array): OpenedFrame | null {
    if (packet.length < minPacketBytes || packet.length > maxPacketBytes) return null
    if (!hasPrefix(packet, dataByte, this.#tag)) return null
    const counter = readCounter(packet)
    if (counter >= counterLimit || !this.#window.isNew(counter)) return null
    const header = packet.subarray(0, dataHeaderBytes)
    const sealed = packet.subarray(dataHeaderBytes)
    const plaintext = sealed.subarray(0, sealed.length - macBytes)
    const nonce = this.#receiveNonce
    for (let i = counterInNonce; i < nonceBytes; i++)
      nonce[i] = packet[i - nonceBytes + dataHeaderBytes] as number
    if (!this.#crypto.decryptInto(plaintext, this.#keys.receiveKey, nonce, sealed, header)) return null
    const isNewest = counter >= this.#window.next
    this.#window.mark(counter)
    return { kind: plaintext[0] as number, body: plaintext.subarray(1), isNewest }
  }

  wipe(): void {
    this.#crypto.wipe(this.#keys.sendKey)
    this.#crypto.wipe(this.#keys.receiveKey)
    this.#plaintext.fill(0)
  }
}

function writeCounter(view: DataView, at: number, counter: number): void {
  view.setUint32(at, Math.floor(counter / 2 ** 32))
  view.setUint32(at + 4, counter % 2 ** 32)
}

/** Exact below `counterLimit`. */
function readCounter(packet: Uint8Array): number {
  let counter = 0
  for (let i = dataHeaderBytes - 8; i < dataHeaderBytes; i++) counter = counter * 256 + (packet[i] as number)
  return counter
}
