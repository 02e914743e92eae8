// What the program around an agent opens to peers by name, without any port: channels for datagrams, and streams.
// Only what stands here can be reached.

import type { Duplex } from 'node:stream'
import { Problem } from '../base/problem.ts'
import { isServiceName } from './udp/named-channel-frame.ts'

type NamedService<Handle> = {
  readonly handle: Handle
  /** Only those named in `friends`. */
  readonly friendsOnly: boolean
}

/** The bytes belong to the callee. Both must not throw. */
type OnDatagram = (peerId: string, bytes: Uint8Array) => void
export type OnStream = (peerId: string, stream: Duplex) => void

/** Of each kind. */
export const mostServices = 256

export class NamedServices {
  readonly #channels = new Map<string, NamedService<OnDatagram>>()
  readonly #streams = new Map<string, NamedService<OnStream>>()

  get hasStreams(): boolean {
    return this.#streams.size > 0
  }

  /** Throws a Problem `usage`. Returns what closes it again. */
  openChannel(name: string, service: NamedService<OnDatagram>): () => void {
    return open(this.#channels, name, service)
  }

  openStreams(name: string, service: NamedService<OnStream>): () => void {
    return open(this.#streams, name, service)
  }

  /** Null when it is not open to this peer. */
  channel(name: string, isFriend: () => boolean): OnDatagram | null {
    return through(this.#channels.get(name), isFriend)
  }

  streams(name: string, isFriend: () => boolean): OnStream | null {
    return through(this.#streams.get(name), isFriend)
  }
}

function through<Handle>(service: NamedService<Handle> | undefined, isFriend: () => boolean): Handle | null {
  return service && (!service.friendsOnly || isFriend()) ? service.handle : null
}

function open<Handle>(
  namedServices: Map<string, NamedService<Handle>>,
  name: string,
  service: NamedService<Handle>,
): () => void {
  checkServiceName(name)
  if (namedServices.has(name))
    throw new Problem('usage', `"${name}" is open already.`, 'Choose another name.')
  if (namedServices.size >= mostServices)
    throw new Problem('usage', `${mostServices} names are open already.`, 'Close some that are not needed.')
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
    `"${name}" is no name for a channel or stream.`,
    'Use 1 to 32 of a-z, A-Z, 0-9, dot, dash and underscore.',
  )
}
