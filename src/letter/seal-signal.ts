// Seals signals that two agents send each other through the host. The keys come from the sessions of the two.
//
//   0           8           32
//   +-----------+-----------+---------------------------------------------------+
//   | tag (8)   | nonce(24) | sealed: CBOR padded to a multiple of 512, and 16  |
//   +-----------+-----------+---------------------------------------------------+
//
// XChaCha20-Poly1305 with the sender's signal key. The tag identifies the attempt and is the associated data.

import { z } from 'zod'
import { concatBytes, equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { type Endpoint, encodeEndpoint } from '../base/endpoint.ts'
import { type PortRange, type Signal, signalLimits } from '../base/signaling-message.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { readEndpoint } from './letter-schema.ts'
import { limits } from './limits.ts'

export type SignalKeys = {
  /** 8 bytes, the same for both sides. */
  readonly tag: Uint8Array
  /** 32 bytes each. The peer has the two keys swapped. */
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

const tagBytes = 8
const headerBytes = tagBytes + 24
const paddingBytes = 512

const port = z.int().min(1).max(65_535)
const round = z
  .int()
  .min(0)
  .max(signalLimits.rounds - 1)

const endpoint = z.unknown().transform((bytes, context): Endpoint => {
  const read = readEndpoint(bytes)
  if (read) return read
  context.addIssue('not an endpoint')
  return z.NEVER
})
const address = z.unknown().transform((bytes, context): string => {
  const read = bytes instanceof Uint8Array && readEndpoint(concatBytes(bytes, Uint8Array.of(0, 1)))
  if (read) return read.address
  context.addIssue('not an address')
  return z.NEVER
})
const range = z
  .tuple([port, port, port])
  .refine(([first, last]) => first <= last)
  .transform(([first, last, step]): PortRange => ({ first, last, step }))

const signalSchema: z.ZodType<Signal> = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ports'),
    round,
    address,
    towards: endpoint,
    ranges: z.array(range).max(signalLimits.ranges),
  }),
  z.object({ type: z.literal('targets'), round, address, ports: z.array(port).max(signalLimits.targets) }),
  z.object({
    type: z.literal('pairs'),
    round,
    address,
    pairs: z
      .array(z.tuple([port, port]).transform(([mine, yours]) => ({ mine, yours })))
      .max(signalLimits.pairs),
  }),
  z.object({ type: z.literal('search'), round, startAt: z.int().min(0).max(limits.instantMs) }),
])

function wireOf(signal: Signal): object {
  switch (signal.type) {
    case 'ports':
      return {
        ...signal,
        address: addressBytes(signal.address),
        towards: encodeEndpoint(signal.towards),
        ranges: signal.ranges.map(({ first, last, step }) => [first, last, step]),
      }
    case 'targets':
      return { ...signal, address: addressBytes(signal.address), ports: [...signal.ports] }
    case 'pairs':
      return {
        ...signal,
        address: addressBytes(signal.address),
        pairs: signal.pairs.map(({ mine, yours }) => [mine, yours]),
      }
    case 'search':
      return { ...signal }
  }
}

function addressBytes(text: string): Uint8Array {
  return encodeEndpoint({ address: text, port: 1 }).slice(0, -2)
}

export function sealSignal(
  crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'pad'>,
  { tag, sendKey }: SignalKeys,
  signal: Signal,
): Uint8Array {
  const nonce = crypto.randomBytes(headerBytes - tagBytes)
  const padded = crypto.pad(encodeCbor(wireOf(signal)), paddingBytes)
  return concatBytes(tag, nonce, crypto.encrypt(sendKey, nonce, padded, tag))
}

/** Null if the peer did not seal the box in this attempt: it is foreign, altered, malformed, or our own sent back to us. */
export function openSignal(
  crypto: Pick<Crypto, 'decrypt' | 'unpad'>,
  { tag, receiveKey }: SignalKeys,
  box: Uint8Array,
): Signal | null {
  const boxTag = signalTag(box)
  if (!boxTag || !equalBytes(boxTag, tag)) return null
  const nonce = box.subarray(tagBytes, headerBytes)
  const padded = crypto.decrypt(receiveKey, nonce, box.subarray(headerBytes), boxTag)
  const plain = padded && crypto.unpad(padded, paddingBytes)
  if (!plain) return null
  const read = signalSchema.safeParse(decodeCbor(plain))
  return read.success ? read.data : null
}

/** The tag at the start of a box; null if the box is too short or too long. Does not check that the box is genuine. */
export function signalTag(box: Uint8Array): Uint8Array | null {
  return box.length > headerBytes && box.length <= limits.signalBoxBytes ? box.slice(0, tagBytes) : null
}
