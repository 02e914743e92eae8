// What can be exposed and forwarded, and the counts that all files of this room add to.

export type Protocol = 'udp' | 'tcp'

/** A local port that linked peers may reach (`--expose udp:PORT`). */
export type Expose = {
  readonly protocol: Protocol
  readonly port: number
  /** Only those named in `friends`. */
  readonly friendsOnly: boolean
}

/** A local port that leads to a port a peer exposes (`--forward udp:LOCAL=NICK:PORT`). */
export type Forward = {
  readonly protocol: Protocol
  readonly localPort: number
  readonly nick: string
  readonly port: number
}

/** Datagrams dropped and streams refused since the start, by reason. */
export type ForwarderCounts = {
  /** More than a link carries. */
  tooBig: number
  /** Nobody of that nickname is linked, or the peer's link is gone. */
  notLinked: number
  /** A peer asked for a port that is not exposed to it. */
  notExposed: number
  /** An answer for a flow that is not, or not that peer's. */
  unknownFlow: number
  /** Not a frame of ours. */
  malformed: number
  /** A new flow at a bound, or without a socket. */
  refusedFlows: number
  /** A new stream at a bound. */
  refusedStreams: number
  /** Too many while a flow's socket was being opened. */
  notSent: number
}
