// Splits a TCP stream into STUN messages by the length in their headers (RFC 8489 §6.2.2).

import { viewOf } from '../base/bytes.ts'
import { MessageSplitter } from '../base/message-splitter.ts'
import { isStun, maxStunBytes, mayBeStun, stunHeaderBytes } from './stun-message.ts'

export function stunSplitter(): MessageSplitter {
  return new MessageSplitter(
    stunHeaderBytes,
    (head) => {
      const length = stunHeaderBytes + viewOf(head).getUint16(2)
      return isStun(head) && length <= maxStunBytes ? length : null
    },
    mayBeStun,
  )
}
