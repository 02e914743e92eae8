// The datagram channels and streams that the surrounding program opens to peers by name, without a port. Peers can use
// only the names registered here.

import type { Duplex } from 'node:stream'
import { Problem } from '../base/problem.ts'
import { isServiceName } from './udp/named-channel-frame.ts'

type NamedService<Handle> = {
  readonly handle: Handle
  /** Only the peers listed in `friends` may use it. */
  readonly friendsOnly: boolean
}

/** The callee owns the bytes. Handlers must not throw. */
type OnDatagram = (peerId: string, bytes: Uint8Array) => void
export type OnStream = (peerId: string, stream: Duplex) => void

/** Limit for channels and for streams, each. */
export const maxServices = 256

export class NamedServices {
  readonly #channels = new Map<string, NamedService<OnDatagram>>()
  readonly #streams = new Map<string, NamedService<OnStream>>()

  get hasStreams(): boolean {
    return this.#streams.size > 0
  }

  /** Throws a Problem `usage`. Returns a function that closes the channel. */
  openChannel(name: string, service: NamedService<OnDatagram>): () => void {
    return open(this.#channels, name, service)
  }

  openStreams(name: string, service: NamedService<OnStream>): () => void {
    return open(this.#streams, name, service)
  }

  /** Null when the channel is not open to this peer. */
  channel(name: string, isFriend: () => boolean): OnDatagram | null {
    return handlerIfAllowed(this.#channels.get(name), isFriend)
  }

  streams(name: string, isFriend: () => boolean): OnStream | null {
    return handlerIfAllowed(this.#streams.get(name), isFriend)
  }
}

function handlerIfAllowed<Handle>(
  service: NamedService<Handle> | undefined,
  isFriend: () => boolean,
): Handle | null {
  return service && (!service.friendsOnly || isFriend()) ? service.handle : null
}

function open<Handle>(
  namedServices: Map<string, NamedService<Handle>>,
  name: string,
  service: NamedService<Handle>,
): () => void {
  checkServiceName(name)
  if (namedServices.has(name))
    throw new Problem('usage', `"${name}" is already open.`, 'Choose another name.')
  if (namedServices.size >= maxServices)
    throw new Problem('usage', `${maxServices} names are already open.`, 'Close some that are not needed.')
  namedServices.set(name, service)
  return () => {
    if (namedServices.get(name) === service) namedServices.delete(name)
  }
}

/** Throws a Problem `usage`. */
export function checkServiceName(name: string): void {
  if (isServiceName(name)) return
  throw new Problem(
    'usage',
    `"${name}" is not a valid name for a channel or stream.`,
    'Use 1 to 32 of a-z, A-Z, 0-9, dot, dash and underscore.',
  )
}
