// The packets of punching: checks and their confirmations.

export type CheckKeys = {
  /** 8 bytes naming the attempt, the same for both sides. */
  readonly tag: Uint8Array
  /** 32 bytes each; the peer has them the other way round. */
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

/** The tag of what looks like a check packet; null for anything else. Says nothing of its authenticity. */
export function checkTag(_bytes: Uint8Array): Uint8Array | null {
  throw new Error('not built yet')
}
