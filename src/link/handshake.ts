// The handshake that agrees on a link's keys (A7): opening, acceptance, acknowledgement. The opener repeats its
// opening until it is accepted, then its acknowledgement until it receives data. The responder only answers.
//
//      opener                                        responder
//      opening {ephemeral}              ------->
//                                       <-------     acceptance {ephemeral, signature}
//      agreed
//      acknowledgement {signature}      ------->     agreed
//
// Both sides sign the transcript, each with its own role in it:
//
//      "peerpost link 1" · role (0x01 opener, 0x02 responder) · tag · opener's and responder's identity
//      · opener's and responder's session key · opener's and responder's ephemeral
//
// and the traffic key of a direction is
//
//      BLAKE2b-256( crypto_kx of the ephemerals · BLAKE2b-256(transcript with role 0x00), keyed by the given key )
//
// computed for that direction. The ephemeral keys are fresh for every link and wiped once agreed. So two links
// of one pair of sessions share no key, and keys stolen later decrypt nothing recorded earlier.
//
// Replays: the opener numbers its packets, and the responder answers each number once. An opening recorded from
// an earlier link of the same two sessions looks like a new one. It gets one acceptance per number, sent to the
// current remote only, and never leads to keys, because nobody can acknowledge it.
//
// A side may start a second link with the same tag while the other still holds the first. It is ignored until
// the other notices the loss and starts anew too; otherwise a recorded opening could end a live link. A
// responder that has not agreed yet accepts a restarted opener at once.

import { concatBytes, equalBytes, utf8 } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { type HandshakeMessage, noSignature, openHandshake, sealHandshake } from './packet-codec.ts'

type LinkRole = 'opener' | 'responder'

export type DirectionKeys = { readonly sendKey: Uint8Array; readonly receiveKey: Uint8Array }

export type HandshakeOptions = {
  readonly crypto: Crypto
  readonly role: LinkRole
  /** Names the pair of sessions; 8 bytes. */
  readonly tag: Uint8Array
  /** 32 bytes each, from both session keys and the room's secret; copied. */
  readonly keys: DirectionKeys
  /** Our Ed25519 identity. */
  readonly identity: KeyPair
  /** The peer's Ed25519 public key. */
  readonly peerId: Uint8Array
  /** X25519 public keys of both sessions. */
  readonly sessionKeys: { readonly mine: Uint8Array; readonly theirs: Uint8Array }
}

export type HandshakeStep =
  /** Not authentic, a replay, or unexpected in this state: no answer. */
  | { readonly step: 'ignored' }
  /** The responder sends this acceptance. */
  | { readonly step: 'answer'; readonly bytes: Uint8Array }
  /** The peer is authenticated. The opener must now send its acknowledgement (`next`). */
  | { readonly step: 'agreed'; readonly keys: DirectionKeys }
  /** The opener repeats its acknowledgement: it has not received the responder's data yet. */
  | { readonly step: 'acknowledged-again' }

/**
 * Openings that a responder holds until one is acknowledged. A further one replaces the oldest; the next
 * repetition of the replaced opener brings it back.
 */
const maxPending = 4
const maxAttempt = 0xffff
const ignored: HandshakeStep = { step: 'ignored' }

type Pending = { readonly ephemeral: Uint8Array; readonly signature: Uint8Array; attempt: number }

export class Handshake {
  readonly #options: HandshakeOptions
  readonly #keys: DirectionKeys
  readonly #ephemeral: KeyPair
  #agreed = false
  /** Opener: the number of the last packet sent. */
  #attempt = 0
  /** Opener: set once agreed. */
  #signature: Uint8Array = noSignature
  /** Responder: once agreed, only the agreed one. */
  #pending: Pending[] = []

  constructor(options: HandshakeOptions) {
    this.#options = options
    const { sendKey, receiveKey } = options.keys
    // Not slice(): a Buffer's slice shares its memory, so `wipe` would clear the caller's keys.
    this.#keys = { sendKey: new Uint8Array(sendKey), receiveKey: new Uint8Array(receiveKey) }
    this.#ephemeral = options.crypto.boxKeyPair()
  }

  /** Opener only: the next opening or, once agreed, the next acknowledgement. Null after 65,535 packets. */
  next(): Uint8Array | null {
    if (this.#attempt === maxAttempt) return null
    this.#attempt++
    return this.#seal({
      type: this.#agreed ? 'acknowledgement' : 'opening',
      attempt: this.#attempt,
      ephemeral: this.#ephemeral.publicKey,
      signature: this.#signature,
    })
  }

  handlePacket(packet: Uint8Array): HandshakeStep {
    const { crypto, role, tag } = this.#options
    const message = openHandshake(crypto, this.#keys.receiveKey, tag, packet)
    if (message === null) return ignored
    if (role === 'opener') return message.type === 'acceptance' ? this.#handleAcceptance(message) : ignored
    if (message.type === 'opening') return this.#handleOpening(message)
    return message.type === 'acknowledgement' ? this.#handleAcknowledgement(message) : ignored
  }

  wipe(): void {
    const { crypto } = this.#options
    crypto.wipe(this.#keys.sendKey)
    crypto.wipe(this.#keys.receiveKey)
    crypto.wipe(this.#ephemeral.secretKey)
  }

  #handleOpening({ attempt, ephemeral }: HandshakeMessage): HandshakeStep {
    if (this.#agreed) return ignored
    let pending = this.#pendingFor(ephemeral)
    if (pending && attempt <= pending.attempt) return ignored
    if (!pending) {
      pending = { ephemeral, signature: this.#sign(ephemeral), attempt }
      if (this.#pending.length === maxPending) this.#pending.shift()
      this.#pending.push(pending)
    }
    pending.attempt = attempt
    const { signature } = pending
    const answer = { type: 'acceptance', attempt, ephemeral: this.#ephemeral.publicKey, signature } as const
    return { step: 'answer', bytes: this.#seal(answer) }
  }

  #handleAcceptance({ ephemeral, signature }: HandshakeMessage): HandshakeStep {
    if (this.#agreed || !this.#verify(ephemeral, signature)) return ignored
    const step = this.#agree(ephemeral)
    if (this.#agreed) this.#signature = this.#sign(ephemeral)
    return step
  }

  #handleAcknowledgement({ attempt, ephemeral, signature }: HandshakeMessage): HandshakeStep {
    const pending = this.#pendingFor(ephemeral)
    if (!pending || attempt <= pending.attempt) return ignored
    if (!this.#verify(ephemeral, signature)) return ignored
    pending.attempt = attempt
    if (this.#agreed) return { step: 'acknowledged-again' }
    this.#pending = [pending]
    return this.#agree(ephemeral)
  }

  #agree(theirEphemeral: Uint8Array): HandshakeStep {
    const { crypto, role } = this.#options
    const shared = crypto.exchange(role === 'opener' ? 'client' : 'server', this.#ephemeral, theirEphemeral)
    if (shared === null) return ignored
    const transcriptHash = crypto.hash(this.#transcript(null, theirEphemeral), 32)
    const mix = (fresh: Uint8Array, given: Uint8Array) => {
      const input = concatBytes(fresh, transcriptHash)
      const key = crypto.hash(input, 32, given)
      crypto.wipe(input)
      crypto.wipe(fresh)
      return key
    }
    const keys = {
      sendKey: mix(shared.sendKey, this.#keys.sendKey),
      receiveKey: mix(shared.receiveKey, this.#keys.receiveKey),
    }
    crypto.wipe(this.#ephemeral.secretKey)
    this.#agreed = true
    return { step: 'agreed', keys }
  }

  #pendingFor(ephemeral: Uint8Array): Pending | undefined {
    return this.#pending.find((pending) => equalBytes(pending.ephemeral, ephemeral))
  }

  #seal(message: HandshakeMessage): Uint8Array {
    return sealHandshake(this.#options.crypto, this.#keys.sendKey, this.#options.tag, message)
  }

  #sign(theirEphemeral: Uint8Array): Uint8Array {
    const { crypto, identity, role } = this.#options
    return crypto.sign(this.#transcript(role, theirEphemeral), identity.secretKey)
  }

  #verify(theirEphemeral: Uint8Array, signature: Uint8Array): boolean {
    const { crypto, peerId, role } = this.#options
    const theirRole = role === 'opener' ? 'responder' : 'opener'
    return crypto.verify(signature, this.#transcript(theirRole, theirEphemeral), peerId)
  }

  #transcript(signer: LinkRole | null, theirEphemeral: Uint8Array): Uint8Array {
    const { role, tag, identity, peerId, sessionKeys } = this.#options
    const both = (mine: Uint8Array, theirs: Uint8Array) =>
      role === 'opener' ? concatBytes(mine, theirs) : concatBytes(theirs, mine)
    return concatBytes(
      utf8('peerpost link 1'),
      Uint8Array.of(signer === null ? 0 : signer === 'opener' ? 1 : 2),
      tag,
      both(identity.publicKey, peerId),
      both(sessionKeys.mine, sessionKeys.theirs),
      both(this.#ephemeral.publicKey, theirEphemeral),
    )
  }
}
