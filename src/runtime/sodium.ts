// Implements base/crypto.ts with libsodium-wrappers.

import sodium from 'libsodium-wrappers'
import type { Crypto } from '../base/crypto.ts'
import { macBytes, SodiumCipher } from './sodium-cipher.ts'

function orNull<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}

function pairOf(pair: { publicKey: Uint8Array; privateKey: Uint8Array }) {
  return { publicKey: pair.publicKey, secretKey: pair.privateKey }
}

export async function loadSodium(): Promise<Crypto> {
  await sodium.ready
  const cipher = new SodiumCipher()
  return {
    randomBytes: (length) => sodium.randombytes_buf(length),
    hash: (message, length, key) => sodium.crypto_generichash(length, message, key ?? null),
    derive: (key, context, id) => sodium.crypto_kdf_derive_from_key(32, id, context, key),
    signKeyPair: (seed) =>
      pairOf(seed ? sodium.crypto_sign_seed_keypair(seed) : sodium.crypto_sign_keypair()),
    sign: (message, secretKey) => sodium.crypto_sign_detached(message, secretKey),
    verify: (signature, message, publicKey) =>
      orNull(() => sodium.crypto_sign_verify_detached(signature, message, publicKey)) ?? false,
    boxKeyPair: (seed) => pairOf(seed ? sodium.crypto_box_seed_keypair(seed) : sodium.crypto_box_keypair()),
    seal: (message, publicKey) => sodium.crypto_box_seal(message, publicKey),
    openSealed: (sealed, pair) =>
      orNull(() => sodium.crypto_box_seal_open(sealed, pair.publicKey, pair.secretKey)),
    exchange: (side, mine, theirs) => {
      const derive =
        side === 'client' ? sodium.crypto_kx_client_session_keys : sodium.crypto_kx_server_session_keys
      const keys = orNull(() => derive(mine.publicKey, mine.secretKey, theirs))
      return keys && { receiveKey: keys.sharedRx, sendKey: keys.sharedTx }
    },
    encrypt: (key, nonce, message, associated) => {
      const sealed = new Uint8Array(message.length + macBytes)
      cipher.encryptInto(sealed, key, nonce, message, associated)
      return sealed
    },
    decrypt: (key, nonce, sealed, associated) => {
      if (sealed.length < macBytes) return null
      const message = new Uint8Array(sealed.length - macBytes)
      return cipher.decryptInto(message, key, nonce, sealed, associated) ? message : null
    },
    encryptInto: cipher.encryptInto.bind(cipher),
    decryptInto: cipher.decryptInto.bind(cipher),
    pad: (message, blockBytes) => sodium.pad(message, blockBytes),
    unpad: (padded, blockBytes) => orNull(() => sodium.unpad(padded, blockBytes)),
    wipe: (secret) => {
      sodium.memzero(secret)
      cipher.wipe()
    },
  }
}
