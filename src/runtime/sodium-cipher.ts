// XChaCha20-Poly1305 of libsodium, called directly in its WebAssembly memory. The wrapper allocates memory for each argument
// of each call and copies the result twice, which costs as much as the cipher itself. Here all arguments share one buffer
// that is allocated once. This is safe because no call is interrupted by another. The buffer holds:
//
//      key (32) · nonce (24), padded to 32 · associated data, padded to a multiple of 16 · text, then its MAC (16)

import sodium from 'libsodium-wrappers'

const keyBytes = 32
const nonceBytes = 24
const associatedAt = 64
export const macBytes = 16
/** Enough for the largest packet of a link. The buffer grows for longer texts. */
const initialBytes = 2048

/** The functions of the compiled libsodium module that are used here. Pointers are as in C. A 64-bit length is passed as two
 *  32-bit numbers, the lower one first. */
type SodiumModule = {
  /** Replaced by a new array when the memory grows. */
  readonly HEAPU8: Uint8Array
  readonly _malloc: (bytes: number) => number
  readonly _free: (at: number) => void
  readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: (...arguments_: readonly number[]) => number
  readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: (...arguments_: readonly number[]) => number
}

/** Call it only after `sodium.ready` has resolved. */
function sodiumModule(): SodiumModule {
  return (sodium as unknown as { readonly libsodium: SodiumModule }).libsodium
}

export class SodiumCipher {
  readonly #module = sodiumModule()
  #size = initialBytes
  #at = this.#module._malloc(initialBytes)

  /** See `Crypto`. */
  encryptInto(
    target: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    message: Uint8Array,
    associated: Uint8Array,
  ): void {
    const { length } = message
    if (target.length !== length + macBytes)
      throw new RangeError('the target does not have the size of the result')
    const text = this.#copyIn(key, nonce, associated, message, macBytes)
    const at = this.#at
    const [associatedData, nonceData, associatedBytes] = [at + associatedAt, at + keyBytes, associated.length]
    // libsodium allows encryption in place.
    this.#module._crypto_aead_xchacha20poly1305_ietf_encrypt(
      text,
      0,
      text,
      length,
      0,
      associatedData,
      associatedBytes,
      0,
      0,
      nonceData,
      at,
    )
    target.set(this.#module.HEAPU8.subarray(text, text + target.length))
  }

  /** See `Crypto`. */
  decryptInto(
    target: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array,
  ): boolean {
    const { length } = sealed
    if (length < macBytes) return false
    if (target.length !== length - macBytes)
      throw new RangeError('the target does not have the size of the result')
    const text = this.#copyIn(key, nonce, associated, sealed, 0)
    const at = this.#at
    const [associatedData, nonceData, associatedBytes] = [at + associatedAt, at + keyBytes, associated.length]
    const failed = this.#module._crypto_aead_xchacha20poly1305_ietf_decrypt(
      text,
      0,
      0,
      text,
      length,
      0,
      associatedData,
      associatedBytes,
      0,
      nonceData,
      at,
    )
    if (failed !== 0) return false
    target.set(this.#module.HEAPU8.subarray(text, text + target.length))
    return true
  }

  /** Overwrites the buffer with zeros. */
  wipe(): void {
    this.#module.HEAPU8.fill(0, this.#at, this.#at + this.#size)
  }

  /** Copies the arguments into the buffer and returns the address of the text. The text may grow by `spare` bytes. */
  #copyIn(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    text: Uint8Array,
    spare: number,
  ): number {
    if (key.length !== keyBytes || nonce.length !== nonceBytes)
      throw new RangeError('the key or the nonce has a wrong size')
    const textAt = associatedAt + ((associated.length + 15) & ~15)
    const needed = textAt + text.length + spare
    if (needed > this.#size) this.#grow(needed)
    const memory = this.#module.HEAPU8
    const at = this.#at
    memory.set(key, at)
    memory.set(nonce, at + keyBytes)
    memory.set(associated, at + associatedAt)
    memory.set(text, at + textAt)
    return at + textAt
  }

  #grow(needed: number): void {
    this.wipe()
    this.#module._free(this.#at)
    this.#size = needed
    this.#at = this.#module._malloc(needed)
  }
}
