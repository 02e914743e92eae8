// The few libsodium functions that the pure rooms need. `src/runtime/sodium.ts` implements them.
// Tests may use an implementation with seeded randomness.

export type KeyPair = { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }

export interface Crypto {
  randomBytes(length: number): Uint8Array

  /** BLAKE2b (crypto_generichash), optionally with a key. `length` is 16..64 bytes. */
  hash(message: Uint8Array, length: number, key?: Uint8Array): Uint8Array
  /** crypto_kdf_derive_from_key: 32 bytes from a 32-byte key. `context` is exactly 8 ASCII characters. */
  derive(key: Uint8Array, context: string, id: number): Uint8Array

  /** Ed25519. The same 32-byte seed always gives the same pair. */
  signKeyPair(seed?: Uint8Array): KeyPair
  /** Detached Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean

  /** X25519. The same 32-byte seed always gives the same pair. */
  boxKeyPair(seed?: Uint8Array): KeyPair
  /** crypto_box_seal. The result is 48 bytes longer than the message. Throws on a public key of small order. */
  seal(message: Uint8Array, publicKey: Uint8Array): Uint8Array
  /** crypto_box_seal_open. Null when the bytes are sealed to another key or were altered. */
  openSealed(sealed: Uint8Array, pair: KeyPair): Uint8Array | null
  /** crypto_kx. One side calls it as `client`, the other as `server`. Null on a bad public key. */
  exchange(
    side: 'client' | 'server',
    mine: KeyPair,
    theirs: Uint8Array,
  ): { receiveKey: Uint8Array; sendKey: Uint8Array } | null

  /** XChaCha20-Poly1305 (IETF): 32-byte key, 24-byte nonce. The result is 16 bytes longer than the message. */
  encrypt(key: Uint8Array, nonce: Uint8Array, message: Uint8Array, associated: Uint8Array): Uint8Array
  /** Null when key, nonce, associated data and ciphertext do not match. */
  decrypt(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array | null
  /** Like `encrypt`, but writes into `target`, which must have the size of the result. */
  encryptInto(
    target: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    message: Uint8Array,
    associated: Uint8Array,
  ): void
  /** Like `decrypt`, but writes into `target`. It must have the size of the result, and may overlap `sealed`.
   *  When it returns false, `target` is unchanged. */
  decryptInto(
    target: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array,
  ): boolean

  /** ISO 7816-4 padding (sodium_pad) to the next multiple of `blockBytes`. It always adds at least one byte. */
  pad(message: Uint8Array, blockBytes: number): Uint8Array
  /** Null when the padding is not valid. */
  unpad(padded: Uint8Array, blockBytes: number): Uint8Array | null

  /** Overwrites a secret with zeros. */
  wipe(secret: Uint8Array): void
}
