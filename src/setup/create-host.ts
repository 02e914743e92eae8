// Builds a host from its settings, for the command line and the library.

import type { Crypto } from '../base/crypto.ts'
import type { Problem } from '../base/problem.ts'
import type { HostConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import { createHost, type Host, type HostEvent, type HostSettings } from '../host/host.ts'
import type { UserId } from '../letter/letter-types.ts'
import { readUserId } from '../letter/user-id.ts'
import { parseSendUrl } from '../mail/mail-url.ts'
import { providerOfServer } from '../mail/providers/provider-lookup.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { databasePlace } from './database-location.ts'
import { type HostKeys, roomNamed } from './host-keys.ts'
import { knownHosts } from './known-hosts.ts'
import { makeInvite } from './manage-invites.ts'
import { type OpenMail, openMail } from './open-mail.ts'

export type HostSetup = {
  readonly crypto: Crypto
  readonly loaded: Loaded<HostConfig>
  readonly keys: HostKeys
  readonly onEvent: (event: HostEvent) => void
  readonly onFailed?: (problem: Problem) => void
  /** One sentence for a person. */
  readonly onNotice: (notice: string) => void
  /** The agent in the same program, and the mailbox that the two share. */
  readonly localAgent?: { readonly id: UserId; readonly mail: () => OpenMail }
}

/** Opens and starts nothing. Throws a Problem for settings that cannot work. */
export function setUpHost({
  crypto,
  loaded,
  keys,
  onEvent,
  onFailed,
  onNotice,
  localAgent,
}: HostSetup): Host {
  const { config, path } = loaded
  const { subject } = config.mail
  const known = knownHosts(crypto, config, keys.identity.publicKey)
  if (config.role === 'representative' && known.length === 0) {
    onNotice('No worker is known yet, so letters wait. `peerpost host peer add` adds a worker by its card.')
  }
  return createHost({
    clock: systemClock,
    crypto,
    subject,
    onEvent,
    ...(localAgent?.mail() ?? openMail(config.mail, path, { subject, address: config.address }, onNotice)),
    ...(onFailed && { onFailed }),
    ...(localAgent && { ownAgent: localAgent.id }),
    identity: keys.identity,
    sealingKeys: keys.sealingKeys,
    address: config.address,
    rooms: keys.rooms.map(({ name, keys, invitesRequired }) => ({ name, tag: keys.tag, invitesRequired })),
    ...(config.role === 'representative' ? { workers: known } : { hosts: known }),
    ...(keys.represented && { represents: keys.represented }),
    blocked: config.admission.blocked.flatMap((id) => readUserId(id) ?? []),
    settings: hostSettings(config),
    database: databasePlace(loaded),
  })
}

/** Converts the config to the settings of the host. */
export function hostSettings(config: HostConfig) {
  const perDay = config.admission.per_day
  return {
    limits: {
      perKey: config.admission.per_key,
      perAddress: config.admission.per_address,
      perDomain: config.admission.per_domain,
    },
    trustedAuthservId: config.admission.trusted_authserv_id || null,
    perDay: perDay === 'provider' ? dailyLimitOf(config.mail.send) : perDay,
    capacity: config.table.capacity,
    expiryMs: config.table.expiry,
    freshnessMs: config.letters.freshness,
    futureToleranceMs: config.letters.future_tolerance,
    replyPeers: config.letters.reply_peers,
    introductionWindowMs: config.letters.introduction_window,
    sweepMs: config.letters.sweep,
    forwardSilenceMs: config.letters.worker_silence,
    standbyMs: config.standby.enabled ? config.standby.patience : null,
    natPrefix: { 4: config.same_nat.ipv4_prefix, 6: config.same_nat.ipv6_prefix },
  } satisfies Partial<HostSettings>
}

/** Four fifths of the provider's limit. The rest is for the mail of people and for mails that are sent twice. 0 when no limit
 *  is known. */
function dailyLimitOf(send: string): number {
  return Math.floor((providerOfServer(parseSendUrl(send).host)?.sendsADay ?? 0) * 0.8)
}

/** Makes an invite to a room, by default to the first. Returns one line. Throws a Problem when there is no such room. */
export function inviteTo(
  { crypto, loaded, keys }: Pick<HostSetup, 'crypto' | 'loaded' | 'keys'>,
  wanted?: string,
): string {
  return makeInvite({ crypto, loaded, keys }, roomNamed(keys, wanted), {}, systemClock.wallNow()).text
}
