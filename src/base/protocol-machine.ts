// The contract of every protocol machine (prober, punch, link). A machine does no IO: it is told what
// happened and when, and answers with what to do. Its owner performs the actions in order, and calls
// `handleTimeout` when `nextTimeout` falls due. A new machine is due at once: its first `handleTimeout` starts it.

import type { Endpoint } from './endpoint.ts'

/**
 * Names one of the sockets that the owner holds for this machine. 0 is the main socket, which was there before and
 * stays; any other is opened when the machine first sends by it, with a fresh port of its own. A negative one is a TCP
 * connection, which the owner has opened.
 */
export type Via = number

export function isConnection(via: Via): boolean {
  return via < 0
}

export type SendAction = {
  readonly type: 'send'
  readonly to: Endpoint
  readonly bytes: Uint8Array
  /** The main socket when left out. */
  readonly via?: Via
  /** Hops this one datagram may live (D3); the system's default when left out. Only a wish. */
  readonly ttl?: number
}

/** The socket is not needed any more. The number is not used again. */
export type CloseAction = { readonly type: 'close'; readonly via: Via }

export type Action<Event> = SendAction | CloseAction | { readonly type: 'event'; readonly event: Event }

export interface Machine<Event> {
  /** What arrived from the network by socket `via`, genuine or not. `now` is monotonic milliseconds, as everywhere here. */
  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via?: Via): Action<Event>[]
  /** The socket could not be opened (too many files, no such family); what was sent by it is lost. */
  handleSocketFailure?(now: number, via: Via): Action<Event>[]
  /** Harmless when nothing is due. */
  handleTimeout(now: number): Action<Event>[]
  /** When `handleTimeout` is wanted next; null when never. May change after any call. */
  nextTimeout(): number | null
}
