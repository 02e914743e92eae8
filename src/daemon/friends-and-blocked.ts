// Who is a friend and who is blocked: as the config says, and as was changed by the control API since, which is kept
// in a file of its own. The config belongs to the person.

import { existsSync } from 'node:fs'
import { z } from 'zod'
import { toHex } from '../base/bytes.ts'
import { Problem } from '../base/problem.ts'
import { readSecret, replaceSecret } from '../config/secret-files.ts'
import { readUserId } from '../letter/user-id.ts'

export type Standing = 'friend' | 'blocked' | 'none'

/** Changes kept; beyond it a new one is refused. */
const mostChanges = 512

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
    .max(mostChanges),
})

type Change = z.infer<typeof schema>['peers'][number]

/** `agent.toml` has `agent.peers.json` beside it. */
export function standingsFileOf(configFile: string): string {
  return `${configFile.replace(/\.toml$/, '')}.peers.json`
}

export type Known = { readonly id: string; readonly name: string | null }

/** `friends`, `blocked`: user IDs in hex, as the agent asks for them; they change with what is set here. */
export class FriendsAndBlocked {
  readonly friends = new Set<string>()
  readonly blocked = new Set<string>()
  readonly #file: string | null
  #config: { readonly friends: readonly string[]; readonly blocked: readonly string[] }
  /** By user ID. */
  #changes = new Map<string, Change>()
  /** Sent away by hand: as good as blocked until they are asked for again, or the agent is started again. */
  readonly #dismissed = new Set<string>()

  /** `file`: null to forget changes at the end. `config`: user IDs as text. Throws a Problem when the file is not as it was written. */
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

  /** What the config says now; changes made by the API go on counting more. */
  configure(config: { readonly friends: readonly string[]; readonly blocked: readonly string[] }): void {
    this.#config = config
    this.#refresh()
  }

  /** Written before it counts. Throws a Problem when that fails. */
  set({ id, name }: Known, standing: Standing): void {
    const changes = new Map(this.#changes)
    changes.set(id, { id, name, standing })
    if (changes.size > mostChanges) {
      throw new Problem(
        'file',
        `${this.#file ?? 'The memory'} holds ${mostChanges} players, which is all it can.`,
        'Move some of them to [peers] of the config, and delete the file.',
      )
    }
    if (this.#file !== null)
      replaceSecret(this.#file, JSON.stringify({ version: 1, peers: [...changes.values()] }))
    this.#changes = changes
    if (standing === 'friend') this.#dismissed.delete(id)
    this.#refresh()
  }

  /** Until `recall`. */
  dismiss(id: string): void {
    const [oldest] = this.#dismissed
    if (oldest !== undefined && this.#dismissed.size >= mostChanges) this.#dismissed.delete(oldest)
    this.#dismissed.add(id)
    this.#refresh()
  }

  recall(id: string): void {
    this.#dismissed.delete(id)
    this.#refresh()
  }

  /** Everybody with this standing. */
  list(standing: 'friend' | 'blocked'): readonly Known[] {
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
    `${file} is not as it was written.`,
    'Restore it from a backup; deleting it forgets who was made a friend or blocked on the status page.',
  )
}
