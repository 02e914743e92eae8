// Making, listing and revoking invites from a host's settings, whether the host runs or not.

import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import type { HostConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import { writeInvite } from '../letter/invite.ts'
import { makeRevocation } from '../letter/invite-revocation.ts'
import type { Grant } from '../letter/letter-types.ts'
import { makePass } from '../letter/room-membership.ts'
import { userIdText } from '../letter/user-id.ts'
import { databaseProblem, openSharedDatabase } from '../store/host-database.ts'
import { InviteRevocations } from '../store/invite-revocations.ts'
import { Invites, type InviteTerms, mostInvites, type StoredInvite } from '../store/invites.ts'
import { databasePlace } from './database-location.ts'
import type { HostKeys } from './host-keys.ts'
import { knownHosts } from './known-hosts.ts'
import { frontOf } from './worker-keys.ts'

export type HostFolder = {
  readonly crypto: Crypto
  readonly loaded: Loaded<HostConfig>
  readonly keys: HostKeys
}

export type NewInvite = InviteTerms & {
  /** For the one who runs the host. */
  readonly name?: string
}

/** An invite to one of the host's rooms that nobody has noted. */
export function draftInvite(
  { crypto, loaded, keys }: HostFolder,
  room: HostKeys['rooms'][number],
  terms: InviteTerms,
  seed = crypto.randomBytes(32),
): { readonly text: string; readonly grant: Grant } {
  const { address, stun, mail } = loaded.config
  const front = frontOf(address, keys)
  const pass = makePass(crypto, room.keys, front.keys.identity, seed, terms)
  const text = writeInvite(crypto, {
    host: front.host,
    room: { name: room.name, pass },
    stunServers: stun.servers,
    // To agents all workers are one host, their representative.
    otherHosts: keys.represented ? [] : knownHosts(crypto, loaded.config, keys.identity.publicKey),
    subject: mail.subject,
  })
  return { text, grant: pass.grant }
}

/** An invite of its own to one of the host's rooms. `now` is Unix ms. */
export function makeInvite(
  folder: HostFolder,
  room: HostKeys['rooms'][number],
  { name = '', ...terms }: NewInvite,
  now: number,
): { readonly id: string; readonly text: string } {
  const { text, grant } = draftInvite(folder, room, terms)
  if (!withInvites(folder, (invites) => invites.add(room.keys.tag, grant, name, now))) {
    throw new Problem(
      'invite',
      `This host has made ${mostInvites} invites, which is all it keeps.`,
      'Invites with an end are forgotten 90 days after it; give new ones an end with --until.',
    )
  }
  return { id: inviteId(grant.key), text }
}

export type ListedInvite = StoredInvite & { readonly id: string; readonly roomName: string }

/** Oldest first. Those of rooms that are not in the config any more are left out: nobody comes by them. */
export function listInvites(folder: HostFolder, now: number): readonly ListedInvite[] {
  const nameOf = new Map(folder.keys.rooms.map(({ name, keys }) => [userIdText(keys.tag), name]))
  return withInvites(folder, (invites) => invites.list(now)).flatMap((invite) => {
    const roomName = nameOf.get(userIdText(invite.room))
    return roomName === undefined ? [] : [{ ...invite, id: inviteId(invite.key), roomName }]
  })
}

/** `which`: an ID, its beginning, or a name. Says how many who came by it are out of the table. */
export function revokeInvite(
  folder: HostFolder,
  which: string,
  now: number,
): { readonly invite: ListedInvite; readonly removed: number } {
  const invite = oneOf(listInvites(folder, now), which)
  const { crypto, loaded, keys } = folder
  const { identity } = frontOf(loaded.config.address, keys).keys
  const { key, until } = invite
  const revocation = makeRevocation(crypto, identity, { key, at: now, ...(until !== undefined && { until }) })
  const removed = withInvites(folder, (invites, revocations) => {
    const count = invites.revoke(key, now)
    // Of an invite that another host made our word is worth nothing to others, and is not kept.
    if (invites.isMadeBy(key, identity.publicKey)) revocations.add(revocation)
    return count
  })
  return { invite, removed }
}

function oneOf(invites: readonly ListedInvite[], which: string): ListedInvite {
  const named = invites.filter(({ name, state }) => name === which && state !== 'revoked')
  const begun = invites.filter(
    ({ key }) => which.length >= 4 && userIdText(key).startsWith(which.toLowerCase()),
  )
  const found = named.length > 0 ? named : begun
  const [first] = found
  if (first && found.length === 1) return first
  throw new Problem(
    'usage',
    first ? `There are ${found.length} invites "${which}".` : `There is no invite "${which}".`,
    '`peerpost invite --list` shows the ID of each.',
  )
}

/** The first characters of the invite's key: enough to tell the invites of a host apart. */
function inviteId(key: Uint8Array): string {
  return userIdText(key).slice(0, 8)
}

function withInvites<T>(
  { loaded }: HostFolder,
  work: (invites: Invites, revocations: InviteRevocations) => T,
): T {
  const database = openSharedDatabase(databasePlace(loaded))
  try {
    return work(new Invites(database), new InviteRevocations(database))
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  } finally {
    database.close()
  }
}
