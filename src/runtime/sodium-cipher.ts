// libsodium's XChaCha20-Poly1305 called in its WebAssembly memory, without the wrapper: that takes memory inside anew for
// each argument of each call, copies the result twice and gives all of it back, which costs as much as the cipher itself.
// Here whatever goes in or comes out has its place for life, since no call waits:
//
//      key (32) · nonce (24), filled up to 32 · associated data, filled up to a multiple of 16 · text, then its MAC (16)

import sodium from 'libsodium-wrappers'

const keyBytes = 32
const nonceBytes = 24
const associatedAt = 64
export const macBytes = 16
/** Enough for a link's largest packet; more is taken when something longer comes. */
const usualRoom = 2048

/** What is used of the module that libsodium was compiled to. Pointers and lengths are as in C, a length being two words of
 *  which the upper one is 0. */
export type SodiumModule = {
  /** Another array when the memory has grown. */
  readonly HEAPU8: Uint8Array
  readonly _malloc: (bytes: number) => number
  readonly _free: (at: number) => void
  readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: (...arguments_: readonly number[]) => number
  readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: (...arguments_: readonly number[]) => number
}

/** Only after `sodium.ready`. */
function sodiumModule(): SodiumModule {
  return (sodium as unknown as { readonly libsodium: SodiumModule }).libsodium
}

export class SodiumCipher {
  readonly #module = sodiumModule()
  #room = usualRoom
  #at = this.#module._malloc(usualRoom)

  /** As of `Crypto`. */
  encryptInto(
    target: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    message: Uint8Array,
    associated: Uint8Array,
  ): void {
    const { length } = message
    if (target.length !== length + macBytes) throw new RangeError('the target has not the size of the result')
    const text = this.#enter(key, nonce, associated, message, macBytes)
    const at = this.#at
    const [named, public_, size] = [at + associatedAt, at + keyBytes, associated.length]
    // In place, as libsodium allows.
    this.#module._crypto_aead_xchacha20poly1305_ietf_encrypt(
      text,
      0,
      text,
      length,
      0,
      named,
      size,
      0,
      0,
      public_,
      at,
    )
    target.set(this.#module.HEAPU8.subarray(text, text + target.length))
  }

  /** As of `Crypto`. */
  decryptInto(
    target: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array,
  ): boolean {
    const { length } = sealed
    if (length < macBytes) return false
    if (target.length !== length - macBytes) throw new RangeError('the target has not the size of the result')
    const text = this.#enter(key, nonce, associated, sealed, 0)
    const at = this.#at
    const [named, public_, size] = [at + associatedAt, at + keyBytes, associated.length]
    const failed = this.#module._crypto_aead_xchacha20poly1305_ietf_decrypt(
      text,
      0,
      0,
      text,
      length,
      0,
      named,
      size,
      0,
      public_,
      at,
    )
    if (failed !== 0) return false
    target.set(this.#module.HEAPU8.subarray(text, text + target.length))
    return true
  }

  /** Nothing that went through stays readable. */
  wipe(): void {
    this.#module.HEAPU8.fill(0, this.#at, this.#at + this.#room)
  }

  /** Puts everything in its place; returns where the text is. `spare`: bytes that the text will grow by. */
  #enter(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    text: Uint8Array,
    spare: number,
  ): number {
    if (key.length !== keyBytes || nonce.length !== nonceBytes)
      throw new RangeError('key or nonce has another size')
    const textAt = associatedAt + ((associated.length + 15) & ~15)
    const wanted = textAt + text.length + spare
    if (wanted > this.#room) this.#grow(wanted)
    const memory = this.#module.HEAPU8
    const at = this.#at
    memory.set(key, at)
    memory.set(nonce, at + keyBytes)
    memory.set(associated, at + associatedAt)
    memory.set(text, at + textAt)
    return at + textAt
  }

  #grow(wanted: number): void {
    this.wipe()
    this.#module._free(this.#at)
    this.#room = wanted
    this.#at = this.#module._malloc(wanted)
  }
}
