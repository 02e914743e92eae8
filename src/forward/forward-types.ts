// The types of exposed and forwarded ports, and the counters of the forwarder.

export type Protocol = 'udp' | 'tcp'

/** A local port that linked peers may use (`--expose udp:PORT`). */
export type Expose = {
  readonly protocol: Protocol
  readonly port: number
  /** Only the peers listed in `friends` may use it. */
  readonly friendsOnly: boolean
}

/** A local port that leads to a port that a peer exposes (`--forward udp:LOCAL=NICK:PORT`). */
export type Forward = {
  readonly protocol: Protocol
  readonly localPort: number
  readonly nick: string
  readonly port: number
}

/** Counts of dropped datagrams and refused streams since the start, by reason. */
export type ForwarderCounts = {
  /** Larger than a link can carry. */
  tooBig: number
  /** No peer of this nickname is linked, or the peer's link is closed. */
  notLinked: number
  /** A peer tried a port that is not exposed to it. */
  notExposed: number
  /** An answer for a flow that does not exist or belongs to another peer. */
  unknownFlow: number
  /** Not a valid frame. */
  malformed: number
  /** A new flow at a limit, or one whose socket could not be opened. */
  refusedFlows: number
  /** A new stream at a limit. */
  refusedStreams: number
  /** Too many datagrams waited for a socket. */
  notSent: number
}
