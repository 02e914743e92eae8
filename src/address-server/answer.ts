// What the address server says to a datagram. Keeps nothing (mission C1).

import type { Endpoint } from '../base/endpoint.ts'
import { decodeStun, encodeError, encodeSuccess } from '../nat/stun.ts'
import { attribute } from '../nat/stun-attributes.ts'

/** RFC 8489 §6.3.1: a request with attributes we must understand and do not. */
const unknownAttribute = 420
/** Named in the error; a request that has more is not honest. */
const maxNamed = 4

/** Null for whatever is not a sound Binding request: no answer, so that nobody can be flooded with our errors. */
export function answerBinding(bytes: Uint8Array, from: Endpoint): Uint8Array | null {
  const decoding = decodeStun(bytes)
  if (!decoding.ok || decoding.message.type !== 'request') return null
  const { transactionId, change, responsePort } = decoding.message
  const unknownRequired = [...decoding.message.unknownRequired]
  if (change?.address || change?.port) unknownRequired.unshift(attribute.changeRequest)
  if (responsePort) unknownRequired.unshift(attribute.responsePort)
  return unknownRequired.length > 0
    ? encodeError(transactionId, unknownAttribute, unknownRequired.slice(0, maxNamed))
    : encodeSuccess({ transactionId, mapped: from })
}
