// Another player, as a program sees it.

import type { Duplex } from 'node:stream'
import type { Agent } from '../agent/agent.ts'
import { utf8 } from '../base/bytes.ts'
import { Problem } from '../base/problem.ts'
import { checkServiceName } from '../forward/named-services.ts'
import { maxChannelBytes } from '../forward/udp/named-channel-frame.ts'

/** What a Peer needs of its agent; null while the agent is not in the room. */
export type PeerAgent = () => Pick<Agent, 'outlet' | 'report'> | null

/** Made by the agent. It may be kept: it means the same player after a connection broke and came back. */
export class Peer {
  /** The player's public key, in 52 letters: the same as long as the player keeps the key. */
  readonly id: string
  /** What the player is called; others may be called the same. */
  readonly name: string
  readonly #agent: PeerAgent

  /** @internal */
  constructor(id: string, name: string, agent: PeerAgent) {
    this.id = id
    this.name = name
    this.#agent = agent
  }

  /**
   * Sends a datagram to a channel that the player's program has opened by `onDatagram`. It may get lost or come late,
   * but not twice and not changed; no answer tells. Up to 1,100 bytes travel in one packet on any path, more in parts.
   *
   * @param channel 1 to 32 of `a-z`, `A-Z`, `0-9`, dot, dash, underscore
   * @param bytes at most 65,000; text goes as UTF-8. They may be changed afterwards.
   * @returns false when the player is not connected now
   * @throws Problem `usage` for a bad name or too many bytes
   */
  send(channel: string, bytes: Uint8Array | string): boolean {
    checkServiceName(channel)
    const payload = typeof bytes === 'string' ? utf8(bytes) : bytes
    if (payload.length > maxChannelBytes) {
      throw new Problem(
        'usage',
        `A datagram of ${payload.length} bytes is too large for a channel.`,
        `Send at most ${maxChannelBytes}, or open a stream.`,
      )
    }
    return this.#agent()?.outlet.sendTo(this.id, channel, payload) ?? false
  }

  /**
   * Opens a stream to a name that the player's program takes by `onStream`: reliable, in order, with back-pressure and
   * half-close. When the connection ends, or the other side destroys its end, the stream closes without `end`;
   * `pipeline`, `finished` and `for await` reject then. It emits no `error`.
   *
   * Rejects with a Problem `peer` when the player is not connected, takes no such streams, does not answer within 15 s,
   * or there are too many (128 for each player); `usage` for a bad name.
   *
   * @param name 1 to 32 of `a-z`, `A-Z`, `0-9`, dot, dash, underscore
   */
  async openStream(name: string): Promise<Duplex> {
    checkServiceName(name)
    const agent = this.#agent()
    if (!agent) throw new Problem('peer', 'The agent is not in the room.', 'Start it first.')
    return agent.outlet.openStream(this.id, name)
  }

  /** How long an answer takes now, in ms, smoothed; null while not connected or not measured. */
  get roundTripMs(): number | null {
    const known = this.#agent()?.report.peers.find(({ peer }) => peer.id === this.id)
    return known?.quality?.roundTripMs ?? null
  }
}
