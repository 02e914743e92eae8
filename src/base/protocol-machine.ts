// The contract of every protocol machine (prober, punch, link). A machine does no IO. It receives events with their time
// and returns actions. Its owner performs the actions in order, and calls `handleTimeout` at the time that `nextTimeout`
// returns. A new machine is due at once: the first `handleTimeout` starts it.

import type { Endpoint } from './endpoint.ts'

/**
 * The number of a socket that the owner holds for this machine. 0 is the main socket, which the machine never opens or
 * closes. A positive number is a UDP socket with a port of its own. The owner opens it when the machine first sends by
 * it. A negative number is a TCP connection that the owner has opened.
 */
export type Via = number

export function isConnection(via: Via): boolean {
  return via < 0
}

export type SendAction = {
  readonly type: 'send'
  readonly to: Endpoint
  readonly bytes: Uint8Array
  /** Default: the main socket. */
  readonly via?: Via
  /** IP time to live of this datagram (D3). Default: the system's. The owner may ignore it. */
  readonly ttl?: number
}

/** Closes a socket. The machine never uses its number again. */
export type CloseAction = { readonly type: 'close'; readonly via: Via }

export type Action<Event> = SendAction | CloseAction | { readonly type: 'event'; readonly event: Event }

export interface Machine<Event> {
  /** A datagram that arrived at the socket `via`. It may be forged. `now` is monotonic milliseconds, here and below. */
  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via?: Via): Action<Event>[]
  /** The socket could not be opened (too many files, no such family). What was sent by it is lost. */
  handleSocketFailure?(now: number, via: Via): Action<Event>[]
  /** Does nothing when nothing is due. */
  handleTimeout(now: number): Action<Event>[]
  /** When `handleTimeout` must be called next. Null: no timer is needed. Any call may change it. */
  nextTimeout(): number | null
}
