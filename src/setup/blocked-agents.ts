// Blocks and unblocks agents in the database of a host. It works whether the host runs or not.

import { Problem } from '../base/problem.ts'
import type { HostConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import type { UserId } from '../letter/letter-types.ts'
import { readUserId, userIdText } from '../letter/user-id.ts'
import { type BlockedKey, BlockedKeys, mostBlocked } from '../store/blocked-keys.ts'
import { databaseProblem, openSharedDatabase } from '../store/host-database.ts'
import { databasePlace } from './database-location.ts'

export type ListedBlock = Omit<BlockedKey, 'user'> & { readonly id: string }

/** The agents that a command or the API has blocked, without those that the config names. */
export function listBlocked(loaded: Loaded<HostConfig>): readonly ListedBlock[] {
  return withBlocked(loaded, (blocked) => blocked.list().map(listed))
}

/** `who` is a user ID, or the nickname of an agent in the table. `now` is Unix ms. */
export function blockAgent(loaded: Loaded<HostConfig>, who: string, now: number): ListedBlock {
  return withBlocked(loaded, (blocked) => {
    const user = readUserId(who) ?? exactlyOne(who, blocked.usersNamed(who), 'in the table')
    const name = blocked.nameOf(user)
    if (blocked.add(user, name, now)) return listed({ user, name, blockedAt: now })
    throw new Problem(
      'file',
      `${mostBlocked} agents are blocked already, and the host stores no more.`,
      'Unblock some with `peerpost block --remove`.',
    )
  })
}

/** `who` is a user ID, or the nickname that the agent had when it was blocked. */
export function unblockAgent(loaded: Loaded<HostConfig>, who: string): ListedBlock {
  return withBlocked(loaded, (blocked) => {
    const user = readUserId(who)
    const all = blocked.list()
    const found = all.filter((one) => (user ? userIdText(one.user) === userIdText(user) : one.name === who))
    const id = exactlyOne(
      who,
      found.map((one) => one.user),
      'blocked',
    )
    blocked.remove(id)
    return listed(all.find((one) => one.user === id) ?? { user: id, name: '', blockedAt: 0 })
  })
}

function exactlyOne(who: string, users: readonly UserId[], where: string): UserId {
  const [user] = users
  if (user && users.length === 1) return user
  throw new Problem(
    'usage',
    user ? `${users.length} agents called "${who}" are ${where}.` : `No agent called "${who}" is ${where}.`,
    user
      ? `Name one by its ID: ${users.slice(0, 4).map(userIdText).join(', ')}.`
      : 'Name it by its user ID, which its agent prints when it starts.',
  )
}

function listed({ user, ...rest }: BlockedKey): ListedBlock {
  return { id: userIdText(user), ...rest }
}

function withBlocked<T>(loaded: Loaded<HostConfig>, work: (blocked: BlockedKeys) => T): T {
  const database = openSharedDatabase(databasePlace(loaded))
  try {
    return work(new BlockedKeys(database))
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  } finally {
    database.close()
  }
}
