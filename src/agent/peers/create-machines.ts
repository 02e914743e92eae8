// The machines of a meeting: the attempt to find a path, and the link on it.

import { viewOf } from '../../base/bytes.ts'
import { createLink, type Link } from '../../link/link.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import { type Attempt, createAttempt } from '../../punch/punch-attempt.ts'
import { isHard } from '../../punch/punch-plan.ts'
import type { PeerConnectionOptions } from './peer-connection-types.ts'
import { linkKeepaliveMs, rankOfPath } from './peer-paths.ts'

export function makeAttempt(options: PeerConnectionOptions): Attempt {
  const { clock, crypto, keys, plan, peer, attemptMs, bubbleTtl, mailMs, network } = options
  return createAttempt({
    crypto,
    keys: { tag: keys.tag, ...keys.punch },
    role: keys.role,
    plan,
    ...(!isHard(plan) && { attemptMs }),
    ...(bubbleTtl !== undefined && { bubbleTtl }),
    sameNat: peer.sameNat,
    servers: network.servers,
    publicEndpoints: network.candidates
      .filter(({ kind }) => kind === 'server-reflexive')
      .map(({ endpoint }) => endpoint),
    now: clock.now(),
    wallNow: clock.wallNow(),
    mailMs,
    onLoopback: network.onLoopback,
    random: () => viewOf(crypto.randomBytes(4)).getUint32(0) / 2 ** 32,
  })
}

export function makeLink(options: PeerConnectionOptions, path: Path): Link {
  const { clock, crypto, keys, identity, sessionKey, peer } = options
  return createLink({
    crypto,
    role: keys.role,
    tag: keys.tag,
    keys: keys.link,
    identity,
    peerId: peer.id,
    sessionKeys: { mine: sessionKey, theirs: peer.session.publicKey },
    remote: path.remote,
    via: path.via,
    rank: rankOfPath(path),
    keepaliveMs: keepaliveOf(options),
    now: clock.now(),
  })
}

/** By what is known of both NATs now. */
export function keepaliveOf({ network, peer, keepaliveMs = Infinity }: PeerConnectionOptions): number {
  return linkKeepaliveMs([network.nat, peer.nat], keepaliveMs)
}
