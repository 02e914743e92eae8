// Who is a friend and who is blocked. The config names some. Changes by the control API override it and are stored in a file
// of their own, because the config file is edited only by people.

import { existsSync } from 'node:fs'
import { z } from 'zod'
import { toHex } from '../base/bytes.ts'
import { Problem } from '../base/problem.ts'
import { readSecret, replaceSecret } from '../config/secret-files.ts'
import { readUserId } from '../letter/user-id.ts'

export type Standing = 'friend' | 'blocked' | 'none'

/** The maximum number of stored changes. Beyond it a new one is refused. */
const maxChanges = 512

const schema = z.strictObject({
  version: z.literal(1),
  peers: z
    .array(
      z.strictObject({
        id: z.string().refine((id) => readUserId(id) !== null),
        name: z.string().max(64).nullable(),
        standing: z.enum(['friend', 'blocked', 'none']),
      }),
    )
    .max(maxChanges),
})

type Change = z.infer<typeof schema>['peers'][number]

/** The file beside the config that stores the changes: `agent.peers.json` for `agent.toml`. */
export function peersFileOf(configFile: string): string {
  return `${configFile.replace(/\.toml$/, '')}.peers.json`
}

export type ListedPeer = { readonly id: string; readonly name: string | null }

/** `friends` and `blocked` are user IDs in hex, which the agent reads. The sets are updated with every change. */
export class FriendsAndBlocked {
  readonly friends = new Set<string>()
  readonly blocked = new Set<string>()
  readonly #file: string | null
  #config: { readonly friends: readonly string[]; readonly blocked: readonly string[] }
  /** By user ID. */
  #changes = new Map<string, Change>()
  /** Players that were disconnected by hand. They count as blocked until `connect`, or until the agent is started again. */
  readonly #dismissed = new Set<string>()

  /** `file` is null to lose all changes at the end. `config` holds user IDs as text. Throws a Problem when the file is
   *  invalid. */
  constructor(
    file: string | null,
    config: { readonly friends: readonly string[]; readonly blocked: readonly string[] },
  ) {
    this.#file = file
    this.#config = config
    if (file !== null && existsSync(file))
      for (const change of readChanges(file)) this.#changes.set(change.id, change)
    this.#refresh()
  }

  of(id: string): Standing {
    const change = this.#changes.get(id)
    if (change) return change.standing
    if (this.#config.blocked.includes(id)) return 'blocked'
    return this.#config.friends.includes(id) ? 'friend' : 'none'
  }

  /** Replaces the lists of the config. Changes by the API still override them. */
  configure(config: { readonly friends: readonly string[]; readonly blocked: readonly string[] }): void {
    this.#config = config
    this.#refresh()
  }

  /** Stores the change in the file, then applies it. Throws a Problem when it cannot be stored. */
  set({ id, name }: ListedPeer, standing: Standing): void {
    const changes = new Map(this.#changes)
    changes.set(id, { id, name, standing })
    if (changes.size > maxChanges) {
      throw new Problem(
        'file',
        `${this.#file ?? 'The memory'} holds ${maxChanges} players already, which is the limit.`,
        'Move some of them to [peers] of the config, and delete the file.',
      )
    }
    if (this.#file !== null)
      replaceSecret(this.#file, JSON.stringify({ version: 1, peers: [...changes.values()] }))
    this.#changes = changes
    if (standing === 'friend') this.#dismissed.delete(id)
    this.#refresh()
  }

  /** Blocks the player until `readmit`. */
  dismiss(id: string): void {
    const [oldest] = this.#dismissed
    if (oldest !== undefined && this.#dismissed.size >= maxChanges) this.#dismissed.delete(oldest)
    this.#dismissed.add(id)
    this.#refresh()
  }

  readmit(id: string): void {
    this.#dismissed.delete(id)
    this.#refresh()
  }

  /** All players with this standing. */
  list(standing: 'friend' | 'blocked'): readonly ListedPeer[] {
    const configured = standing === 'friend' ? this.#config.friends : this.#config.blocked
    return [...new Set([...configured, ...this.#changes.keys()])]
      .filter((id) => this.of(id) === standing)
      .map((id) => ({ id, name: this.#changes.get(id)?.name ?? null }))
  }

  #refresh(): void {
    this.friends.clear()
    this.blocked.clear()
    for (const { id } of this.list('friend')) this.friends.add(hexOf(id))
    for (const { id } of this.list('blocked')) this.blocked.add(hexOf(id))
    for (const id of this.#dismissed) this.blocked.add(hexOf(id))
  }
}

function hexOf(id: string): string {
  return toHex(readUserId(id) ?? new Uint8Array())
}

function readChanges(file: string): readonly Change[] {
  try {
    const checked = schema.safeParse(JSON.parse(readSecret(file, 'The list of friends and blocked players')))
    if (checked.success) return checked.data.peers
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown
  }
  throw new Problem(
    'file',
    `${file} is damaged.`,
    'Restore it from a backup. If you delete it, friends and blocked players set on the status page are lost.',
  )
}
